-- The vendor seats a device by hand, within the limit and the overage, in the entered tenant.
CREATE OR REPLACE FUNCTION permit.activate_device(
    p_licence_id       uuid,
    p_fingerprint_hash bytea,
    p_device_name      text,
    OUT device_id      uuid,
    OUT refused        text   -- 'missing' (no such licence), 'blocked' or 'full'; null: seated
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

    SELECT p.seat_ttl_interval AS seat_ttl,
           permit.seat_limit(l.max_devices, p.max_devices) + p.overage AS seats
      INTO v_licence
      FROM permit.licences AS l
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
     WHERE l.tenant_id = v_tenant AND l.id = p_licence_id;

    UPDATE permit.devices AS d
       SET state = 'lapsed'
     WHERE d.licence_id = p_licence_id AND d.state = 'seated'
       AND d.last_seen_at + v_licence.seat_ttl <= v_now;

    SELECT d.* INTO v_device
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id AND d.fingerprint_hash = p_fingerprint_hash;
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
                                 NULL, p_device_name, NULL, v_now);
    END IF;

    SELECT d.id INTO device_id
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id AND d.fingerprint_hash = p_fingerprint_hash;
END
$$;
GRANT EXECUTE ON FUNCTION permit.activate_device(uuid, bytea, text) TO permit_operator;
