-- The audit log: one event for each row that somebody changed, in the transaction that changes it.
-- Whatever the vendor's functions or the operator's write passes these triggers, and who did not enter
-- by a door writes nothing. A check acts for nobody and writes none.

CREATE OR REPLACE FUNCTION permit.tell(
    p_tenant_id uuid, p_action text, p_subject_kind text, p_subject_id uuid, p_changes jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_acting  jsonb := permit.acting();
    v_request jsonb := v_acting -> 'request';
BEGIN
    IF (v_acting ->> 'tenant')::uuid IS DISTINCT FROM p_tenant_id THEN
        RAISE EXCEPTION 'another tenant was entered' USING ERRCODE = 'insufficient_privilege';
    ELSIF v_acting ->> 'role' = 'upkeep' THEN
        RETURN;  -- a secret was sealed anew: nothing of it has changed
    END IF;
    INSERT INTO permit.audit_events
           (tenant_id, actor_kind, actor_id, actor_means, action, subject_kind, subject_id, changes,
            reason, request_id, address)
    VALUES (p_tenant_id, v_acting ->> 'kind', (v_acting ->> 'id')::uuid,
            CASE WHEN v_acting ->> 'role' = 'link' THEN 'link' END,
            coalesce(v_request ->> 'action', p_action), p_subject_kind, p_subject_id, p_changes,
            v_request ->> 'reason', v_request ->> 'request_id', v_request ->> 'address');
END
$$;

-- A sign-in's event, which no row's change tells. The user acts, by what p_means says.
CREATE OR REPLACE FUNCTION permit.tell_sign_in(
    p_tenant_id uuid, p_user_id uuid, p_action text, p_means text, p_changes jsonb, p_request jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO permit.audit_events
           (tenant_id, actor_kind, actor_id, actor_means, action, subject_kind, subject_id, changes,
            request_id, address)
    VALUES (p_tenant_id, 'user', p_user_id, p_means, p_action, 'user', p_user_id, p_changes,
            p_request ->> 'request_id', p_request ->> 'address');
END
$$;

-- What the subject of an event belongs to, by which the event is found as well: of a device its
-- licence, of a policy its product. A deleted policy's is in the event of its deletion.
CREATE OR REPLACE FUNCTION permit.parent_of(
    p_tenant_id uuid, p_subject_kind text, p_subject_id uuid, p_changes jsonb
) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT CASE p_subject_kind
               WHEN 'device' THEN (
                   SELECT d.licence_id FROM permit.devices AS d
                    WHERE d.tenant_id = p_tenant_id AND d.id = p_subject_id)
               WHEN 'policy' THEN coalesce(
                   (p_changes #>> '{product_id,from}')::uuid,
                   (SELECT p.product_id FROM permit.policies AS p
                     WHERE p.tenant_id = p_tenant_id AND p.id = p_subject_id),
                   (SELECT (e.changes #>> '{product_id,from}')::uuid FROM permit.audit_events AS e
                     WHERE e.tenant_id = p_tenant_id AND e.subject_id = p_subject_id
                     ORDER BY e.occurred_at DESC LIMIT 1)) END
$$;

CREATE OR REPLACE FUNCTION permit.note_parent() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.parent_id := permit.parent_of(
        NEW.tenant_id, NEW.subject_kind, NEW.subject_id, NEW.changes);
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER note_parent BEFORE INSERT ON permit.audit_events
FOR EACH ROW WHEN (NEW.subject_kind IN ('device', 'policy'))
EXECUTE FUNCTION permit.note_parent();

-- A tenant that is being erased takes its log with it.
CREATE OR REPLACE FUNCTION permit.is_closed(p_tenant_id uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM permit.tenants AS t
                    WHERE t.id = p_tenant_id AND t.closed_at IS NOT NULL)
$$;

CREATE OR REPLACE FUNCTION permit.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_old     jsonb := '{}';
    v_new     jsonb := '{}';
    v_row     jsonb;
    v_tenant  uuid;
    v_changes jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        v_old := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        v_new := to_jsonb(NEW);
    END IF;
    v_row := v_old || v_new;
    v_tenant := coalesce(v_row ->> 'tenant_id', v_row ->> 'id')::uuid;
    IF TG_OP = 'DELETE' AND permit.is_closed(v_tenant) THEN
        RETURN NULL;
    END IF;

    SELECT coalesce(
               jsonb_object_agg(changed.name, CASE
                   -- A person's, or a secret: the change is told and neither value.
                   WHEN changed.name ~ '^(holder_|email|notes|metadata|password_hash|totp_sealed)'
                     OR TG_ARGV[0] IN ('user', 'device') AND changed.name = 'name'
                   THEN '{}'
                   ELSE jsonb_build_object('from', v_old -> changed.name, 'to', v_new -> changed.name)
               END) FILTER (WHERE NOT changed.follows),
               -- What follows from other fields is named where it changed alone.
               jsonb_object_agg(changed.name, '{}'::jsonb) FILTER (WHERE changed.follows),
               '{}')
      INTO v_changes
      FROM (SELECT field.name,
                   field.name LIKE '%\_folded'
                   OR field.name IN ('tenant_id', 'id', 'licence_id', 'created_at', 'key_hash',
                                     'fingerprint_hash', 'components', 'seated_at',
                                     'first_seated_at', 'first_seen_at', 'last_seen_at',
                                     'last_seat_ttl', 'leased_until',
                                     'term_anchor',
                                     'totp_master_version', 'totp_used_step') AS follows
              FROM jsonb_object_keys(v_row) AS field (name)
             WHERE NULLIF(v_old -> field.name, 'null') IS DISTINCT FROM
                   NULLIF(v_new -> field.name, 'null')
               -- Made anew at every change, whatever a statement says.
               AND field.name NOT IN ('revision', 'facts', 'grace_interval', 'seat_ttl_interval',
                                      'lease_interval', 'is_pending', 'session_version',
                                      'last_used_at')) AS changed;

    -- That a seat was free again is marked by whoever counts the seats next, and is nobody's act.
    IF TG_ARGV[0] = 'device' AND v_old ->> 'state' = 'seated'
       AND (v_new ->> 'state' = 'lapsed'
            OR v_new ->> 'state' = 'released'
           AND (v_new ->> 'seat_free_at')::timestamptz <= permit.clock()) THEN
        PERFORM permit.acting();
    ELSIF v_changes <> '{}' OR TG_OP = 'DELETE' THEN
        PERFORM permit.tell(v_tenant, TG_ARGV[0] || '.' || lower(TG_OP), TG_ARGV[0],
                            coalesce(v_row ->> 'id', v_row ->> 'licence_id')::uuid, v_changes);
    ELSE
        PERFORM permit.acting();
    END IF;
    RETURN NULL;
END
$$;

-- For what belongs to a user or a licence, kept in a table of its own: an event of its owner, named
-- without a value. None where an event of this transaction tells that a field of the owner changed
-- which it always changes with.
CREATE OR REPLACE FUNCTION permit.record_part() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_row    jsonb       := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    v_tenant uuid        := v_row ->> 'tenant_id';
    v_owner  uuid        := v_row ->> (TG_ARGV[0] || '_id');
    v_began  timestamptz := permit.clock() - (clock_timestamp() - now());
BEGIN
    IF TG_OP = 'DELETE' AND permit.is_closed(v_tenant) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM permit.audit_events AS e
                WHERE e.tenant_id = v_tenant AND e.subject_id = v_owner
                  AND e.occurred_at >= v_began AND e.xmin = pg_current_xact_id()::xid
                  AND e.changes ? TG_ARGV[2]) THEN
        PERFORM permit.acting();
    ELSE
        PERFORM permit.tell(v_tenant, TG_ARGV[0] || '.update', TG_ARGV[0], v_owner,
                            jsonb_build_object(TG_ARGV[1], '{}'::jsonb));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER audit AFTER UPDATE OF name, requires_second_factor ON permit.tenants
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('tenant');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.products
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('product');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON permit.policies
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('policy');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.licences
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('licence');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.devices
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('device');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.users
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('user');

-- Not of last_used_at, which a key's entry writes before anybody acts.
CREATE OR REPLACE TRIGGER audit
AFTER INSERT OR UPDATE OF tenant_id, id, name, role, key_hash, key_hint, expires_at, revoked_at
   ON permit.api_keys
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('api_key');

CREATE OR REPLACE TRIGGER audit AFTER UPDATE ON permit.usage
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_change('licence');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.licence_keys
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_part('licence', 'key', 'key_hint');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR DELETE ON permit.recovery_codes
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_part('user', 'recovery_codes', 'totp_confirmed_at');

CREATE OR REPLACE TRIGGER audit AFTER INSERT ON permit.user_links
FOR EACH ROW WHEN (session_user IN ('permit_vendor', 'permit_operator'))
EXECUTE FUNCTION permit.record_part('user', 'link', 'email');
