-- The vendor seats a device by hand, within the limit and the overage, in the entered tenant.
CREATE OR REPLACE FUNCTION permit.seat_device(
    p_licence_id       uuid,
    p_fingerprint_hash bytea,
    p_components       jsonb,
    p_device_name      text,
    p_platform         text,
    OUT device_id      uuid,
    OUT device_name    text,
    OUT platform       text,
    OUT state          text,
    OUT seated_at      timestamptz,
    OUT first_seen_at  timestamptz,
    OUT last_seen_at   timestamptz,
    OUT is_new         boolean,  -- the licence did not know the device
    OUT refused        text      -- 'missing' (no such licence), 'revoked', 'blocked' or 'full'; null: seated
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_tenant  uuid := permit.current_tenant();
    v_now     timestamptz;
    v_licence record;
    v_device  permit.devices;
    v_taken   bigint;
BEGIN
    PERFORM FROM permit.licences AS l
      WHERE l.tenant_id = v_tenant AND l.id = p_licence_id
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        refused := 'missing';
        RETURN;
    END IF;
    v_now := permit.clock();

    SELECT p.seat_ttl_interval AS seat_ttl, l.revoked_at,
           permit.seat_limit(l.max_devices, p.max_devices) + p.overage AS seats
      INTO v_licence
      FROM permit.licences AS l
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
     WHERE l.tenant_id = v_tenant AND l.id = p_licence_id;
    IF v_licence.revoked_at IS NOT NULL THEN
        refused := 'revoked';
        RETURN;
    END IF;

    UPDATE permit.devices AS d
       SET state = 'lapsed'
     WHERE d.licence_id = p_licence_id AND d.state = 'seated'
       AND d.last_seen_at + v_licence.seat_ttl <= v_now;

    SELECT d.* INTO v_device
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id AND d.fingerprint_hash = p_fingerprint_hash;
    is_new := NOT FOUND;
    IF v_device.state = 'blocked' THEN
        refused := 'blocked';
        RETURN;
    ELSIF v_device.state IS DISTINCT FROM 'seated' THEN
        SELECT count(*) INTO v_taken
          FROM permit.devices AS d
         WHERE d.licence_id = p_licence_id AND d.state = 'seated';
        IF v_taken >= v_licence.seats THEN
            refused := 'full';
            RETURN;
        END IF;
        PERFORM permit.take_seat(v_tenant, p_licence_id, v_device.id, p_fingerprint_hash,
                                 p_components, p_device_name, p_platform, v_now);
    END IF;

    SELECT d.id, d.name, d.platform, d.state, d.seated_at, d.first_seen_at, d.last_seen_at
      INTO device_id, device_name, platform, state, seated_at, first_seen_at, last_seen_at
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id AND d.fingerprint_hash = p_fingerprint_hash;
END
$$;
GRANT EXECUTE ON FUNCTION permit.seat_device(uuid, bytea, jsonb, text, text)
   TO permit_operator, permit_vendor;

-- As the version before calls it.
CREATE OR REPLACE FUNCTION permit.activate_device(
    p_licence_id       uuid,
    p_fingerprint_hash bytea,
    p_device_name      text,
    OUT device_id      uuid,
    OUT refused        text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT s.device_id, s.refused INTO device_id, refused
      FROM permit.seat_device(p_licence_id, p_fingerprint_hash, NULL, p_device_name, NULL) AS s;
END
$$;
GRANT EXECUTE ON FUNCTION permit.activate_device(uuid, bytea, text) TO permit_operator;
