-- The slow path of the check: a device without a seat takes one, a changed machine is recognised,
-- a term begins. All under the lock on the licence row, and only if nothing that the caller's
-- verdict was made from has changed: the licence's and the policy's revisions are what he saw, and
-- no instant has passed at which time alone changes the verdict (p_unchanged_until).
-- Repeating the call is harmless. Answers with the facts as they are afterwards.
CREATE OR REPLACE FUNCTION permit.claim_seat(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,         -- null: the caller named no device
    p_components       jsonb,
    p_device_name      text,
    p_platform         text,
    p_licence_revision integer,
    p_policy_revision  integer,
    p_unchanged_until  timestamptz,   -- null: time alone changes nothing
    OUT answer         json,          -- as check_licence's
    OUT refused        text          -- 'stale', or why there is no seat (permit.seat_or_refuse)
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now     timestamptz;
    v_licence record;
BEGIN
    PERFORM FROM permit.licences AS l
      JOIN permit.licence_keys AS k ON k.tenant_id = l.tenant_id AND k.licence_id = l.id
     WHERE k.key_hash = p_key_hash
       FOR NO KEY UPDATE OF l;
    v_now := permit.clock();
    refused := 'stale';

    -- A statement of its own: it sees what was committed while the one before waited for the lock.
    SELECT l.tenant_id, l.id, l.revision, l.starts_at, l.product_id, l.policy_id,
           p.revision AS policy_revision, p.duration::interval AS duration, p.activation,
           p.matching, p.seat_ttl_interval AS seat_ttl, p.unique_in, p.max_releases,
           permit.seat_limit(l.max_devices, p.max_devices) + p.overage AS seats
      INTO v_licence
      FROM permit.licence_keys AS k
      JOIN permit.licences AS l ON l.tenant_id = k.tenant_id AND l.id = k.licence_id
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
     WHERE k.key_hash = p_key_hash;

    IF v_licence.revision = p_licence_revision
       AND v_licence.policy_revision = p_policy_revision
       AND coalesce(v_now < p_unchanged_until, true) THEN
        refused := CASE WHEN p_fingerprint_hash IS NOT NULL THEN permit.seat_or_refuse(
            v_licence.tenant_id, v_licence.id, v_licence.policy_id, v_licence.product_id,
            v_licence.seats, v_licence.activation, v_licence.matching, v_licence.seat_ttl,
            v_licence.unique_in, v_licence.max_releases, p_fingerprint_hash, p_components,
            p_device_name, p_platform, v_now) END;
        IF refused IS NULL AND v_licence.starts_at IS NULL THEN
            -- One whose fixed end has passed (in its grace, say) began just before that.
            UPDATE permit.licences AS l
               SET starts_at = least(v_now, l.expires_at - interval '1 second'),
                   expires_at = coalesce(l.expires_at, v_now + v_licence.duration)
             WHERE l.tenant_id = v_licence.tenant_id AND l.id = v_licence.id;
        END IF;
    END IF;

    answer := permit.check_licence(p_key_hash, p_fingerprint_hash, NULL, NULL, NULL);
END
$$;
GRANT EXECUTE ON FUNCTION permit.claim_seat(
    bytea, bytea, jsonb, text, text, integer, integer, timestamptz) TO permit_check;
