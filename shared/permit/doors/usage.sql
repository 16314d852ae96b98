-- Metering: what a licence may use of something in a period, and what it has used.

-- The period of p_period in which p_now lies: by the calendar in UTC ('hour' to 'year'), as whole
-- durations from p_starts_at (ISO 8601), or without end (null).
CREATE OR REPLACE FUNCTION permit.period_at(
    p_period text, p_starts_at timestamptz, p_now timestamptz, OUT starts timestamptz, OUT ends timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_length interval;
    v_count  bigint;
BEGIN
    IF p_period IS NULL THEN
        starts := '-infinity';
    ELSIF p_period IN ('hour', 'day', 'week', 'month', 'year') THEN
        starts := date_trunc(p_period, p_now, 'UTC');
        ends := (starts AT TIME ZONE 'UTC' + ('1 ' || p_period)::interval) AT TIME ZONE 'UTC';
    ELSE
        v_length := p_period::interval;
        -- About how many have passed; months and years differ in length, so look around it.
        v_count := greatest(0, floor(extract(epoch FROM p_now - p_starts_at)
                                     / extract(epoch FROM v_length))::bigint - 1);
        WHILE p_starts_at + (v_count + 1) * v_length <= p_now LOOP
            v_count := v_count + 1;
        END LOOP;
        WHILE v_count > 0 AND p_starts_at + v_count * v_length > p_now LOOP
            v_count := v_count - 1;
        END LOOP;
        starts := p_starts_at + v_count * v_length;
        ends := p_starts_at + (v_count + 1) * v_length;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.period_at(text, timestamptz, timestamptz) TO permit_vendor;

-- The meters of a licence: the policy's, each replaced by the licence's own of the same name.
CREATE OR REPLACE FUNCTION permit.meters_of(p_of_licence jsonb, p_of_policy jsonb)
RETURNS TABLE (name text, most bigint, period text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT ON (meter ->> 'name')
           meter ->> 'name', (meter ->> 'limit')::bigint, meter ->> 'period'
      FROM (SELECT m, 1 FROM jsonb_array_elements(p_of_licence) AS m
            UNION ALL
            SELECT m, 2 FROM jsonb_array_elements(p_of_policy) AS m) AS given (meter, place)
     ORDER BY meter ->> 'name', place
$$;
GRANT EXECUTE ON FUNCTION permit.meters_of(jsonb, jsonb) TO permit_vendor;

-- Counts a usage, if the licence and its policy are still what the caller's verdict was made from and
-- the limit of this period allows it; a refused one counts nothing. Of one Idempotency-Key (per
-- licence, 24 hours) the first accepted usage is answered again and not counted again.
-- Answers {outcome, used, limit, resets_at}: outcome is 'counted', 'full', 'unknown' (no such meter),
-- 'reused' (the key came with another meter or quantity) or 'stale'.
CREATE OR REPLACE FUNCTION permit.count_usage(
    p_key_hash         bytea,
    p_licence_revision integer,
    p_policy_revision  integer,
    p_unchanged_until  timestamptz,  -- null: time alone changes nothing
    p_meter            text,
    p_quantity         bigint,
    p_request_hash     bytea         -- null: without an Idempotency-Key
) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now     timestamptz := permit.clock();
    v_licence record;
    v_meter   record;
    v_period  record;
    v_first   permit.usage_requests;
    v_used    bigint;
    v_answer  json;
BEGIN
    SELECT l.tenant_id, l.id, l.starts_at, l.meters, p.meters AS policy_meters
      INTO v_licence
      FROM permit.licence_keys AS k
      JOIN permit.licences AS l ON l.tenant_id = k.tenant_id AND l.id = k.licence_id
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
     WHERE k.key_hash = p_key_hash AND l.revision = p_licence_revision
       AND p.revision = p_policy_revision AND coalesce(v_now < p_unchanged_until, true)
       FOR KEY SHARE OF l;  -- it is not erased meanwhile
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'stale');
    END IF;

    IF p_request_hash IS NOT NULL THEN
        INSERT INTO permit.usage_requests AS r
               (tenant_id, licence_id, key_hash, meter, quantity, created_at)
        VALUES (v_licence.tenant_id, v_licence.id, p_request_hash, p_meter, p_quantity, v_now)
            ON CONFLICT (licence_id, key_hash) DO UPDATE
               SET meter = excluded.meter, quantity = excluded.quantity, answer = NULL,
                   created_at = excluded.created_at
             WHERE r.created_at <= v_now - interval '24 hours';
        IF NOT FOUND THEN
            SELECT r.* INTO v_first
              FROM permit.usage_requests AS r
             WHERE r.licence_id = v_licence.id AND r.key_hash = p_request_hash;
            IF v_first.meter <> p_meter OR v_first.quantity <> p_quantity THEN
                RETURN json_build_object('outcome', 'reused');
            END IF;
            RETURN v_first.answer;
        END IF;
    END IF;

    SELECT m.name, m.most, m.period INTO v_meter
      FROM permit.meters_of(v_licence.meters, v_licence.policy_meters) AS m
     WHERE m.name = p_meter;
    IF NOT FOUND THEN
        v_answer := json_build_object('outcome', 'unknown');
    ELSE
        SELECT p.starts, p.ends INTO v_period
          FROM permit.period_at(v_meter.period, v_licence.starts_at, v_now) AS p;
        -- The row's lock decides between parallel calls; the limit is looked at under it.
        INSERT INTO permit.usage AS u (tenant_id, licence_id, meter, period_start, used)
        SELECT v_licence.tenant_id, v_licence.id, p_meter, v_period.starts, p_quantity
         WHERE coalesce(p_quantity <= v_meter.most, true)
            ON CONFLICT (licence_id, meter, period_start) DO UPDATE
               SET used = u.used + excluded.used
             WHERE coalesce(u.used + excluded.used <= v_meter.most, true)
        RETURNING u.used INTO v_used;
        v_answer := json_build_object(
            'outcome', CASE WHEN v_used IS NULL THEN 'full' ELSE 'counted' END,
            'used', coalesce(v_used, (SELECT u.used FROM permit.usage AS u
                                       WHERE u.licence_id = v_licence.id AND u.meter = p_meter
                                         AND u.period_start = v_period.starts), 0),
            'limit', v_meter.most, 'resets_at', v_period.ends);
    END IF;

    IF v_used IS NULL THEN  -- nothing was counted, so it may be tried again
        DELETE FROM permit.usage_requests AS r
         WHERE r.licence_id = v_licence.id AND r.key_hash = p_request_hash;
    ELSE
        UPDATE permit.usage_requests AS r
           SET answer = v_answer
         WHERE r.licence_id = v_licence.id AND r.key_hash = p_request_hash;
    END IF;
    RETURN v_answer;
END
$$;
GRANT EXECUTE ON FUNCTION permit.count_usage(
    bytea, integer, integer, timestamptz, text, bigint, bytea) TO permit_check;
