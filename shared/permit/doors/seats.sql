-- What the doors of the check share. None of these is granted to a function's role.

-- The seats that are taken now, first taken first.
CREATE OR REPLACE FUNCTION permit.live_seats(
    p_licence_id uuid, p_seat_ttl interval, p_now timestamptz, p_at_most bigint
) RETURNS TABLE (id uuid, seated_at timestamptz, name text, platform text, last_seen_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT d.id, d.seated_at, d.name, d.platform, d.last_seen_at
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id
       AND d.state = 'seated'
       AND NOT permit.is_seat_free(
               d.last_seen_at, d.leased_until, d.seat_free_at, least(p_seat_ttl, d.last_seat_ttl),
               p_now)
     ORDER BY d.seated_at, d.id
     LIMIT p_at_most
$$;

-- When a proof ends that is given for a device that was seen at p_since: with the lease; where floating
-- so early that the seat is still its own; with the overlap of a replaced key; with a licence that then
-- blocks. A null limits nothing. Where the device's former fingerprint has a proof that is still good,
-- soon.
CREATE OR REPLACE FUNCTION permit.lease_ends_at(
    p_since timestamptz, p_lease interval, p_seat_ttl interval, p_key_valid_until timestamptz,
    p_blocks_at timestamptz, p_is_short boolean
) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT least(p_since + p_lease, p_since + p_seat_ttl, p_key_valid_until, p_blocks_at,
                 CASE WHEN p_is_short THEN p_since + interval '15 minutes' END)
$$;

-- The seats of a licence, its overage included; null: unlimited.
CREATE OR REPLACE FUNCTION permit.most_seats(p_licence permit.licences, p_policy permit.policies)
RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT permit.seat_limit(p_licence.max_devices, p_policy.max_devices) + p_policy.overage
$$;

-- Marks the seats that are free again, so that those which are left can be counted. The caller holds the
-- lock on the licence.
CREATE OR REPLACE FUNCTION permit.mark_lapsed(
    p_licence permit.licences, p_policy permit.policies, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE permit.devices AS d
       SET state = permit.device_state(
               d.state, d.last_seen_at, d.leased_until, d.seat_free_at,
               least(p_policy.seat_ttl_interval, d.last_seat_ttl), p_now)
     WHERE d.licence_id = p_licence.id AND d.state = 'seated'
       AND permit.is_seat_free(
               d.last_seen_at, d.leased_until, d.seat_free_at,
               least(p_policy.seat_ttl_interval, d.last_seat_ttl), p_now);
END
$$;

-- Whether every seat is taken, once those that are free again are marked.
CREATE OR REPLACE FUNCTION permit.is_full(p_licence permit.licences, p_policy permit.policies)
RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(permit.most_seats(p_licence, p_policy) <= (
        SELECT count(*) FROM permit.devices AS d
         WHERE d.licence_id = p_licence.id AND d.state = 'seated'), false);
END
$$;

-- Was this fingerprint ever seated under another licence of the policy, or of the product, whichever it
-- is to be unique in, before p_before (null: at any time)?
CREATE OR REPLACE FUNCTION permit.is_used_elsewhere(
    p_licence permit.licences, p_policy permit.policies, p_fingerprint_hash bytea,
    p_before timestamptz
) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM (
               SELECT d.licence_id, d.first_seated_at
                 FROM permit.devices AS d
                WHERE d.tenant_id = p_licence.tenant_id AND d.fingerprint_hash = p_fingerprint_hash
                  AND d.first_seated_at IS NOT NULL
               UNION ALL
               SELECT r.licence_id, r.first_seated_at
                 FROM permit.retired_fingerprints AS r
                WHERE r.tenant_id = p_licence.tenant_id AND r.fingerprint_hash = p_fingerprint_hash
                  AND r.first_seated_at IS NOT NULL
               ) AS seen
          JOIN permit.licences AS l ON l.tenant_id = p_licence.tenant_id AND l.id = seen.licence_id
         WHERE seen.licence_id <> p_licence.id
           AND CASE p_policy.unique_in WHEN 'policy' THEN l.policy_id = p_licence.policy_id
                                       ELSE l.product_id = p_licence.product_id END
           AND (p_before IS NULL OR seen.first_seated_at < p_before))
$$;

-- What few checks need to know beyond the facts: whether one machine has used several licences;
-- how many seats were taken before this device's; and, where it gets none, who holds them (at most
-- a hundred, longest unused first), so that the key's owner can release one.
CREATE OR REPLACE FUNCTION permit.special_facts(
    p_tenant_id uuid, p_licence_id uuid, p_device_id uuid, p_fingerprint_hash bytea,
    p_now timestamptz
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_licence   permit.licences;
    v_policy    permit.policies;
    v_device    permit.devices;
    v_ahead     bigint;
    v_elsewhere boolean;
    v_seated    json;
BEGIN
    SELECT l.* INTO v_licence
      FROM permit.licences AS l
     WHERE l.tenant_id = p_tenant_id AND l.id = p_licence_id;
    SELECT p.* INTO v_policy
      FROM permit.policies AS p
     WHERE p.tenant_id = p_tenant_id AND p.id = v_licence.policy_id;
    SELECT d.* INTO v_device
      FROM permit.devices AS d
     WHERE d.tenant_id = p_tenant_id AND d.id = p_device_id;

    v_elsewhere := v_policy.unique_in <> 'none' AND permit.is_used_elsewhere(
        v_licence, v_policy, p_fingerprint_hash, v_device.first_seated_at);

    -- No further than the limit; not at all where there is none.
    SELECT count(*) INTO v_ahead
      FROM permit.live_seats(p_licence_id, v_policy.seat_ttl_interval, p_now,
                             coalesce(permit.most_seats(v_licence, v_policy), 0)) AS seat
     WHERE v_device.state IS DISTINCT FROM 'seated'
        OR permit.is_seat_free(v_device.last_seen_at, v_device.leased_until, v_device.seat_free_at,
                               least(v_policy.seat_ttl_interval, v_device.last_seat_ttl), p_now)
        OR (seat.seated_at, seat.id) < (v_device.seated_at, v_device.id);

    IF v_policy.self_service AND v_ahead >= permit.most_seats(v_licence, v_policy) THEN
        SELECT coalesce(json_agg(json_build_object(
                   'id', seat.id, 'name', seat.name, 'platform', seat.platform,
                   'last_seen_at', seat.last_seen_at)
               ORDER BY seat.last_seen_at, seat.id), '[]')
          INTO v_seated
          FROM permit.live_seats(p_licence_id, v_policy.seat_ttl_interval, p_now, 100) AS seat;
    END IF;
    RETURN json_build_object('used_elsewhere', v_elsewhere, 'seats_ahead', v_ahead,
                             'seated_devices', v_seated);
END
$$;

-- At most one write in five minutes for a licence that is checked without a device.
CREATE OR REPLACE FUNCTION permit.note_deviceless_check(
    p_tenant_id uuid, p_licence_id uuid, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM permit.licence_checks AS c
                    WHERE c.licence_id = p_licence_id
                      AND c.last_checked_at > p_now - interval '5 minutes') THEN
        -- From the licence, which may have been erased since it was found.
        INSERT INTO permit.licence_checks AS c (tenant_id, licence_id, last_checked_at)
        SELECT l.tenant_id, l.id, p_now
          FROM permit.licences AS l
         WHERE l.tenant_id = p_tenant_id AND l.id = p_licence_id
           FOR KEY SHARE
        ON CONFLICT (licence_id)
        DO UPDATE SET last_checked_at = greatest(c.last_checked_at, excluded.last_checked_at);
    END IF;
END
$$;

-- The device that most resembles these components, if it resembles them enough; null where the
-- fingerprint is one that a device left behind.
CREATE OR REPLACE FUNCTION permit.match_device(
    p_licence_id uuid, p_matching text, p_fingerprint_hash bytea, p_components jsonb
) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT d.id
      FROM permit.devices AS d
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE d.components ->> sent.key = sent.value) AS equal,
                  greatest(count(*), (SELECT count(*) FROM jsonb_object_keys(d.components))) AS larger
             FROM jsonb_each_text(p_components) AS sent
           ) AS comparison
     WHERE d.licence_id = p_licence_id
       AND comparison.equal >= CASE p_matching WHEN 'any' THEN 1
                                               WHEN 'two' THEN 2
                                               WHEN 'most' THEN greatest(1, (comparison.larger + 1) / 2)
                                               WHEN 'all' THEN greatest(1, comparison.larger) END
       AND NOT EXISTS (SELECT FROM permit.retired_fingerprints AS r
                        WHERE r.licence_id = p_licence_id AND r.fingerprint_hash = p_fingerprint_hash)
     ORDER BY comparison.equal DESC, d.last_seen_at DESC, d.id
     LIMIT 1
