-- A creating request that is sent again gets its first answer, whatever raced: whoever comes second
-- waits in claim_answer for the transaction of the first, which keeps the answer with its effect.

CREATE OR REPLACE FUNCTION permit.claim_answer(
    p_key_hash       bytea,
    p_request_hash   bytea,
    OUT is_new       boolean,   -- nobody has sent it: do it, and keep the answer
    OUT is_same      boolean,   -- it was the same request
    OUT sealed       bytea
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now timestamptz := permit.clock();
BEGIN
    INSERT INTO permit.idempotent_answers AS a (tenant_id, key_hash, request_hash, created_at)
    VALUES (permit.current_tenant(), p_key_hash, p_request_hash, v_now)
        ON CONFLICT (tenant_id, key_hash) DO UPDATE
           SET request_hash = excluded.request_hash, sealed = NULL, created_at = excluded.created_at
         WHERE a.created_at <= v_now - interval '24 hours';
    is_new := FOUND;
    IF NOT is_new THEN
        SELECT a.request_hash = p_request_hash, a.sealed INTO is_same, sealed
          FROM permit.idempotent_answers AS a
         WHERE a.tenant_id = permit.current_tenant() AND a.key_hash = p_key_hash;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.claim_answer(bytea, bytea) TO permit_vendor;

CREATE OR REPLACE FUNCTION permit.keep_answer(p_key_hash bytea, p_sealed bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.idempotent_answers AS a
       SET sealed = p_sealed
     WHERE a.tenant_id = permit.current_tenant() AND a.key_hash = p_key_hash;
END
$$;
GRANT EXECUTE ON FUNCTION permit.keep_answer(bytea, bytea) TO permit_vendor;
