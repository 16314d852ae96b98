-- Deletes a tenant for good, so many licences a call; the operator repeats it until none is left.
-- From the first call on nobody signs in and no key is known, so nothing of the tenant is reached
-- while the rest goes. What others write meanwhile goes with a later call.

CREATE OR REPLACE FUNCTION permit.erase_tenant(
    p_tenant uuid, p_name text, p_at_most integer
) RETURNS bigint  -- licences left; null: no tenant of this id and name
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_deleted bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM permit.tenants AS t WHERE t.id = p_tenant AND t.name = p_name) THEN
        RETURN NULL;
    END IF;
    DELETE FROM permit.users AS u WHERE u.tenant_id = p_tenant;
    DELETE FROM permit.licence_keys AS k
     USING permit.licences AS l
     WHERE l.tenant_id = p_tenant AND k.licence_id = l.id;
    -- Materialised, or the plan may take the first so many again and again.
    WITH first AS MATERIALIZED (
        SELECT o.id FROM permit.licences AS o
         WHERE o.tenant_id = p_tenant
         ORDER BY o.id
         LIMIT p_at_most
           FOR UPDATE
    )
    DELETE FROM permit.licences AS l
     USING first AS f
     WHERE l.tenant_id = p_tenant AND l.id = f.id;
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    IF v_deleted = p_at_most THEN
        RETURN (SELECT count(*) FROM permit.licences AS l WHERE l.tenant_id = p_tenant);
    END IF;
    DELETE FROM permit.policies AS p WHERE p.tenant_id = p_tenant;
    DELETE FROM permit.products AS p WHERE p.tenant_id = p_tenant;
    DELETE FROM permit.proof_keys AS k WHERE k.tenant_id = p_tenant;
    DELETE FROM permit.tenants AS t WHERE t.id = p_tenant;
    RETURN 0;
END
$$;
GRANT EXECUTE ON FUNCTION permit.erase_tenant(uuid, text, integer) TO permit_operator;
