-- What is true of a licence and its devices now, beyond their rows: for the doors, and for the vendor's
-- statements. Each runs with its caller's rights.

CREATE OR REPLACE FUNCTION permit.licence_status(
    p_revoked_at timestamptz, p_suspended_at timestamptz, p_starts_at timestamptz,
    p_expires_at timestamptz, p_grace interval, p_now timestamptz
) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_revoked_at IS NOT NULL THEN 'revoked'
                WHEN p_suspended_at IS NOT NULL THEN 'suspended'
                WHEN p_starts_at IS NULL OR p_now < p_starts_at THEN 'not_started'
                WHEN p_expires_at IS NULL OR p_now < p_expires_at THEN 'active'
                WHEN p_now < p_expires_at + p_grace THEN 'grace'
                ELSE 'expired' END
$$;
GRANT EXECUTE ON FUNCTION permit.licence_status(
    timestamptz, timestamptz, timestamptz, timestamptz, interval, timestamptz)
   TO permit_vendor, permit_operator;

-- Whether a seat was not used for so long that it is free: the one place that says when. Written as
-- one expression, which the planner takes into the statement; null: the seat is not floating.
CREATE OR REPLACE FUNCTION permit.has_lapsed(
    p_last_seen_at timestamptz, p_seat_ttl interval, p_now timestamptz
) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(p_last_seen_at + p_seat_ttl <= p_now, false)
$$;
GRANT EXECUTE ON FUNCTION permit.has_lapsed(timestamptz, interval, timestamptz)
   TO permit_vendor, permit_operator;

-- A device's state; a seat that has lapsed is free before its row is marked so.
CREATE OR REPLACE FUNCTION permit.device_state(
    p_state text, p_last_seen_at timestamptz, p_seat_ttl interval, p_now timestamptz
) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_state = 'seated' AND permit.has_lapsed(p_last_seen_at, p_seat_ttl, p_now)
                THEN 'lapsed' ELSE p_state END
$$;
GRANT EXECUTE ON FUNCTION permit.device_state(text, timestamptz, interval, timestamptz)
   TO permit_vendor, permit_operator;

CREATE OR REPLACE FUNCTION permit.seats_used(
    p_tenant_id uuid, p_licence_id uuid, p_seat_ttl interval, p_now timestamptz
) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT count(*)
      FROM permit.devices AS d
     WHERE d.tenant_id = p_tenant_id AND d.licence_id = p_licence_id AND d.state = 'seated'
       AND NOT permit.has_lapsed(d.last_seen_at, p_seat_ttl, p_now)
$$;
GRANT EXECUTE ON FUNCTION permit.seats_used(uuid, uuid, interval, timestamptz)
   TO permit_vendor, permit_operator;

CREATE OR REPLACE FUNCTION permit.last_checked_at(p_tenant_id uuid, p_licence_id uuid)
RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT greatest(
        (SELECT max(d.last_seen_at) FROM permit.devices AS d
          WHERE d.tenant_id = p_tenant_id AND d.licence_id = p_licence_id),
        (SELECT c.last_checked_at FROM permit.licence_checks AS c
          WHERE c.tenant_id = p_tenant_id AND c.licence_id = p_licence_id))
$$;
GRANT EXECUTE ON FUNCTION permit.last_checked_at(uuid, uuid) TO permit_vendor, permit_operator;

-- Another key; the current one goes on working for p_overlap. No row where there is no such licence,
-- or it was revoked. In statements of their own, so that two rotations at once follow each other.
CREATE OR REPLACE FUNCTION permit.replace_licence_key(
    p_tenant_id uuid, p_licence_id uuid, p_key_hash bytea, p_key_hint text, p_overlap text
) RETURNS SETOF permit.licences
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM permit.licences AS l
      WHERE l.tenant_id = p_tenant_id AND l.id = p_licence_id AND l.revoked_at IS NULL
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- First: the event of this change tells the keys' as well.
    RETURN QUERY
    UPDATE permit.licences AS l
       SET key_hint = p_key_hint
     WHERE l.tenant_id = p_tenant_id AND l.id = p_licence_id
    RETURNING l.*;
    UPDATE permit.licence_keys AS k
       SET valid_until = permit.clock() + p_overlap::interval
     WHERE k.tenant_id = p_tenant_id AND k.licence_id = p_licence_id AND k.valid_until IS NULL;
    INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
    VALUES (p_key_hash, p_tenant_id, p_licence_id);
END
$$;
GRANT EXECUTE ON FUNCTION permit.replace_licence_key(uuid, uuid, bytea, text, text)
   TO permit_vendor, permit_operator;
