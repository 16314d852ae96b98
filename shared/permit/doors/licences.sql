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

-- The time that is p_length after another, by the calendar in UTC, whatever the session's time zone.
CREATE OR REPLACE FUNCTION permit.later(p_from timestamptz, p_length interval) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT ((p_from AT TIME ZONE 'UTC') + p_length) AT TIME ZONE 'UTC'
$$;
GRANT EXECUTE ON FUNCTION permit.later(timestamptz, interval) TO permit_vendor, permit_operator;

-- Until when a licence works, its grace included: after that nobody can use it before it is renewed.
CREATE OR REPLACE FUNCTION permit.works_until(
    p_expires_at timestamptz, p_grace interval, p_on_expiry text
) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE p_on_expiry WHEN 'block' THEN coalesce(p_expires_at + p_grace, p_expires_at)
                            ELSE 'infinity' END
$$;
GRANT EXECUTE ON FUNCTION permit.works_until(timestamptz, interval, text)
   TO permit_vendor, permit_operator;

-- What a renewal makes of a term. If its end is a number of whole months (of a duration that mixes
-- months with days: of these durations) after its anchor, the new end is counted from the anchor too: a
-- month from 31 January ends on 28 February, and the next one on 31 March. Otherwise, as when days were
-- added or the end was set by hand, the end becomes the anchor.
--
-- Payments come late. One that comes after the end counts as if it had come before, so that no calendar
-- drifts, while the licence works on, or while it has been blocked for no more than a tenth of what is
-- paid for, and a week: who was blocked for longer gets the whole duration, from now. So does a term that
-- would be over already.
CREATE OR REPLACE FUNCTION permit.renewed_term(
    p_anchor      timestamptz,
    p_ends        timestamptz,
    p_works_until timestamptz,  -- permit.works_until
    p_duration    interval,
    p_now         timestamptz,
    OUT anchor    timestamptz,
    OUT ends      timestamptz
)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_months interval         := date_trunc('month', p_duration);
    v_unit   interval         := CASE WHEN p_duration = v_months THEN interval '1 month'
                                      ELSE p_duration END;
    v_count  double precision := 0;
BEGIN
    IF v_months > interval '0' THEN
        -- A month has 2,629,746 seconds on average. Real ones differ from it by a week at most, however
        -- many there are: less than half a unit, so there is no other number to try.
        v_count := round(
            extract(epoch FROM p_ends - p_anchor)
            / (extract(epoch FROM v_unit - date_trunc('month', v_unit))
               + 2629746 * (12 * extract(year FROM v_unit) + extract(month FROM v_unit))));
    END IF;
    IF v_count > 0 AND permit.later(p_anchor, v_unit * v_count) = p_ends THEN
        anchor := p_anchor;
        ends := permit.later(p_anchor, v_unit * v_count + p_duration);
    ELSE
        anchor := p_ends;
        ends := permit.later(p_ends, p_duration);
    END IF;
    IF ends <= p_now
       OR p_now > permit.later(p_works_until, least(p_duration / 10, interval '7 days')) THEN
        anchor := p_now;
        ends := permit.later(p_now, p_duration);
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.renewed_term(
    timestamptz, timestamptz, timestamptz, interval, timestamptz)
   TO permit_vendor, permit_operator;

-- What becomes of a term when its licence is changed, and has a policy of this duration (null: without
-- end) then. Where the change begins the term of one that waits, that gets its end, as at its first check.
CREATE OR REPLACE FUNCTION permit.changed_term(
    p_term        text,         -- 'keep', 'restart' or 'extend'
    p_has_waited  boolean,      -- it had no start
    p_anchor      timestamptz,
    p_starts_at   timestamptz,  -- null: waits for its first check, which begins the term
    p_ends        timestamptz,
    p_works_until timestamptz,  -- permit.works_until, by the policy that it has had
    p_duration    interval,
    p_now         timestamptz,
    OUT anchor    timestamptz,
    OUT ends      timestamptz
)
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    anchor := p_anchor;
    ends := p_ends;
    IF p_term = 'restart' THEN
        anchor := CASE WHEN p_starts_at IS NOT NULL THEN greatest(p_starts_at, p_now) END;
        ends := permit.later(anchor, p_duration);
    ELSIF p_term = 'extend' AND p_duration IS NULL THEN
        ends := NULL;
    ELSIF p_term = 'extend' AND p_ends IS NOT NULL THEN
        SELECT t.anchor, t.ends INTO anchor, ends
          FROM permit.renewed_term(
                   coalesce(p_anchor, p_starts_at), p_ends, p_works_until, p_duration, p_now) AS t;
    ELSIF p_term = 'keep' AND p_has_waited AND p_ends IS NULL THEN
        ends := permit.later(p_starts_at, p_duration);
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.changed_term(
    text, boolean, timestamptz, timestamptz, timestamptz, timestamptz, interval, timestamptz)
   TO permit_vendor, permit_operator;

