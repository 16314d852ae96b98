-- How a transaction becomes a tenant's: each door lets one kind of caller in, and says who acts.

-- The active user whose access token this is, unless its session has ended: by a logout, a refresh token
-- that two clients had, another password or role. The session in which a second factor was changed goes
-- on. A token of the version before names no session: only what ends all of a user's sessions ends it.
CREATE OR REPLACE FUNCTION permit.bearer(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_session_id      uuid     -- null: a token of the version before
) RETURNS SETOF permit.users
LANGUAGE sql STABLE AS $$
    SELECT u.*
      FROM permit.users AS u
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
       AND CASE WHEN p_session_id IS NULL THEN u.session_version = p_session_version
                ELSE EXISTS (SELECT FROM permit.sessions AS s
                              WHERE s.tenant_id = p_tenant_id AND s.id = p_session_id
                                AND s.user_id = p_user_id AND s.ended_at IS NULL
                                AND s.session_version = u.session_version) END
$$;

-- For a user of the tenant, by an access token. No role: the token is good no longer.
CREATE OR REPLACE FUNCTION permit.enter_with_token(
    p_tenant_id           uuid,
    p_user_id             uuid,
    p_session_version     integer,
    p_session_id          uuid,
    p_request             jsonb,
    OUT role              text,     -- as it is now
    OUT has_second_factor boolean,
    OUT must_enrol        boolean   -- the tenant requires a second factor, and there is none
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT u.role, u.totp_confirmed_at IS NOT NULL,
           t.requires_second_factor AND u.totp_confirmed_at IS NULL
      INTO role, has_second_factor, must_enrol
      FROM permit.bearer(p_tenant_id, p_user_id, p_session_version, p_session_id) AS u
      JOIN permit.tenants AS t ON t.id = u.tenant_id;
    IF FOUND THEN
        PERFORM permit.act_as(p_tenant_id, 'user', p_user_id, role,
                              p_request || jsonb_build_object('session', p_session_id));
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter_with_token(uuid, uuid, integer, uuid, jsonb) TO permit_vendor;

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
