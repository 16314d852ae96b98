-- The check of a known device, whole: the facts that decide it, and last_seen_at refreshed when
-- due. One call, because plpgsql keeps its plans in the backend and each call is a round trip.
--
-- Answers [facts, more]. facts are in the order of permit.queries.checks: as JSON because thirty
-- columns cost the client more than the search costs the server, as an array because names cost
-- again, and the policy's ready made. more holds what few checks need. Null: no licence has this key.
CREATE OR REPLACE FUNCTION permit.check_licence(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,   -- null: the caller named no device
    p_components       jsonb,
    p_device_name      text,
    p_platform         text
) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_facts      json;
    v_now        timestamptz;
    v_tenant     uuid;
    v_licence    uuid;
    v_device     uuid;
    v_seat_ttl   interval;
    v_is_due     boolean;
    v_is_special boolean;
BEGIN
    LOOP
        SELECT json_build_array(
                   clock.now, l.tenant_id, l.id, l.revision, l.metadata, l.entitlements,
                   k.valid_until, l.revoked_at, l.suspended_at, l.starts_at, l.expires_at,
                   l.expires_at + p.grace_interval,
                   permit.seat_limit(l.max_devices, p.max_devices), seats.taken,
                   clock.now + p.lease_interval,
                   d.id, d.state, d.first_seen_at, d.last_seen_at,
                   d.last_seen_at + p.seat_ttl_interval,
                   proof_key.kid, proof_key.sealed, proof_key.master_version, p.facts),
               clock.now, l.tenant_id, l.id, d.id, p.seat_ttl_interval,
               -- Written at most every five minutes, oftener only for a short seat_ttl; and never
               -- where the licence is not in force: it keeps no seat alive.
               l.revoked_at IS NULL AND l.suspended_at IS NULL AND l.starts_at <= clock.now
                   AND coalesce(clock.now < k.valid_until, true)
                   AND (p.on_expiry <> 'block'
                        OR coalesce(clock.now < l.expires_at + p.grace_interval, true))
                   AND (p_fingerprint_hash IS NULL
                        OR d.state = 'seated'
                       AND d.last_seen_at <= clock.now - least(interval '5 minutes',
                                                           p.seat_ttl_interval / 4)
                       AND coalesce(d.last_seen_at + p.seat_ttl_interval > clock.now, true)),
               -- Full for this device, or bound to one licence of several: rare, and looked at below.
               p_fingerprint_hash IS NOT NULL
                   AND (p.unique_in <> 'none'
                        OR seats.taken > permit.seat_limit(l.max_devices, p.max_devices)
                        OR seats.taken = permit.seat_limit(l.max_devices, p.max_devices)
                       AND (d.state IS DISTINCT FROM 'seated'
                            OR d.last_seen_at + p.seat_ttl_interval <= clock.now))
          INTO v_facts, v_now, v_tenant, v_licence, v_device, v_seat_ttl, v_is_due, v_is_special
          -- In the statement, not before: a term that somebody began meanwhile has then begun.
          FROM (SELECT permit.clock()) AS clock (now)
         CROSS JOIN permit.licence_keys AS k
          JOIN permit.licences AS l ON l.tenant_id = k.tenant_id AND l.id = k.licence_id
          JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
          JOIN permit.proof_keys AS proof_key
            ON proof_key.tenant_id = l.tenant_id AND proof_key.state = 'current'
          LEFT JOIN permit.devices AS d
            ON d.licence_id = l.id AND d.fingerprint_hash = p_fingerprint_hash
         CROSS JOIN LATERAL (
               -- Exact to a thousand; further only where the limit itself is further.
               SELECT count(*)
                 FROM permit.live_seats(l.id, p.seat_ttl_interval, clock.now, greatest(
                          1000, permit.seat_limit(l.max_devices, p.max_devices) + p.overage + 1))
               ) AS seats (taken)
         WHERE k.key_hash = p_key_hash;
        EXIT WHEN NOT FOUND OR v_is_due IS NOT TRUE;

        IF p_fingerprint_hash IS NULL THEN
            PERFORM permit.note_deviceless_check(v_tenant, v_licence, v_now);
            EXIT;
        END IF;
        -- Still seated? Somebody may have taken the seat since it was read. Read again either way.
        UPDATE permit.devices AS d
           SET last_seen_at = v_now,
               components = coalesce(p_components, d.components),
               name = coalesce(p_device_name, d.name),
               platform = coalesce(p_platform, d.platform)
         WHERE d.tenant_id = v_tenant AND d.id = v_device AND d.state = 'seated'
           AND coalesce(d.last_seen_at + v_seat_ttl > v_now, true);
    END LOOP;

    RETURN CASE WHEN v_facts IS NULL THEN NULL
                WHEN v_is_special
                THEN json_build_array(v_facts, permit.special_facts(
                         v_tenant, v_licence, v_device, p_fingerprint_hash, v_now))
                ELSE json_build_array(v_facts, NULL) END;
END
$$;
GRANT EXECUTE ON FUNCTION permit.check_licence(bytea, bytea, jsonb, text, text) TO permit_check;
