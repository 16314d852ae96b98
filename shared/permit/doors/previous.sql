-- What the release before this one calls and this one does not: its code goes on running while this
-- one is deployed, and after a rollback. Each answers to the letter what that code reads. A release
-- later each goes by a DROP below, and that DROP a release after that.

-- Of permit.check_key's facts those that the release before knows: it reads them by position and by an
-- exact set of names, so nothing may be added here. Where it has a seat's end lease_until has taken
-- that in, and it needs none.
CREATE OR REPLACE FUNCTION permit.facts_by_position(p_facts json) RETURNS json
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT json_build_array(
               json_build_array(
                   f.checked_at, f.tenant_id, f.licence_id, f.licence_revision, f.metadata,
                   f.licence_entitlements, f.key_valid_until, f.revoked_at, f.suspended_at,
                   f.starts_at, f.expires_at, f.grace_ends_at, f.max_devices, f.devices_used,
                   f.lease_until, f.device_id, f.device_state, f.first_seen_at, f.last_seen_at,
                   NULL, f.kid, f.sealed_key, f.master_version,
                   json_build_object(
                       'policy_revision', p.policy_revision, 'product', p.product,
                       'policy', p.policy, 'policy_entitlements', p.policy_entitlements,
                       'on_expiry', p.on_expiry, 'device_required', p.device_required,
                       'activation', p.activation, 'matching', p.matching, 'overage', p.overage)),
               CASE WHEN f.more IS NOT NULL
                    THEN json_build_object(
                        'used_elsewhere', m.used_elsewhere, 'seats_ahead', m.seats_ahead,
                        'seated_devices', m.seated_devices) END)
      FROM json_to_record(p_facts) AS f (
               checked_at json, tenant_id json, licence_id json, licence_revision json,
               metadata json, licence_entitlements json, key_valid_until json, revoked_at json,
               suspended_at json, starts_at json, expires_at json, grace_ends_at json,
               max_devices json, devices_used json, lease_until json, device_id json,
               device_state json, first_seen_at json, last_seen_at json,
               kid json, sealed_key json, master_version json, policy_facts json, more json)
     CROSS JOIN LATERAL json_to_record(f.policy_facts) AS p (
               policy_revision json, product json, policy json, policy_entitlements json,
               on_expiry json, device_required json, activation json, matching json, overage json)
     CROSS JOIN LATERAL json_to_record(coalesce(f.more, '{}')) AS m (
               used_elsewhere json, seats_ahead json, seated_devices json)
$$;

CREATE OR REPLACE FUNCTION permit.check_licence(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,
    p_components       jsonb,
    p_device_name      text,
    p_platform         text
) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN permit.facts_by_position(permit.check_key(
        p_key_hash, p_fingerprint_hash, p_components, p_device_name, p_platform, NULL));
END
$$;
GRANT EXECUTE ON FUNCTION permit.check_licence(bytea, bytea, jsonb, text, text) TO permit_check;

CREATE OR REPLACE FUNCTION permit.claim_seat(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,
    p_components       jsonb,
    p_device_name      text,
    p_platform         text,
    p_licence_revision integer,
    p_policy_revision  integer,
    p_unchanged_until  timestamptz,
    OUT answer         json,
    OUT refused        text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT permit.facts_by_position(c.answer), c.refused INTO answer, refused
      FROM permit.claim_seat_by_key(
               p_key_hash, p_fingerprint_hash, p_components, p_device_name, p_platform, NULL,
               p_licence_revision, p_policy_revision, p_unchanged_until) AS c;
END
$$;
GRANT EXECUTE ON FUNCTION permit.claim_seat(
    bytea, bytea, jsonb, text, text, integer, integer, timestamptz) TO permit_check;

-- The holder's release: where the seat is kept until its last proof ends, the older code does not say so.
CREATE OR REPLACE FUNCTION permit.release_device(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,
    p_device_id        uuid,
    OUT code           text,
    OUT devices_used   integer,
    OUT available_at   timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT r.code, r.devices_used, r.available_at INTO code, devices_used, available_at
      FROM permit.release_seat(p_key_hash, p_fingerprint_hash, p_device_id) AS r;
END
$$;
GRANT EXECUTE ON FUNCTION permit.release_device(bytea, bytea, uuid) TO permit_check;

-- In the vendor's list of devices.
CREATE OR REPLACE FUNCTION permit.device_state(
    p_state text, p_last_seen_at timestamptz, p_seat_ttl interval, p_now timestamptz
) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT permit.device_state(p_state, p_last_seen_at, NULL, NULL, p_seat_ttl, p_now)
$$;
GRANT EXECUTE ON FUNCTION permit.device_state(text, timestamptz, interval, timestamptz)
   TO permit_vendor, permit_operator;

-- The release before knows an Idempotency-Key by its SHA-256, and keeps answers for a day. What this one
-- keeps it finds without an answer, which it refuses as a key that is in use.
CREATE OR REPLACE FUNCTION permit.claim_answer(
    p_key_hash       bytea,
    p_request_hash   bytea,
    OUT is_new       boolean,
    OUT is_same      boolean,
    OUT sealed       bytea
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now timestamptz := permit.clock();
BEGIN
    INSERT INTO permit.idempotent_answers AS a
           (tenant_id, key_hash, request_hash, created_at, kept_until)
    VALUES (permit.current_tenant(), p_key_hash, p_request_hash, v_now, v_now + interval '24 hours')
        ON CONFLICT (tenant_id, key_hash) DO UPDATE
           SET request_hash = excluded.request_hash, sealed = NULL,
               created_at = excluded.created_at, kept_until = excluded.kept_until
         WHERE a.kept_until <= v_now;
    is_new := FOUND;
    IF NOT is_new THEN
        SELECT a.request_hash = p_request_hash, a.sealed INTO is_same, sealed
          FROM permit.idempotent_answers AS a
         WHERE a.tenant_id = permit.current_tenant() AND a.key_hash = p_key_hash;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.claim_answer(bytea, bytea) TO permit_vendor;

-- No code calls these any more: the release before this one did not.
DROP FUNCTION IF EXISTS permit.check_key(bytea, bytea, jsonb, text, text);
DROP FUNCTION IF EXISTS permit.claim_seat_by_key(
    bytea, bytea, jsonb, text, text, integer, integer, timestamptz);
DROP FUNCTION IF EXISTS permit.activate_device(uuid, bytea, text);
DROP FUNCTION IF EXISTS permit.admit_login(text, bytea[], integer[], integer[]);
DROP FUNCTION IF EXISTS permit.enter_as_operator(uuid);

-- What the doors of the release before have called, and a call that is under way while this release is
-- deployed still does. To be dropped with the next one (tests/integration/test_upgrade.py reads this):
-- permit.is_used_elsewhere(uuid,uuid,uuid,uuid,bytea,timestamp with time zone)
-- permit.rebind_device(permit.devices,bytea,jsonb,timestamp with time zone)
-- permit.seat_or_refuse(uuid,uuid,uuid,uuid,integer,text,text,interval,text,integer,bytea,jsonb,text,text,timestamp with time zone)
-- permit.take_seat(uuid,uuid,uuid,bytea,jsonb,text,text,timestamp with time zone)
