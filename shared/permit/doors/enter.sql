-- How a transaction becomes a tenant's. The settings end with the transaction; being made inside a
-- function they pin no session of RDS Proxy. permit.actor says who acts, permit.request what is
-- noted of the request: {action, reason, request_id, address}.

-- For a user of the tenant. Answers with the user's role as it is now; null for a user who was
-- deactivated, or whose token is older than the last end of their sessions or change of their role.
CREATE OR REPLACE FUNCTION permit.enter(
    p_tenant_id uuid, p_user_id uuid, p_session_version integer, p_request jsonb
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_role text;
BEGIN
    SELECT u.role INTO v_role
      FROM permit.users AS u
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id
       AND u.session_version = p_session_version AND u.deactivated_at IS NULL;
    IF FOUND THEN
        PERFORM permit.act_as(p_tenant_id, 'user', p_user_id, v_role, p_request);
    END IF;
    RETURN v_role;
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter(uuid, uuid, integer, jsonb) TO permit_vendor;

-- For a vendor's server. No row's columns are set where no key that is valid now has this hash.
CREATE OR REPLACE FUNCTION permit.enter_with_api_key(
    p_key_hash     bytea,
    p_request      jsonb,
    OUT tenant_id  uuid,
    OUT api_key_id uuid,
    OUT role       text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now       timestamptz := permit.clock();
    v_last_used timestamptz;
BEGIN
    SELECT k.tenant_id, k.id, k.role, k.last_used_at
      INTO tenant_id, api_key_id, role, v_last_used
      FROM permit.api_keys AS k
      JOIN permit.tenants AS t ON t.id = k.tenant_id
     WHERE k.key_hash = p_key_hash AND k.revoked_at IS NULL AND t.closed_at IS NULL
       AND coalesce(v_now < k.expires_at, true);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF coalesce(v_last_used <= v_now - interval '5 minutes', true) THEN
        -- Skip the write if another request of this key is already doing it.
        UPDATE permit.api_keys AS k
           SET last_used_at = v_now
         WHERE k.id IN (SELECT u.id FROM permit.api_keys AS u
                         WHERE u.key_hash = p_key_hash FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    PERFORM permit.act_as(tenant_id, 'api_key', api_key_id, role, p_request);
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter_with_api_key(bytea, jsonb) TO permit_vendor;

-- For the operator, who was let in by IAM; a tenant that is being erased is refused.
CREATE OR REPLACE FUNCTION permit.enter_by_command(p_tenant_id uuid, p_command text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM permit.tenants AS t
                WHERE t.id = p_tenant_id AND t.closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'this tenant is being erased' USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM permit.act_as(p_tenant_id, 'operator', NULL, 'operator',
                          jsonb_build_object('action', p_command));
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter_by_command(uuid, text) TO permit_operator;

CREATE OR REPLACE FUNCTION permit.act_as(
    p_tenant_id uuid, p_kind text, p_actor_id uuid, p_role text, p_request jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('permit.tenant', p_tenant_id::text, true),
            set_config('permit.actor', jsonb_build_object(
                'kind', p_kind, 'id', p_actor_id, 'role', p_role)::text, true),
            set_config('permit.request', p_request::text, true);
END
$$;

-- The user who acts; null where it is a server or the operator.
CREATE OR REPLACE FUNCTION permit.acting_user() RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT (actor ->> 'id')::uuid
      FROM (SELECT NULLIF(current_setting('permit.actor', true), '')::jsonb) AS entered (actor)
     WHERE actor ->> 'kind' = 'user'
$$;
