-- What anyone may ask: whether the service can serve, and which keys a tenant's proofs verify with.

CREATE OR REPLACE FUNCTION permit.health(OUT schema_version integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT coalesce(max(m.version), 0) INTO schema_version FROM permit.schema_migrations AS m;
END
$$;
GRANT EXECUTE ON FUNCTION permit.health() TO permit_public;

-- The next, the current and the retired keys whose proofs may still be in use (a lease is at most a
-- year), never a withdrawn one. No rows: there is no such tenant.
CREATE OR REPLACE FUNCTION permit.list_proof_keys(p_tenant_id uuid)
RETURNS TABLE (kid text, public_key bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT k.kid, k.public_key
      FROM permit.proof_keys AS k
     WHERE k.tenant_id = p_tenant_id
       AND (k.state IN ('current', 'next')
            OR k.state = 'retired' AND k.ended_at > permit.clock() - interval '400 days')
     ORDER BY array_position(ARRAY['current', 'next', 'retired'], k.state), k.created_at DESC, k.kid;
END
$$;
GRANT EXECUTE ON FUNCTION permit.list_proof_keys(uuid) TO permit_public;
