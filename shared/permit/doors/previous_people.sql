-- What the version before this one calls and this one does not: it goes on running while this one is
-- deployed. Each goes a release later.

CREATE OR REPLACE FUNCTION permit.enter(
    p_tenant_id uuid, p_user_id uuid, p_session_version integer, p_request jsonb
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN (SELECT e.role
              FROM permit.enter_with_token(
                       p_tenant_id, p_user_id, p_session_version, NULL, p_request) AS e);
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter(uuid, uuid, integer, jsonb) TO permit_vendor;

CREATE OR REPLACE FUNCTION permit.admit_sign_in(
    p_email               text,
    p_keys                bytea[],
    p_free_attempts       integer[],
    p_delay_caps          integer[],
    OUT retry_after       integer,
    OUT tenant_id         uuid,
    OUT user_id           uuid,
    OUT role              text,
    OUT session_version   integer,
    OUT password_hash     text,
    OUT has_second_factor boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT a.retry_after, a.tenant_id, a.user_id, a.role, a.session_version, a.password_hash,
           a.has_second_factor
      INTO retry_after, tenant_id, user_id, role, session_version, password_hash, has_second_factor
      FROM permit.admit_password(p_email, p_keys, p_free_attempts, p_delay_caps) AS a;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_sign_in(text, bytea[], integer[], integer[]) TO permit_login;

CREATE OR REPLACE FUNCTION permit.admit_second_factor(
    p_tenant_id             uuid,
    p_user_id               uuid,
    p_session_version       integer,
    p_keys                  bytea[],
    p_free_attempts         integer[],
    p_delay_caps            integer[],
    OUT retry_after         integer,
    OUT email               text,
    OUT role                text,
    OUT totp_sealed         bytea,
    OUT totp_master_version text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT a.retry_after, a.email, a.role, a.totp_sealed, a.totp_master_version
      INTO retry_after, email, role, totp_sealed, totp_master_version
      FROM permit.admit_code(p_tenant_id, p_user_id, p_session_version,
                             p_keys, p_free_attempts, p_delay_caps) AS a;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_second_factor(
    uuid, uuid, integer, bytea[], integer[], integer[]) TO permit_login;

-- Its keys are the pair and the account, of the second step and then of the password.
CREATE OR REPLACE FUNCTION permit.begin_verified_session(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_totp_step       bigint,
    p_recovery_hash   bytea,
    p_token_hash      bytea,
    p_keys            bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN permit.open_verified_session(
        p_tenant_id, p_user_id, p_session_version, p_totp_step, p_recovery_hash, p_token_hash,
        p_keys[1:1] || p_keys[3:3], p_keys[2:2] || p_keys[4:4], NULL) IS NOT NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.begin_verified_session(
    uuid, uuid, integer, bigint, bytea, bytea, bytea[]) TO permit_login;

CREATE OR REPLACE FUNCTION permit.begin_session(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_token_hash      bytea,
    p_keys            bytea[],
    p_old_hash        text,
    p_new_hash        text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN permit.open_session(
        p_tenant_id, p_user_id, p_session_version, p_old_hash, p_new_hash, p_token_hash,
        p_keys[1:1], p_keys[2:2], NULL) IS NOT NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.begin_session(uuid, uuid, integer, bytea, bytea[], text, text)
   TO permit_login;

CREATE OR REPLACE FUNCTION permit.renew_session(
    p_token_hash        bytea,
    p_new_hash          bytea,
    OUT tenant_id       uuid,
    OUT user_id         uuid,
    OUT role            text,
    OUT session_version integer,
    OUT is_reused       boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT r.tenant_id, r.user_id, r.role, r.session_version, r.is_reused
      INTO tenant_id, user_id, role, session_version, is_reused
      FROM permit.refresh_session(p_token_hash, p_new_hash, NULL) AS r;
END
$$;
GRANT EXECUTE ON FUNCTION permit.renew_session(bytea, bytea) TO permit_login;

CREATE OR REPLACE FUNCTION permit.end_session(p_token_hash bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    PERFORM permit.close_session(p_token_hash, NULL);
END
$$;
GRANT EXECUTE ON FUNCTION permit.end_session(bytea) TO permit_login;

CREATE OR REPLACE FUNCTION permit.find_link(p_token_hash bytea, p_kind text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN (SELECT l.email FROM permit.find_linked(p_token_hash, p_kind) AS l);
END
$$;
GRANT EXECUTE ON FUNCTION permit.find_link(bytea, text) TO permit_vendor;

CREATE OR REPLACE FUNCTION permit.use_link(
    p_token_hash bytea, p_kind text, p_password_hash text, p_name text, p_request jsonb
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN permit.redeem_link(
        p_token_hash, p_kind, p_password_hash, p_name, '{}', p_request) IS NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.use_link(bytea, text, text, text, jsonb) TO permit_vendor;

-- It reads the hash and compares for itself. It gets it only with the key of a place that the user has
-- signed in from, which is an HMAC: a statement that was injected cannot make one.
CREATE OR REPLACE FUNCTION permit.admit_proof_of_self(
    p_keys            bytea[],
    p_free_attempts   integer[],
    p_delay_caps      integer[],
    OUT retry_after   integer,
    OUT email         text,
    OUT password_hash text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT a.retry_after INTO retry_after
      FROM permit.admit_attempt(p_keys, p_free_attempts, p_delay_caps) AS a;
    IF retry_after IS NULL THEN
        SELECT u.email, u.password_hash INTO email, password_hash
          FROM permit.users AS u
          JOIN permit.login_places AS p ON p.tenant_id = u.tenant_id AND p.user_id = u.id
         WHERE u.tenant_id = permit.current_tenant() AND u.id = permit.acting_user()
           AND p.key = p_keys[1] AND p.expires_at > permit.clock();
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_proof_of_self(bytea[], integer[], integer[]) TO permit_vendor;

CREATE OR REPLACE FUNCTION permit.change_own_password(
    p_old_hash text, p_new_hash text, p_keys bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN permit.replace_own_password(ARRAY[p_old_hash], p_new_hash, p_keys[1:1], p_keys[2:2]);
END
$$;
GRANT EXECUTE ON FUNCTION permit.change_own_password(text, text, bytea[]) TO permit_vendor;

-- Nothing calls these any more.
DROP FUNCTION IF EXISTS permit.start_session(uuid, uuid, integer, bytea);
DROP FUNCTION IF EXISTS permit.forget_attempts(bytea[]);
DROP FUNCTION IF EXISTS permit.redeem_link(bytea, text, text, text, jsonb);