$$;

-- How the key's holder stands against max_releases, which binds node-locked licences alone: null
-- while a swap is free, else when the next one will be (infinity: never).
CREATE OR REPLACE FUNCTION permit.swap_available_at(
    p_licence_id uuid, p_max_releases integer, p_seat_ttl interval, p_now timestamptz
) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_seat_ttl IS NOT NULL OR p_max_releases IS NULL THEN NULL
                WHEN p_max_releases = 0 THEN timestamptz 'infinity'
                ELSE (SELECT s.swapped_at + interval '30 days'
                        FROM permit.swaps AS s
                       WHERE s.licence_id = p_licence_id AND s.swapped_at > p_now - interval '30 days'
                       ORDER BY s.swapped_at DESC
                      OFFSET p_max_releases - 1 LIMIT 1) END
$$;

-- Gives a changed machine's device its new fingerprint; the old one never matches again. Both could have
-- long proofs, so the new one's are short until the old one's have ended, while the seat floats: where it
-- does not, max_releases bounds this.
CREATE OR REPLACE FUNCTION permit.rebind_device(
    p_device permit.devices, p_sent permit.devices, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- A left fingerprint may have come back as a new device, and be left once more.
    INSERT INTO permit.retired_fingerprints
           (tenant_id, licence_id, device_id, fingerprint_hash, first_seated_at, retired_at)
    VALUES (p_device.tenant_id, p_device.licence_id, p_device.id, p_device.fingerprint_hash,
            p_device.first_seated_at, p_now)
        ON CONFLICT (licence_id, fingerprint_hash) DO UPDATE SET device_id = excluded.device_id;
    UPDATE permit.devices AS d
       SET fingerprint_hash = p_sent.fingerprint_hash, components = p_sent.components,
           short_leases_until = greatest(d.short_leases_until, d.leased_until)
     WHERE d.tenant_id = p_device.tenant_id AND d.id = p_device.id;
END
$$;

CREATE OR REPLACE FUNCTION permit.is_left_by_blocked(
    p_tenant_id uuid, p_licence_id uuid, p_fingerprint_hash bytea
) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM permit.retired_fingerprints AS r
          JOIN permit.devices AS d ON d.tenant_id = p_tenant_id AND d.id = r.device_id
         WHERE r.licence_id = p_licence_id AND r.fingerprint_hash = p_fingerprint_hash
           AND d.state = 'blocked')
