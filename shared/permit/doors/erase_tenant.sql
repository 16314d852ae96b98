-- A tenant is closed first, and in a transaction of its own, so that no lock which the deletion waits
-- for undoes it: nobody signs in, no key is known, the operator does not enter it.

CREATE OR REPLACE FUNCTION permit.close_tenant(p_tenant uuid, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.tenants AS t
       SET closed_at = coalesce(t.closed_at, permit.clock())
     WHERE t.id = p_tenant AND t.name = p_name;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM permit.users AS u WHERE u.tenant_id = p_tenant;
    DELETE FROM permit.api_keys AS k WHERE k.tenant_id = p_tenant;
    DELETE FROM permit.licence_keys AS k
     USING permit.licences AS l
     WHERE l.tenant_id = p_tenant AND k.licence_id = l.id;
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.close_tenant(uuid, text) TO permit_operator;

-- Deletes a closed one for good, so many licences a call; the operator repeats it until none is left.
-- What somebody holds at the moment goes with a later call.
CREATE OR REPLACE FUNCTION permit.erase_tenant(p_tenant uuid, p_at_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_left bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM permit.tenants AS t
                    WHERE t.id = p_tenant AND t.closed_at IS NOT NULL) THEN
        RETURN 0;
    END IF;
    -- Materialised, or the plan may take the first so many again and again.
    WITH first AS MATERIALIZED (
        SELECT o.id FROM permit.licences AS o
         WHERE o.tenant_id = p_tenant
         ORDER BY o.id
         LIMIT p_at_most
           FOR UPDATE SKIP LOCKED
    )
    DELETE FROM permit.licences AS l
     USING first AS f
     WHERE l.tenant_id = p_tenant AND l.id = f.id;
    -- What was noted of them goes with them, or the last call would have years of it to delete.
    WITH first AS MATERIALIZED (
        SELECT o.id FROM permit.audit_events AS o
         WHERE o.tenant_id = p_tenant
         ORDER BY o.occurred_at
         LIMIT 10 * p_at_most
           FOR UPDATE SKIP LOCKED
    )
    DELETE FROM permit.audit_events AS e
     USING first AS f
     WHERE e.tenant_id = p_tenant AND e.id = f.id;
    v_left := (SELECT count(*) FROM permit.licences AS l WHERE l.tenant_id = p_tenant);
    IF v_left > 0 THEN
        RETURN v_left;
    END IF;
    DELETE FROM permit.audit_events AS e WHERE e.tenant_id = p_tenant;
    DELETE FROM permit.idempotent_answers AS a WHERE a.tenant_id = p_tenant;
    DELETE FROM permit.policies AS p WHERE p.tenant_id = p_tenant;
    DELETE FROM permit.products AS p WHERE p.tenant_id = p_tenant;
    DELETE FROM permit.proof_keys AS k WHERE k.tenant_id = p_tenant;
    DELETE FROM permit.tenants AS t WHERE t.id = p_tenant;
    RETURN 0;
END
$$;
GRANT EXECUTE ON FUNCTION permit.erase_tenant(uuid, integer) TO permit_operator;
