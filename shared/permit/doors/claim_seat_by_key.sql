-- The slow path of the check: a device without a seat takes one, a changed machine is recognised,
-- a term begins. All under the lock on the licence row, and only if nothing that the caller's
-- verdict was made from has changed: the licence's and the policy's revisions are what the caller saw,
-- and no instant has passed at which time alone changes the verdict (p_unchanged_until).
-- Repeating the call is harmless. Answers with the facts as they are afterwards.
CREATE OR REPLACE FUNCTION permit.claim_seat_by_key(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,         -- null: the caller named no device
    p_components       jsonb,
    p_device_name      text,
    p_platform         text,
    p_version          text,          -- of the program that asks
    p_licence_revision integer,
    p_policy_revision  integer,
    p_unchanged_until  timestamptz,   -- null: time alone changes nothing
    OUT answer         json,          -- as check_key's
    OUT refused        text           -- 'stale', or why there is no seat (permit.seat_or_refuse)
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now     timestamptz;
    v_licence permit.licences;
    v_policy  permit.policies;
    v_sent    permit.devices;
BEGIN
    -- The row as it is once the lock is had; and then, in a statement of its own, the policy, which
    -- may have been changed while this one waited.
    SELECT l.* INTO v_licence
      FROM permit.licences AS l
      JOIN permit.licence_keys AS k ON k.tenant_id = l.tenant_id AND k.licence_id = l.id
     WHERE k.key_hash = p_key_hash
       FOR NO KEY UPDATE OF l;
    SELECT p.* INTO v_policy
      FROM permit.policies AS p
     WHERE p.tenant_id = v_licence.tenant_id AND p.id = v_licence.policy_id;
    v_now := permit.clock();
    refused := 'stale';

    IF v_licence.revision = p_licence_revision AND v_policy.revision = p_policy_revision
       AND coalesce(v_now < p_unchanged_until, true) THEN
        refused := NULL;
        IF p_fingerprint_hash IS NOT NULL THEN
            v_sent.fingerprint_hash := p_fingerprint_hash;
            v_sent.components := p_components;
            v_sent.name := p_device_name;
            v_sent.platform := p_platform;
            v_sent.version := p_version;
            refused := permit.seat_or_refuse(v_licence, v_policy, v_sent, v_now);
        END IF;
        IF refused IS NULL AND v_licence.starts_at IS NULL THEN
            -- One whose fixed end has passed (in its grace, say) began just before that.
            UPDATE permit.licences AS l
               SET starts_at = least(v_now, l.expires_at - interval '1 second'),
                   expires_at = coalesce(l.expires_at,
                                     permit.later(v_now, v_policy.duration::interval))
             WHERE l.tenant_id = v_licence.tenant_id AND l.id = v_licence.id;
        END IF;
    END IF;

    answer := permit.check_key(p_key_hash, p_fingerprint_hash, NULL, NULL, NULL, NULL);
END
$$;
GRANT EXECUTE ON FUNCTION permit.claim_seat_by_key(
    bytea, bytea, jsonb, text, text, text, integer, integer, timestamptz) TO permit_check;
