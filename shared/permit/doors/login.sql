-- Sign-in: admission under the throttle, the session it ends in, its renewal and its end.

-- Counts this attempt against each key before what was sent is looked at, so that parallel guesses
-- count. While any key is blocked, how many seconds that will be, and the attempt is not counted.
-- Each key: this many attempts are free, then the delay doubles from a second up to its cap.
CREATE OR REPLACE FUNCTION permit.count_attempt(
    p_keys          bytea[],
    p_free_attempts integer[],
    p_delay_caps    integer[]   -- seconds
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_now         timestamptz := permit.clock();
    v_retry_after integer;
BEGIN
    -- In the keys' own order, here and below: two callers never wait for each other.
    INSERT INTO permit.login_throttle (key, attempts, blocked_until, expires_at)
    SELECT k, 0, v_now, v_now + interval '1 hour' FROM unnest(p_keys) AS k ORDER BY k
        ON CONFLICT (key) DO NOTHING;

    PERFORM FROM permit.login_throttle AS t WHERE t.key = ANY (p_keys) ORDER BY t.key FOR UPDATE;
    -- Read the clock again: another attempt may have been admitted while this one waited.
    v_now := permit.clock();

    SELECT ceil(extract(epoch FROM max(t.blocked_until) - v_now))
      INTO v_retry_after
      FROM permit.login_throttle AS t
     WHERE t.key = ANY (p_keys) AND t.blocked_until > v_now;
    IF v_retry_after IS NOT NULL THEN
        RETURN v_retry_after;
    END IF;

    UPDATE permit.login_throttle AS t
       SET attempts = counted.attempts,
           blocked_until = v_now + make_interval(secs =>
               CASE WHEN counted.attempts <= charge.free_attempts THEN 0
                    ELSE least(charge.delay_cap,
                               2.0 ^ least(20, counted.attempts - charge.free_attempts - 1)) END),
           expires_at = v_now + interval '1 hour'
      FROM unnest(p_keys, p_free_attempts, p_delay_caps) AS charge (key, free_attempts, delay_cap),
           LATERAL (SELECT 1 + CASE WHEN earlier.expires_at > v_now THEN earlier.attempts ELSE 0 END
                      FROM permit.login_throttle AS earlier
                     WHERE earlier.key = charge.key) AS counted (attempts)
     WHERE t.key = charge.key;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION permit.forget_attempts(p_keys bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM permit.login_throttle AS t
     WHERE t.key IN (SELECT k.key FROM permit.login_throttle AS k
                      WHERE k.key = ANY (p_keys) ORDER BY k.key FOR UPDATE);
END
$$;

CREATE OR REPLACE FUNCTION permit.start_session(
    p_tenant_id uuid, p_user_id uuid, p_session_version integer, p_token_hash bytea
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_now     timestamptz := permit.clock();
    v_session uuid;
BEGIN
    INSERT INTO permit.sessions (tenant_id, user_id, session_version, created_at, expires_at)
    VALUES (p_tenant_id, p_user_id, p_session_version, v_now, v_now + interval '90 days')
    RETURNING id INTO v_session;
    INSERT INTO permit.refresh_tokens (token_hash, tenant_id, session_id, issued_at)
    VALUES (p_token_hash, p_tenant_id, v_session, v_now);
END
$$;

-- Counts the attempt, and hands over what verifies the password. While it is blocked, nothing but
-- for how long (retry_after, seconds).
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
    retry_after := permit.count_attempt(p_keys, p_free_attempts, p_delay_caps);
    IF retry_after IS NULL THEN
        SELECT u.tenant_id, u.id, u.role, u.session_version, u.password_hash,
               u.totp_confirmed_at IS NOT NULL
          INTO tenant_id, user_id, role, session_version, password_hash, has_second_factor
          FROM permit.users AS u
         WHERE u.email = p_email AND u.deactivated_at IS NULL;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_sign_in(text, bytea[], integer[], integer[]) TO permit_login;

-- The second step, counted like the first. Nothing but retry_after while it is blocked, nothing at
-- all where the user has changed since the first, or has no second factor any more.
CREATE OR REPLACE FUNCTION permit.admit_second_factor(
    p_tenant_id            uuid,
    p_user_id              uuid,
    p_session_version      integer,
    p_keys                 bytea[],
    p_free_attempts        integer[],
    p_delay_caps           integer[],
    OUT retry_after        integer,
    OUT email              text,
    OUT role               text,
    OUT totp_sealed         bytea,
    OUT totp_master_version text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    retry_after := permit.count_attempt(p_keys, p_free_attempts, p_delay_caps);
    IF retry_after IS NULL THEN
        SELECT u.email, u.role, u.totp_sealed, u.totp_master_version
          INTO email, role, totp_sealed, totp_master_version
          FROM permit.users AS u
         WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
           AND u.session_version = p_session_version AND u.totp_confirmed_at IS NOT NULL;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_second_factor(
    uuid, uuid, integer, bytea[], integer[], integer[]) TO permit_login;

-- A complete login with a second factor: a code of this time step, or a recovery code, either of
-- which serves once. False where it has served, or the user has changed.
CREATE OR REPLACE FUNCTION permit.begin_verified_session(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_totp_step       bigint,    -- null: by a recovery code
    p_recovery_hash   bytea,
    p_token_hash      bytea,
    p_keys            bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.users AS u
       SET totp_used_step = coalesce(p_totp_step, u.totp_used_step)
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
       AND u.session_version = p_session_version AND u.totp_confirmed_at IS NOT NULL
       AND (p_totp_step IS NULL OR coalesce(u.totp_used_step < p_totp_step, true));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_totp_step IS NULL THEN
        DELETE FROM permit.recovery_codes AS c
         WHERE c.tenant_id = p_tenant_id AND c.user_id = p_user_id AND c.code_hash = p_recovery_hash;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    PERFORM permit.start_session(p_tenant_id, p_user_id, p_session_version, p_token_hash),
            permit.forget_attempts(p_keys);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.begin_verified_session(
    uuid, uuid, integer, bigint, bytea, bytea, bytea[]) TO permit_login;

-- A complete login: begins the session, forgets the attempts on p_keys, keeps the renewed hash.
-- False where the user changed since admission (deactivated, another password), and for one with a
-- second factor, who has a second step to pass.
CREATE OR REPLACE FUNCTION permit.begin_session(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_token_hash      bytea,
    p_keys            bytea[],
    p_old_hash        text,
    p_new_hash        text    -- null: the stored one stays
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    PERFORM FROM permit.users AS u
      WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
        AND u.session_version = p_session_version AND u.totp_confirmed_at IS NULL
        -- A hash out of date may have been renewed by a login at the same moment.
        AND (u.password_hash = p_old_hash OR p_new_hash IS NOT NULL)
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE permit.users AS u
       SET password_hash = p_new_hash
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND p_new_hash IS NOT NULL
       AND u.password_hash = p_old_hash;

    PERFORM permit.start_session(p_tenant_id, p_user_id, p_session_version, p_token_hash),
            permit.forget_attempts(p_keys);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.begin_session(uuid, uuid, integer, bytea, bytea[], text, text)
   TO permit_login;

-- Replaces a refresh token. Nothing is returned for one that is unknown, ended or expired. A token
-- replaced at most 30 seconds ago whose successor is unused gets a sibling (two tabs, a lost
-- answer); any other token that comes a second time ends its session: somebody else has it.
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
DECLARE
    v_now   timestamptz;
    v_token permit.refresh_tokens;
BEGIN
    PERFORM FROM permit.sessions AS s
      JOIN permit.refresh_tokens AS t ON t.tenant_id = s.tenant_id AND t.session_id = s.id
     WHERE t.token_hash = p_token_hash
       FOR NO KEY UPDATE OF s;
    v_now := permit.clock();

    SELECT t.* INTO v_token FROM permit.refresh_tokens AS t WHERE t.token_hash = p_token_hash;
    SELECT u.tenant_id, u.id, u.role, u.session_version
      INTO tenant_id, user_id, role, session_version
      FROM permit.sessions AS s
      JOIN permit.users AS u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
     WHERE s.tenant_id = v_token.tenant_id AND s.id = v_token.session_id
       AND s.ended_at IS NULL AND s.expires_at > v_now
       AND u.deactivated_at IS NULL AND u.session_version = s.session_version;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    is_reused := v_token.used_at IS NOT NULL
        AND (v_token.used_at < v_now - interval '30 seconds'
             OR EXISTS (SELECT FROM permit.refresh_tokens AS t
                         WHERE t.parent_hash = p_token_hash AND t.used_at IS NOT NULL));
    IF is_reused THEN
        UPDATE permit.sessions AS s
           SET ended_at = v_now
         WHERE s.tenant_id = v_token.tenant_id AND s.id = v_token.session_id;
        RETURN;
    END IF;

    UPDATE permit.refresh_tokens AS t
       SET used_at = v_now
     WHERE t.token_hash = p_token_hash AND t.used_at IS NULL;
    INSERT INTO permit.refresh_tokens (token_hash, tenant_id, session_id, parent_hash, issued_at)
    VALUES (p_new_hash, v_token.tenant_id, v_token.session_id, p_token_hash, v_now);
END
$$;
GRANT EXECUTE ON FUNCTION permit.renew_session(bytea, bytea) TO permit_login;

-- Ends the session that a refresh token belongs to; silent about whether there was one.
CREATE OR REPLACE FUNCTION permit.end_session(p_token_hash bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.sessions AS s
       SET ended_at = permit.clock()
      FROM permit.refresh_tokens AS t
     WHERE t.token_hash = p_token_hash AND t.tenant_id = s.tenant_id AND t.session_id = s.id
       AND s.ended_at IS NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.end_session(bytea) TO permit_login;