-- How much earlier than its last check a device's last_seen_at may be: it is rewritten at most so often.
CREATE OR REPLACE FUNCTION permit.seen_lag(p_seat_ttl interval) RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT least(interval '5 minutes', p_seat_ttl / 4)
$$;

-- When a seat is free because its device has not checked for p_seat_ttl: the one place that says when;
-- null: the seat is not floating. Never before seat_ttl has passed since its last check, which was at
-- most seen_lag after last_seen_at; both orders, because with months in it they differ by days.
CREATE OR REPLACE FUNCTION permit.seat_lapses_at(p_last_seen_at timestamptz, p_seat_ttl interval)
RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT greatest(p_last_seen_at + p_seat_ttl + permit.seen_lag(p_seat_ttl),
                    p_last_seen_at + permit.seen_lag(p_seat_ttl) + p_seat_ttl)
$$;

-- Whether it has come to that. These are one expression each, which the planner takes into the
-- statement; most seats are so fresh that the first comparison decides.
CREATE OR REPLACE FUNCTION permit.has_lapsed(
    p_last_seen_at timestamptz, p_seat_ttl interval, p_now timestamptz
) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_last_seen_at + p_seat_ttl <= p_now
                THEN permit.seat_lapses_at(p_last_seen_at, p_seat_ttl) <= p_now
                ELSE false END
$$;

-- Whether the seat of a row that says 'seated' is free all the same: it was given back, or it has lapsed.
-- p_seat_ttl is the shorter of the policy's and last_seat_ttl, so that a seat that has lapsed stays free
-- when the policy's grows. After it was made shorter, or the licence began to float, a proof of before
-- may be good for longer: the seat waits for it.
CREATE OR REPLACE FUNCTION permit.is_seat_free(
    p_last_seen_at timestamptz, p_leased_until timestamptz, p_seat_free_at timestamptz,
    p_seat_ttl interval, p_now timestamptz
) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(p_seat_free_at <= p_now, false)
        OR permit.has_lapsed(p_last_seen_at, p_seat_ttl, p_now)
       AND coalesce(p_leased_until <= p_now, true)
$$;

-- A device's state; a seat is free before its row is marked so.
CREATE OR REPLACE FUNCTION permit.device_state(
    p_state text, p_last_seen_at timestamptz, p_leased_until timestamptz, p_seat_free_at timestamptz,
    p_seat_ttl interval, p_now timestamptz
) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_state = 'seated'
                 AND permit.is_seat_free(
                         p_last_seen_at, p_leased_until, p_seat_free_at, p_seat_ttl, p_now)
                THEN CASE WHEN p_seat_free_at IS NULL THEN 'lapsed' ELSE 'released' END
                ELSE p_state END
$$;

CREATE OR REPLACE FUNCTION permit.seats_used(
    p_tenant_id uuid, p_licence_id uuid, p_seat_ttl interval, p_now timestamptz
) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT count(*)
      FROM permit.devices AS d
     WHERE d.tenant_id = p_tenant_id AND d.licence_id = p_licence_id AND d.state = 'seated'
       AND NOT permit.is_seat_free(
               d.last_seen_at, d.leased_until, d.seat_free_at, least(p_seat_ttl, d.last_seat_ttl),
               p_now)
$$;
GRANT EXECUTE ON FUNCTION
    permit.seen_lag(interval),
    permit.seat_lapses_at(timestamptz, interval),
    permit.has_lapsed(timestamptz, interval, timestamptz),
    permit.is_seat_free(timestamptz, timestamptz, timestamptz, interval, timestamptz),
    permit.device_state(text, timestamptz, timestamptz, timestamptz, interval, timestamptz),
    permit.seats_used(uuid, uuid, interval, timestamptz)
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
    -- Those in an overlap of before too: whoever has the present key may know them.
    UPDATE permit.licence_keys AS k
       SET valid_until = permit.clock() + p_overlap::interval
     WHERE k.tenant_id = p_tenant_id AND k.licence_id = p_licence_id
       AND coalesce(k.valid_until > permit.clock() + p_overlap::interval, true);
    INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
    VALUES (p_key_hash, p_tenant_id, p_licence_id);
END
$$;
GRANT EXECUTE ON FUNCTION permit.replace_licence_key(uuid, uuid, bytea, text, text)
   TO permit_vendor, permit_operator;
