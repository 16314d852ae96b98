-- The check of a known device, whole: the facts that decide it, and last_seen_at refreshed when
-- due. One call, because plpgsql keeps its plans in the backend and each call is a round trip.
--
-- Answers with the facts by name, as permit.check.facts.LicenceFacts has them: as JSON because thirty
-- columns cost the client more than the search costs the server. `policy_facts` is what the policy has
-- ready-made, `more` what few checks need (permit.special_facts). A reader ignores names that it
-- does not know, so a member may be added. Null: no licence has this key.
CREATE OR REPLACE FUNCTION permit.check_key(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,   -- null: the caller named no device
    p_components       jsonb,
    p_device_name      text,
    p_platform         text,
    p_version          text     -- of the program that asks
) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_answer   json;
    v_now      timestamptz;
    v_tenant   uuid;
    v_licence  uuid;
    v_device   uuid;
    v_seat_ttl interval;
    v_until    timestamptz;  -- when the last proof ends that is given before the row is written again
    v_is_due   boolean;
BEGIN
    LOOP
        SELECT json_build_object(
                   'checked_at', clock.now, 'tenant_id', l.tenant_id, 'licence_id', l.id,
                   'licence_revision', l.revision, 'metadata', l.metadata,
                   'licence_entitlements', l.entitlements, 'key_valid_until', k.valid_until,
                   'revoked_at', l.revoked_at, 'suspended_at', l.suspended_at,
                   'starts_at', l.starts_at, 'expires_at', l.expires_at,
                   'grace_ends_at', l.expires_at + p.grace_interval,
                   'max_devices', rule.seat_limit, 'devices_used', seats.taken,
                   'lease_until', lease.until, 'refresh_at', clock.now + p.seat_ttl_interval / 3,
                   'device_id', d.id, 'device_state', rule.device_state,
                   'first_seen_at', d.first_seen_at, 'last_seen_at', d.last_seen_at,
                   'seat_free_at', CASE rule.device_state WHEN 'seated' THEN d.seat_free_at END,
                   'kid', proof_key.kid, 'sealed_key', proof_key.sealed,
                   'master_version', proof_key.master_version, 'policy_facts', p.facts,
                   'more', CASE
                       -- Full for this device, or bound to one licence of several: rare.
                       WHEN p_fingerprint_hash IS NOT NULL
                        AND (p.unique_in <> 'none'
                             OR seats.taken - CASE rule.device_state WHEN 'seated' THEN 1 ELSE 0 END
                                >= rule.seat_limit)
                       THEN permit.special_facts(l.tenant_id, l.id, d.id, p_fingerprint_hash,
                                                 clock.now) END),
               clock.now, l.tenant_id, l.id, d.id, p.seat_ttl_interval,
               permit.lease_ends_at(
                   clock.now + CASE WHEN p.seat_ttl_interval IS NULL THEN permit.seen_lag(NULL)
                                    ELSE interval '0' END,
                   p.lease_interval, p.seat_ttl_interval, k.valid_until, rule.blocks_at,
                   rule.is_short),
               -- Written at most every five minutes, oftener only for a short seat_ttl or lease, another
               -- seat_ttl than at the last check, a new version of the program, or a proof that ends
               -- later than those before; and never where the licence is not in force: it keeps no seat
               -- alive.
               CASE permit.licence_status(l.revoked_at, l.suspended_at, l.starts_at, l.expires_at,
                                          p.grace_interval, clock.now)
                    WHEN 'active' THEN true
                    WHEN 'grace' THEN true
                    WHEN 'expired' THEN p.on_expiry <> 'block'
                    ELSE false END
                   AND coalesce(clock.now < k.valid_until, true)
                   AND (p_fingerprint_hash IS NULL
                        OR rule.device_state = 'seated' AND d.seat_free_at IS NULL
                       AND (d.last_seen_at <= clock.now - least(
                                permit.seen_lag(p.seat_ttl_interval),
                                CASE WHEN p.seat_ttl_interval IS NOT NULL
                                     THEN p.lease_interval / 4 END)
                            OR d.version IS DISTINCT FROM coalesce(p_version, d.version)
                            OR d.last_seat_ttl IS DISTINCT FROM p.seat_ttl_interval
                            OR coalesce(lease.until > d.leased_until, true)))
          INTO v_answer, v_now, v_tenant, v_licence, v_device, v_seat_ttl, v_until, v_is_due
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
               SELECT permit.seat_limit(l.max_devices, p.max_devices),
                      permit.device_state(d.state, d.last_seen_at, d.leased_until, d.seat_free_at,
                                          least(p.seat_ttl_interval, d.last_seat_ttl), clock.now),
                      CASE p.on_expiry WHEN 'block' THEN l.expires_at + p.grace_interval END,
                      p.seat_ttl_interval IS NOT NULL AND clock.now < d.short_leases_until
               ) AS rule (seat_limit, device_state, blocks_at, is_short)
         CROSS JOIN LATERAL (
               -- A check that writes nothing gives no proof that ends later than the row says: where
               -- floating, counted from last_seen_at; else the row has allowed for those of five
               -- minutes.
               SELECT permit.lease_ends_at(
                          CASE WHEN p.seat_ttl_interval IS NULL THEN clock.now
                               ELSE coalesce(d.last_seen_at, clock.now) END,
                          p.lease_interval, p.seat_ttl_interval, k.valid_until, rule.blocks_at,
                          rule.is_short)
               ) AS lease (until)
         CROSS JOIN LATERAL (
               -- Exact to a thousand; further only where the limit itself is further.
               SELECT count(*)
                 FROM permit.live_seats(l.id, p.seat_ttl_interval, clock.now, greatest(
                          1000, rule.seat_limit + p.overage + 1))
               ) AS seats (taken)
         WHERE k.key_hash = p_key_hash;
        EXIT WHEN NOT FOUND OR v_is_due IS NOT TRUE;

        -- Losing a second of what follows in a crash harms nobody, so its commit does not wait for the
        -- disk; unless this transaction has written something before, as claim_seat_by_key has.
        IF pg_current_xact_id_if_assigned() IS NULL THEN
            PERFORM set_config('synchronous_commit', 'off', true);
        END IF;
        IF p_fingerprint_hash IS NULL THEN
            PERFORM permit.note_deviceless_check(v_tenant, v_licence, v_now);
            EXIT;
        END IF;
        -- Still seated? Somebody may have taken the seat since it was read. Read again either way.
        UPDATE permit.devices AS d
           SET last_seen_at = v_now,
               components = coalesce(p_components, d.components),
               name = coalesce(p_device_name, d.name),
               platform = coalesce(p_platform, d.platform),
               version = coalesce(p_version, d.version),
               leased_until = greatest(d.leased_until, v_until),
               last_seat_ttl = v_seat_ttl
         WHERE d.tenant_id = v_tenant AND d.id = v_device AND d.state = 'seated'
           AND d.seat_free_at IS NULL
           AND NOT permit.is_seat_free(
                   d.last_seen_at, d.leased_until, d.seat_free_at,
                   least(v_seat_ttl, d.last_seat_ttl), v_now);
    END LOOP;

    RETURN v_answer;
END
$$;
GRANT EXECUTE ON FUNCTION permit.check_key(bytea, bytea, jsonb, text, text, text) TO permit_check;
