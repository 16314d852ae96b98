-- The audit log: one event for each row that somebody changed, in the transaction that changes it.
-- A check acts for nobody and writes none.

CREATE OR REPLACE FUNCTION permit.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_actor   jsonb := current_setting('permit.actor')::jsonb;
    v_request jsonb := current_setting('permit.request')::jsonb;
    v_old     jsonb := '{}';
    v_new     jsonb := '{}';
    v_row     jsonb;
    v_changes jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        v_old := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        v_new := to_jsonb(NEW);
    END IF;
    v_row := v_old || v_new;

    SELECT coalesce(jsonb_object_agg(field.name, CASE
               -- A person's, or a secret: the change is told and neither value.
               WHEN field.name ~ '^(holder_|email|notes|metadata|password_hash|totp_sealed)'
                 OR TG_ARGV[0] IN ('user', 'device') AND field.name = 'name'
               THEN '{}'
               ELSE jsonb_build_object('from', v_old -> field.name, 'to', v_new -> field.name)
           END), '{}')
      INTO v_changes
      FROM jsonb_object_keys(v_row) AS field (name)
     WHERE NULLIF(v_old -> field.name, 'null') IS DISTINCT FROM NULLIF(v_new -> field.name, 'null')
       AND field.name NOT IN ('tenant_id', 'id', 'licence_id', 'revision', 'facts', 'created_at',
                              'fingerprint_hash', 'components', 'seated_at', 'first_seated_at',
                              'first_seen_at', 'last_seen_at', 'key_hash', 'last_used_at',
                              'session_version', 'is_pending', 'totp_master_version',
                              'totp_used_step')
       AND field.name !~ '(_interval|_folded)$';

    IF v_changes <> '{}' OR TG_OP = 'DELETE' THEN
        INSERT INTO permit.audit_events
               (tenant_id, actor_kind, actor_id, action, subject_kind, subject_id, changes,
                reason, request_id, address)
        VALUES ((v_row ->> 'tenant_id')::uuid, v_actor ->> 'kind', (v_actor ->> 'id')::uuid,
                coalesce(v_request ->> 'action', TG_ARGV[0] || '.' || lower(TG_OP)), TG_ARGV[0],
                coalesce(v_row ->> 'id', v_row ->> 'licence_id')::uuid, v_changes,
                v_request ->> 'reason', v_request ->> 'request_id', v_request ->> 'address');
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.products
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('product');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON permit.policies
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('policy');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.licences
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('licence');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE OF state ON permit.devices
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('device');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.users
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('user');

CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON permit.api_keys
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('api_key');

CREATE OR REPLACE TRIGGER audit AFTER UPDATE ON permit.usage
FOR EACH ROW WHEN (NULLIF(current_setting('permit.actor', true), '') IS NOT NULL)
EXECUTE FUNCTION permit.record_change('licence');
