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
    v_now     timestamptz;
    v_licence permit.licences;
    v_policy  permit.policies;
    v_device  permit.devices;
    v_sent    permit.devices;
BEGIN
    SELECT l.* INTO v_licence
      FROM permit.licences AS l
     WHERE l.tenant_id = permit.current_tenant() AND l.id = p_licence_id
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        refused := 'missing';
        RETURN;
    ELSIF v_licence.revoked_at IS NOT NULL THEN
        refused := 'revoked';
        RETURN;
    END IF;
    SELECT p.* INTO v_policy
      FROM permit.policies AS p
     WHERE p.tenant_id = v_licence.tenant_id AND p.id = v_licence.policy_id;
    v_now := permit.clock();
    PERFORM permit.mark_lapsed(v_licence, v_policy, v_now);

    SELECT d.* INTO v_device
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id AND d.fingerprint_hash = p_fingerprint_hash;
    is_new := NOT FOUND;
    IF v_device.state = 'blocked' THEN
        refused := 'blocked';
        RETURN;
    ELSIF v_device.state IS DISTINCT FROM 'seated' OR v_device.seat_free_at IS NOT NULL THEN
        IF v_device.state IS DISTINCT FROM 'seated' AND permit.is_full(v_licence, v_policy) THEN
            refused := 'full';
            RETURN;
        END IF;
        v_sent.fingerprint_hash := p_fingerprint_hash;
        v_sent.components := p_components;
        v_sent.name := p_device_name;
        v_sent.platform := p_platform;
        PERFORM permit.take_seat(v_licence, v_device, v_sent, v_now);
    END IF;

    SELECT d.id, d.name, d.platform, d.state, d.seated_at, d.first_seen_at, d.last_seen_at
      INTO device_id, device_name, platform, state, seated_at, first_seen_at, last_seen_at
      FROM permit.devices AS d
     WHERE d.licence_id = p_licence_id AND d.fingerprint_hash = p_fingerprint_hash;
END
$$;
GRANT EXECUTE ON FUNCTION permit.seat_device(uuid, bytea, jsonb, text, text)
   TO permit_operator, permit_vendor;
