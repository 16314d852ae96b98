-- The key's holder gives a seat back, named by fingerprint or by device id (one of the two is null). A
-- floating seat whose last proof is good for longer than 15 minutes is free when that ends, and taken
-- until then: else one seat could give proofs to any number of devices, one after the other.
CREATE OR REPLACE FUNCTION permit.release_seat(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,
    p_device_id        uuid,
    OUT code           text,
    OUT devices_used   integer,
    OUT available_at   timestamptz,  -- with RELEASE_LIMIT: when the next release will be free
    OUT seat_free_at   timestamptz   -- when a seat that was given back is free; null: now, or it was not
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now     timestamptz;
    v_licence record;
    v_device  permit.devices;
    v_until   timestamptz;
    v_free_at timestamptz;
BEGIN
    PERFORM FROM permit.licences AS l
      JOIN permit.licence_keys AS k ON k.tenant_id = l.tenant_id AND k.licence_id = l.id
     WHERE k.key_hash = p_key_hash
       FOR NO KEY UPDATE OF l;
    v_now := permit.clock();

    SELECT l.tenant_id, l.id, p.seat_ttl_interval AS seat_ttl, p.lease_interval AS lease,
           p.max_releases
      INTO v_licence
      FROM permit.licence_keys AS k
      JOIN permit.licences AS l ON l.tenant_id = k.tenant_id AND l.id = k.licence_id
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
     WHERE k.key_hash = p_key_hash AND coalesce(v_now < k.valid_until, true);
    IF NOT FOUND THEN
        code := 'NOT_FOUND';
        RETURN;
    END IF;

    -- Locked: a check may be about to write that it gives a longer proof.
    SELECT d.* INTO v_device
      FROM permit.devices AS d
     WHERE d.licence_id = v_licence.id AND d.state = 'seated'
       AND (d.id = p_device_id OR d.fingerprint_hash = p_fingerprint_hash)
       FOR NO KEY UPDATE;
    IF NOT FOUND OR permit.is_seat_free(
           v_device.last_seen_at, v_device.leased_until, v_device.seat_free_at,
           least(v_licence.seat_ttl, v_device.last_seat_ttl), v_now) THEN
        code := 'NOT_ACTIVATED';
    ELSIF v_device.seat_free_at IS NOT NULL THEN
        code := 'NOT_ACTIVATED';  -- it was given back before
        seat_free_at := v_device.seat_free_at;
    ELSE
        v_free_at := permit.swap_available_at(
            v_licence.id, v_licence.max_releases, v_licence.seat_ttl, v_now);
        IF v_free_at IS NOT NULL THEN
            code := 'RELEASE_LIMIT';
            available_at := NULLIF(v_free_at, 'infinity');
        ELSE
            code := 'RELEASED';
            IF v_licence.seat_ttl IS NOT NULL THEN
                -- Where the row does not say when its last proof ends, the latest that it can.
                v_until := coalesce(v_device.leased_until, least(
                    v_device.last_seen_at + permit.seen_lag(NULL) + v_licence.lease,
                    permit.seat_lapses_at(v_device.last_seen_at, v_licence.seat_ttl)));
                seat_free_at := CASE WHEN v_until > v_now + interval '15 minutes' THEN v_until END;
            END IF;
            UPDATE permit.devices AS d
               SET state = CASE WHEN release_seat.seat_free_at IS NULL THEN 'released'
                                ELSE 'seated' END,
                   seat_free_at = release_seat.seat_free_at
             WHERE d.tenant_id = v_licence.tenant_id AND d.id = v_device.id;
            INSERT INTO permit.swaps (tenant_id, licence_id, device_id, kind, swapped_at)
            VALUES (v_licence.tenant_id, v_licence.id, v_device.id, 'release', v_now);
        END IF;
    END IF;

    SELECT count(*) INTO devices_used
      FROM permit.live_seats(v_licence.id, v_licence.seat_ttl, v_now, NULL);
END
$$;
GRANT EXECUTE ON FUNCTION permit.release_seat(bytea, bytea, uuid) TO permit_check;
