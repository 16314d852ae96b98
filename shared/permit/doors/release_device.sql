-- The key's holder gives a seat back, named by fingerprint or by device id (one of the two is null).
CREATE OR REPLACE FUNCTION permit.release_device(
    p_key_hash         bytea,
    p_fingerprint_hash bytea,
    p_device_id        uuid,
    OUT code           text,
    OUT devices_used   integer,
    OUT available_at   timestamptz   -- with RELEASE_LIMIT: when the next release will be free
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now     timestamptz;
    v_licence record;
    v_device  uuid;
    v_free_at timestamptz;
BEGIN
    PERFORM FROM permit.licences AS l
      JOIN permit.licence_keys AS k ON k.tenant_id = l.tenant_id AND k.licence_id = l.id
     WHERE k.key_hash = p_key_hash
       FOR NO KEY UPDATE OF l;
    v_now := permit.clock();

    SELECT l.tenant_id, l.id, p.seat_ttl_interval AS seat_ttl, p.max_releases
      INTO v_licence
      FROM permit.licence_keys AS k
      JOIN permit.licences AS l ON l.tenant_id = k.tenant_id AND l.id = k.licence_id
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
     WHERE k.key_hash = p_key_hash AND coalesce(v_now < k.valid_until, true);
    IF NOT FOUND THEN
        code := 'NOT_FOUND';
        RETURN;
    END IF;

    SELECT seat.id INTO v_device
      FROM permit.live_seats(v_licence.id, v_licence.seat_ttl, v_now, NULL) AS seat
      JOIN permit.devices AS d ON d.tenant_id = v_licence.tenant_id AND d.id = seat.id
     WHERE d.id = p_device_id OR d.fingerprint_hash = p_fingerprint_hash;
    IF NOT FOUND THEN
        code := 'NOT_ACTIVATED';
    ELSE
        v_free_at := permit.swap_available_at(
            v_licence.id, v_licence.max_releases, v_licence.seat_ttl, v_now);
        IF v_free_at IS NOT NULL THEN
            code := 'RELEASE_LIMIT';
            available_at := NULLIF(v_free_at, 'infinity');
        ELSE
            code := 'RELEASED';
            UPDATE permit.devices AS d
               SET state = 'released'
             WHERE d.tenant_id = v_licence.tenant_id AND d.id = v_device;
            INSERT INTO permit.swaps (tenant_id, licence_id, device_id, kind, swapped_at)
            VALUES (v_licence.tenant_id, v_licence.id, v_device, 'release', v_now);
        END IF;
    END IF;

    SELECT count(*) INTO devices_used
      FROM permit.live_seats(v_licence.id, v_licence.seat_ttl, v_now, NULL);
END
$$;
GRANT EXECUTE ON FUNCTION permit.release_device(bytea, bytea, uuid) TO permit_check;