$$;

-- Seats this device: the one given, else (it has no id) a new one; one that has given its seat back
-- and comes again has never left it. The caller holds the lock and has counted. The row says when the
-- proof can end that follows, so that the check of this claim has nothing more to write.
CREATE OR REPLACE FUNCTION permit.take_seat(
    p_licence permit.licences, p_device permit.devices, p_sent permit.devices, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_seat_ttl interval;
    v_lease    interval;
    v_since    timestamptz := p_now;
BEGIN
    SELECT p.seat_ttl_interval, p.lease_interval INTO v_seat_ttl, v_lease
      FROM permit.policies AS p
     WHERE p.tenant_id = p_licence.tenant_id AND p.id = p_licence.policy_id;
    IF v_seat_ttl IS NULL THEN
        v_since := p_now + permit.seen_lag(NULL);  -- as in permit.check_key
    END IF;
    IF p_device.id IS NULL THEN
        INSERT INTO permit.devices
               (tenant_id, licence_id, fingerprint_hash, components, name, platform, version, state,
                seated_at, first_seated_at, first_seen_at, last_seen_at, last_seat_ttl,
                leased_until)
        VALUES (p_licence.tenant_id, p_licence.id, p_sent.fingerprint_hash,
                coalesce(p_sent.components, '{}'), p_sent.name, p_sent.platform, p_sent.version,
                'seated', p_now, p_now, p_now, p_now, v_seat_ttl,
                permit.lease_ends_at(v_since, v_lease, v_seat_ttl, NULL, NULL, false));
        RETURN;
    END IF;
    UPDATE permit.devices AS d
       SET state = 'seated',
           seated_at = CASE d.state WHEN 'seated' THEN d.seated_at ELSE p_now END,
           first_seated_at = coalesce(d.first_seated_at, p_now),
           seat_free_at = NULL,
           last_seen_at = p_now,
           last_seat_ttl = v_seat_ttl,
           leased_until = greatest(d.leased_until, permit.lease_ends_at(
               v_since, v_lease, v_seat_ttl, NULL, NULL,
               v_seat_ttl IS NOT NULL AND p_now < d.short_leases_until)),
           components = coalesce(p_sent.components, d.components),
           name = coalesce(p_sent.name, d.name),
           platform = coalesce(p_sent.platform, d.platform),
           version = coalesce(p_sent.version, d.version)
     WHERE d.tenant_id = p_licence.tenant_id AND d.id = p_device.id;
END
$$;

-- Seats the device that sends this fingerprint, or says why it gets none: 'blocked', 'elsewhere',
-- 'manual', 'full' or 'newcomers'. Nothing is written for a refused device, but that a blocked one
-- keeps its block under new parts. The caller holds the lock on the licence. Of p_sent counts what a
-- caller says of a device: fingerprint_hash, components, name, platform, version.
CREATE OR REPLACE FUNCTION permit.seat_or_refuse(
    p_licence permit.licences, p_policy permit.policies, p_sent permit.devices, p_now timestamptz
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_device   permit.devices;
    v_is_match boolean := false;  -- recognised by its components, not by its fingerprint
    v_recent   bigint;
BEGIN
    PERFORM permit.mark_lapsed(p_licence, p_policy, p_now);

    SELECT d.* INTO v_device
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence.id AND d.fingerprint_hash = p_sent.fingerprint_hash;
    IF NOT FOUND AND p_policy.matching <> 'exact' AND p_sent.components IS NOT NULL THEN
        SELECT d.* INTO v_device
          FROM permit.devices AS d
         WHERE d.tenant_id = p_licence.tenant_id
           AND d.id = permit.match_device(
                   p_licence.id, p_policy.matching, p_sent.fingerprint_hash, p_sent.components);
        v_is_match := FOUND;
    END IF;

    -- Changing parts shakes off no block, and is not counted as a swap; nor does going back to a
    -- fingerprint that a blocked device left behind.
    IF v_device.state = 'blocked' OR v_device.id IS NULL AND permit.is_left_by_blocked(
           p_licence.tenant_id, p_licence.id, p_sent.fingerprint_hash) THEN
        IF v_is_match THEN
            PERFORM permit.rebind_device(v_device, p_sent, p_now);
        END IF;
        RETURN 'blocked';
    END IF;

    IF v_is_match AND permit.swap_available_at(
           p_licence.id, p_policy.max_releases, p_policy.seat_ttl_interval, p_now) IS NOT NULL THEN
        v_is_match := false;  -- out of swaps, a changed machine is a new one
        v_device := NULL;
    END IF;

    IF p_policy.unique_in <> 'none' THEN
        -- Two licences may be asked about one machine at once, each under a lock of its own.
        PERFORM pg_advisory_xact_lock(hashtextextended(
            p_licence.tenant_id::text || encode(p_sent.fingerprint_hash, 'hex'), 0));
        IF permit.is_used_elsewhere(
               p_licence, p_policy, p_sent.fingerprint_hash,
               CASE WHEN NOT v_is_match THEN v_device.first_seated_at END) THEN
            RETURN 'elsewhere';
        END IF;
    END IF;

    IF v_device.state IS DISTINCT FROM 'seated' OR v_device.seat_free_at IS NOT NULL THEN
        -- A lapsed device was activated once and comes back by itself. One that has given its seat back
        -- must be activated again; but where it comes before the seat is free, that is still its own.
        IF p_policy.activation = 'manual' AND v_device.state IS DISTINCT FROM 'lapsed' THEN
            RETURN 'manual';
        ELSIF v_device.state IS DISTINCT FROM 'seated' AND permit.is_full(p_licence, p_policy) THEN
            RETURN 'full';
        END IF;
    END IF;

    IF v_device.id IS NULL THEN
        -- A leaked key must not churn through devices: in an hour no more new ones than the policy
        -- says, else than twice the seats, with room for a roll-out. One that has given its seat back
        -- does not count once that is free: a container that ends is followed by the next.
        SELECT count(*) INTO v_recent
          FROM permit.devices AS d
         WHERE d.licence_id = p_licence.id AND d.first_seen_at > p_now - interval '1 hour'
           AND d.state <> 'released';
        IF v_recent >= coalesce(p_policy.max_new_devices, greatest(100, coalesce(
               2 * permit.most_seats(p_licence, p_policy)::bigint, 10000))) THEN
            RETURN 'newcomers';
        END IF;
    ELSIF v_is_match THEN
        PERFORM permit.rebind_device(v_device, p_sent, p_now);
        INSERT INTO permit.swaps (tenant_id, licence_id, device_id, kind, swapped_at)
        VALUES (p_licence.tenant_id, p_licence.id, v_device.id, 'rebind', p_now);
    END IF;

    PERFORM permit.take_seat(p_licence, v_device, p_sent, p_now);
    RETURN NULL;
END
$$;
