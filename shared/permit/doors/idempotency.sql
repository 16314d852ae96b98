-- A creating request that is sent again gets its first answer, whatever raced: whoever comes second
-- waits in claim_sealed_answer for the transaction of the first, which keeps the answer with its effect.

-- The names come from the caller's key, one by each key that the server has now and one as the release
-- before makes it; the answer is kept under one of them. All are taken, so that of two requests those
-- with a server's key in common, or served by the two releases, meet.
CREATE OR REPLACE FUNCTION permit.claim_sealed_answer(
    p_names          bytea[],
    p_request_hash   bytea,
    OUT is_new       boolean,   -- nobody has sent it: do it, and keep the answer
    OUT is_same      boolean,   -- it was the same request
    OUT name         bytea,     -- what its answer is kept under
    OUT sealed       bytea      -- null: by the other release, or under a key that the server lacks
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_tenant uuid        := permit.current_tenant();
    v_now    timestamptz := permit.clock();
    v_taken  bytea[];
BEGIN
    DELETE FROM permit.idempotent_answers AS a
     WHERE a.tenant_id = v_tenant AND a.key_hash = ANY (p_names) AND a.kept_until <= v_now;
    WITH taken AS (
        INSERT INTO permit.idempotent_answers AS a
               (tenant_id, key_hash, request_hash, created_at, kept_until)
        SELECT v_tenant, n.name, p_request_hash, v_now, v_now + interval '7 days'
          FROM unnest(p_names) AS n (name)
         ORDER BY n.name   -- in one order, or two requests could wait for each other
            ON CONFLICT DO NOTHING
        RETURNING a.key_hash
    )
    SELECT coalesce(array_agg(t.key_hash), '{}') INTO v_taken FROM taken AS t;
    is_new := cardinality(v_taken) = cardinality(p_names);
    IF NOT is_new THEN
        DELETE FROM permit.idempotent_answers AS a
         WHERE a.tenant_id = v_tenant AND a.key_hash = ANY (v_taken);
        SELECT a.request_hash = p_request_hash, a.key_hash, a.sealed INTO is_same, name, sealed
          FROM permit.idempotent_answers AS a
         WHERE a.tenant_id = v_tenant AND a.key_hash = ANY (p_names)
         ORDER BY a.sealed IS NULL
         LIMIT 1;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.claim_sealed_answer(bytea[], bytea) TO permit_vendor;

CREATE OR REPLACE FUNCTION permit.keep_answer(p_key_hash bytea, p_sealed bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.idempotent_answers AS a
       SET sealed = p_sealed
     WHERE a.tenant_id = permit.current_tenant() AND a.key_hash = p_key_hash;
END
$$;
GRANT EXECUTE ON FUNCTION permit.keep_answer(bytea, bytea) TO permit_vendor;
