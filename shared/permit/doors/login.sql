-- Sign-in: admission under the throttle, the session it ends in, its renewal and its end; and the fresh
-- proof of who is signed in. What is counted, by what, and for how long: docs/security.md.

-- Counts this attempt against each key before what was sent is looked at, so that parallel guesses
-- count. While any key is blocked, how many seconds that will be, and the attempt is not counted.
-- Each key: this many attempts are free, then the delay doubles from a second up to its cap. One is
-- forgotten each time the cap has passed, and all of them after an hour without any.
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
    INSERT INTO permit.login_throttle (key, attempts, blocked_until, expires_at, decayed_at)
    SELECT k, 0, v_now, v_now + interval '1 hour', v_now FROM unnest(p_keys) AS k ORDER BY k
        ON CONFLICT (key) DO NOTHING;

    PERFORM FROM permit.login_throttle AS t WHERE t.key = ANY (p_keys) ORDER BY t.key FOR UPDATE;
    -- Read the clock again: another attempt may have been admitted while this one waited.
    v_now := permit.clock();

    v_retry_after := permit.blocked_for(p_keys, v_now);
    IF v_retry_after IS NOT NULL THEN
        RETURN v_retry_after;
    END IF;

    UPDATE permit.login_throttle AS t
       SET attempts = counted.attempts,
           decayed_at = counted.decayed_at,
           blocked_until = v_now + make_interval(secs =>
               CASE WHEN counted.attempts <= charge.free_attempts THEN 0
                    ELSE least(charge.delay_cap,
                               2.0 ^ least(20, counted.attempts - charge.free_attempts - 1)) END),
           expires_at = v_now + interval '1 hour',
           turn_at = NULL
      FROM unnest(p_keys, p_free_attempts, p_delay_caps) AS charge (key, free_attempts, delay_cap),
           LATERAL (
               SELECT greatest(0, earlier.attempts - forgotten) + 1,
                      CASE WHEN earlier.attempts <= forgotten THEN v_now
                           ELSE earlier.decayed_at
                                + make_interval(secs => forgotten * charge.delay_cap) END
                 FROM permit.login_throttle AS earlier,
                      LATERAL (SELECT CASE WHEN earlier.expires_at <= v_now THEN earlier.attempts
                                           ELSE floor(extract(epoch FROM v_now - earlier.decayed_at)
                                                      / charge.delay_cap)::integer END) AS f (forgotten)
                WHERE earlier.key = charge.key) AS counted (attempts, decayed_at)
     WHERE t.key = charge.key;
    RETURN NULL;
END
$$;

-- While any of these keys is blocked, how many seconds that will be.
CREATE OR REPLACE FUNCTION permit.blocked_for(p_keys bytea[], p_now timestamptz) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT ceil(extract(epoch FROM max(t.blocked_until) - p_now))
      FROM permit.login_throttle AS t
     WHERE t.key = ANY (p_keys) AND t.blocked_until > p_now
$$;

-- For a pair that was refused: it is told how long to wait, and has its turn then. A turn is one attempt
-- that others who guess at the account cannot take away. Turns are counted by a key of their own, the
-- fourth; the pair and the address may stop them, and the account may not. The caller holds the locks of
-- the three, so whoever counts a turn of the account is alone.
CREATE OR REPLACE FUNCTION permit.take_turn(
    p_keys          bytea[],
    p_free_attempts integer[],
    p_delay_caps    integer[],
    p_retry_after   integer    -- what it would be without turns
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_now  timestamptz := permit.clock();
    v_turn timestamptz;
BEGIN
    SELECT t.turn_at INTO v_turn FROM permit.login_throttle AS t WHERE t.key = p_keys[1];
    IF coalesce(v_turn <= v_now - interval '10 minutes', true) THEN
        UPDATE permit.login_throttle AS t
           SET turn_at = v_now + make_interval(secs => p_retry_after)
         WHERE t.key = p_keys[1];
        RETURN p_retry_after;
    ELSIF v_turn > v_now THEN
        RETURN greatest(permit.blocked_for(p_keys[1:1] || p_keys[3:3], v_now),
                        least(p_retry_after, ceil(extract(epoch FROM v_turn - v_now))::integer));
    END IF;
    RETURN permit.count_attempt(
        p_keys[1:1] || p_keys[3:4], p_free_attempts[1:1] || p_free_attempts[3:4],
        p_delay_caps[1:1] || p_delay_caps[3:4]);
END
$$;

-- The keys are of the account at its place (the pair), the account, the address, and the account's
-- turns, where it has any. A pair that has signed in lately is judged by itself: nobody elsewhere can
-- make it wait, and it uses up nobody's attempts.
CREATE OR REPLACE FUNCTION permit.admit_attempt(
    p_keys             bytea[],
    p_free_attempts    integer[],
    p_delay_caps       integer[],
    OUT retry_after    integer,
    OUT is_known_place boolean
)
LANGUAGE plpgsql AS $$
BEGIN
    is_known_place := EXISTS (SELECT FROM permit.login_places AS p
                               WHERE p.key = p_keys[1] AND p.expires_at > permit.clock());
    IF is_known_place THEN
        retry_after := permit.count_attempt(p_keys[1:1], p_free_attempts[1:1], p_delay_caps[1:1]);
        RETURN;
    END IF;
    retry_after := permit.count_attempt(p_keys[1:3], p_free_attempts[1:3], p_delay_caps[1:3]);
    IF retry_after IS NOT NULL AND cardinality(p_keys) = 4 THEN
        retry_after := permit.take_turn(p_keys, p_free_attempts, p_delay_caps, retry_after);
    END IF;
END
$$;

-- An attempt that was none of a guesser is not counted any more, nor its delay.
CREATE OR REPLACE FUNCTION permit.take_back_attempt(p_keys bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    PERFORM FROM permit.login_throttle AS t WHERE t.key = ANY (p_keys) ORDER BY t.key FOR UPDATE;
    UPDATE permit.login_throttle AS t
       SET attempts = greatest(0, t.attempts - 1),
           blocked_until = least(t.blocked_until, permit.clock())
     WHERE t.key = ANY (p_keys);
END
$$;
GRANT EXECUTE ON FUNCTION permit.take_back_attempt(bytea[]) TO permit_login;

-- A complete login, or proof: its places are known from now on and their attempts forgotten. Of the
-- other keys that it was counted against, it is taken back.
CREATE OR REPLACE FUNCTION permit.settle_attempt(
    p_tenant_id uuid, p_user_id uuid, p_places bytea[], p_others bytea[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM permit.login_throttle AS t
      WHERE t.key = ANY (p_places || p_others) ORDER BY t.key FOR UPDATE;
    DELETE FROM permit.login_throttle AS t WHERE t.key = ANY (p_places);
    PERFORM permit.take_back_attempt(p_others);
    INSERT INTO permit.login_places AS p (key, tenant_id, user_id, expires_at)
    SELECT k, p_tenant_id, p_user_id, permit.clock() + interval '30 days'
      FROM unnest(p_places) AS k ORDER BY k
        ON CONFLICT (key) DO UPDATE
           SET tenant_id = excluded.tenant_id, user_id = excluded.user_id,
               expires_at = excluded.expires_at;
END
$$;

CREATE OR REPLACE FUNCTION permit.insert_session(
    p_tenant_id         uuid,
    p_user_id           uuid,
    p_session_version   integer,
    p_token_hash        bytea,
    p_with_second_factor boolean,
    p_request           jsonb
) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    v_now     timestamptz := permit.clock();
    v_session uuid;
BEGIN
    INSERT INTO permit.sessions
           (tenant_id, user_id, session_version, created_at, expires_at, with_second_factor)
    VALUES (p_tenant_id, p_user_id, p_session_version, v_now, v_now + interval '90 days',
            p_with_second_factor)
    RETURNING id INTO v_session;
    INSERT INTO permit.refresh_tokens (token_hash, tenant_id, session_id, issued_at)
    VALUES (p_token_hash, p_tenant_id, v_session, v_now);
    PERFORM permit.tell_sign_in(p_tenant_id, p_user_id, 'sessions.begin', NULL,
                                permit.session_change(NULL, v_session), p_request);
    RETURN v_session;
END
$$;

CREATE OR REPLACE FUNCTION permit.session_change(p_from uuid, p_to uuid) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('session', jsonb_build_object('from', p_from, 'to', p_to))
$$;

-- Counts the attempt, and hands over what verifies the password. While it is blocked, nothing but
-- for how long (retry_after, seconds). Only who has accepted signs in by an email.
CREATE OR REPLACE FUNCTION permit.admit_password(
    p_email               text,
    p_keys                bytea[],
    p_free_attempts       integer[],
    p_delay_caps          integer[],
    OUT retry_after       integer,
    OUT is_known_place    boolean,
    OUT tenant_id         uuid,
    OUT user_id           uuid,
    OUT role              text,
    OUT session_version   integer,
    OUT password_hash     text,
    OUT has_second_factor boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT a.retry_after, a.is_known_place INTO retry_after, is_known_place
      FROM permit.admit_attempt(p_keys, p_free_attempts, p_delay_caps) AS a;
    IF retry_after IS NULL THEN
        SELECT u.tenant_id, u.id, u.role, u.session_version, u.password_hash,
               u.totp_confirmed_at IS NOT NULL
          INTO tenant_id, user_id, role, session_version, password_hash, has_second_factor
          FROM permit.users AS u
         WHERE u.email = p_email AND u.password_hash IS NOT NULL AND u.deactivated_at IS NULL;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_password(text, bytea[], integer[], integer[])
   TO permit_login;

-- The second step, counted like the first. Nothing but retry_after while it is blocked, nothing more
-- where the user has changed since the first, or has no second factor any more.
CREATE OR REPLACE FUNCTION permit.admit_code(
    p_tenant_id             uuid,
    p_user_id               uuid,
    p_session_version       integer,
    p_keys                  bytea[],
    p_free_attempts         integer[],
    p_delay_caps            integer[],
    OUT retry_after         integer,
    OUT is_known_place      boolean,
    OUT email               text,
    OUT role                text,
    OUT totp_sealed         bytea,
    OUT totp_master_version text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT a.retry_after, a.is_known_place INTO retry_after, is_known_place
      FROM permit.admit_attempt(p_keys, p_free_attempts, p_delay_caps) AS a;
    IF retry_after IS NULL THEN
        SELECT u.email, u.role, u.totp_sealed, u.totp_master_version
          INTO email, role, totp_sealed, totp_master_version
          FROM permit.users AS u
         WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
           AND u.session_version = p_session_version AND u.totp_confirmed_at IS NOT NULL;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_code(uuid, uuid, integer, bytea[], integer[], integer[])
   TO permit_login;

-- A complete login by the password alone: the session. Keeps the renewed hash. Null where the user
-- changed since admission (deactivated, another password), and for one with a second factor, who is
-- not through yet.
CREATE OR REPLACE FUNCTION permit.open_session(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_old_hash        text,
    p_new_hash        text,     -- null: the stored one stays
    p_token_hash      bytea,
    p_places          bytea[],
    p_others          bytea[],
    p_request         jsonb
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    PERFORM FROM permit.users AS u
      WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
        AND u.session_version = p_session_version AND u.totp_confirmed_at IS NULL
        -- A hash out of date may have been renewed by a login at the same moment.
        AND (u.password_hash = p_old_hash OR p_new_hash IS NOT NULL)
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM permit.renew_account(p_tenant_id, p_user_id, u.email, p_new_hash)
       FROM permit.users AS u
      WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND p_new_hash IS NOT NULL
        AND u.password_hash = p_old_hash;

    PERFORM permit.settle_attempt(p_tenant_id, p_user_id, p_places, p_others);
    RETURN permit.insert_session(p_tenant_id, p_user_id, p_session_version, p_token_hash, false,
                                 p_request);
END
$$;
GRANT EXECUTE ON FUNCTION permit.open_session(
    uuid, uuid, integer, text, text, bytea, bytea[], bytea[], jsonb) TO permit_login;

-- Whether a code of this time step, or a recovery code, is good: either serves once. The caller holds
-- the user's lock.
CREATE OR REPLACE FUNCTION permit.use_second_factor(
    p_tenant_id uuid, p_user_id uuid, p_totp_step bigint, p_recovery_hash bytea
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF p_totp_step IS NULL THEN
        DELETE FROM permit.recovery_codes AS c
         WHERE c.tenant_id = p_tenant_id AND c.user_id = p_user_id AND c.code_hash = p_recovery_hash;
    ELSE
        UPDATE permit.users AS u
           SET totp_used_step = p_totp_step
         WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id
           AND coalesce(u.totp_used_step < p_totp_step, true);
    END IF;
    RETURN FOUND;
END
$$;

-- A complete login with a second factor: the session. Null where the code is wrong or has served,
-- which is told, or the user has changed.
CREATE OR REPLACE FUNCTION permit.open_verified_session(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_totp_step       bigint,    -- null: by a recovery code
    p_recovery_hash   bytea,
    p_token_hash      bytea,
    p_places          bytea[],
    p_others          bytea[],
    p_request         jsonb
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    PERFORM FROM permit.users AS u
      WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id AND u.deactivated_at IS NULL
        AND u.session_version = p_session_version AND u.totp_confirmed_at IS NOT NULL
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT permit.use_second_factor(p_tenant_id, p_user_id, p_totp_step, p_recovery_hash) THEN
        PERFORM permit.tell_sign_in(p_tenant_id, p_user_id, 'sessions.refuse-code', 'password', '{}',
                                    p_request);
        RETURN NULL;
    END IF;
    PERFORM permit.settle_attempt(p_tenant_id, p_user_id, p_places, p_others);
    RETURN permit.insert_session(p_tenant_id, p_user_id, p_session_version, p_token_hash, true,
                                 p_request);
END
$$;
GRANT EXECUTE ON FUNCTION permit.open_verified_session(
    uuid, uuid, integer, bigint, bytea, bytea, bytea[], bytea[], jsonb) TO permit_login;

-- For a fresh proof by who bears an access token: counted like a login, with what verifies the password
-- and the second factor. Nothing but retry_after while it is blocked, nothing more for a token that
-- is good no longer.
CREATE OR REPLACE FUNCTION permit.admit_proof(
    p_tenant_id             uuid,
    p_user_id               uuid,
    p_session_version       integer,
    p_session_id            uuid,
    p_keys                  bytea[],
    p_free_attempts         integer[],
    p_delay_caps            integer[],
    OUT retry_after         integer,
    OUT is_known_place      boolean,
    OUT password_hash       text,
    OUT totp_sealed         bytea,   -- null: no second factor is in use
    OUT totp_master_version text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT a.retry_after, a.is_known_place INTO retry_after, is_known_place
      FROM permit.admit_attempt(p_keys, p_free_attempts, p_delay_caps) AS a;
    IF retry_after IS NULL THEN
        SELECT u.password_hash,
               CASE WHEN u.totp_confirmed_at IS NOT NULL THEN u.totp_sealed END,
               u.totp_master_version
          INTO password_hash, totp_sealed, totp_master_version
          FROM permit.bearer(p_tenant_id, p_user_id, p_session_version, p_session_id) AS u;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_proof(
    uuid, uuid, integer, uuid, bytea[], integer[], integer[]) TO permit_login;

-- How a fresh proof ends: whether the password matches, and the code where there is a second factor,
-- which then serves no more. Either way it is told.
CREATE OR REPLACE FUNCTION permit.prove_self(
    p_tenant_id       uuid,
    p_user_id         uuid,
    p_session_version integer,
    p_session_id      uuid,
    p_matches         boolean,   -- the password
    p_totp_step       bigint,    -- null: by a recovery code
    p_recovery_hash   bytea,     -- null: no second factor is in use
    p_places          bytea[],
    p_others          bytea[],
    p_request         jsonb
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_has_factor boolean;
BEGIN
    PERFORM FROM permit.users AS u
      WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id
        FOR NO KEY UPDATE;
    SELECT u.totp_confirmed_at IS NOT NULL INTO v_has_factor
      FROM permit.bearer(p_tenant_id, p_user_id, p_session_version, p_session_id) AS u;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF NOT p_matches OR v_has_factor AND NOT permit.use_second_factor(
           p_tenant_id, p_user_id, p_totp_step, p_recovery_hash) THEN
        PERFORM permit.tell_sign_in(p_tenant_id, p_user_id, 'sessions.refuse-proof',
                                    CASE WHEN p_matches THEN 'password' END, '{}', p_request);
        RETURN false;
    END IF;
    PERFORM permit.settle_attempt(p_tenant_id, p_user_id, p_places, p_others),
            permit.tell_sign_in(p_tenant_id, p_user_id, 'sessions.elevate', NULL, '{}', p_request);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.prove_self(
    uuid, uuid, integer, uuid, boolean, bigint, bytea, bytea[], bytea[], jsonb) TO permit_login;

-- Replaces a refresh token. Nothing is returned for one that is unknown, ended or expired. A token
-- replaced at most 30 seconds ago whose successor is unused gets a sibling: its answer may have been
-- lost. Any other token that comes a second time ends its session, and so does one whose sibling was
-- used: two clients have it.
CREATE OR REPLACE FUNCTION permit.refresh_session(
    p_token_hash           bytea,
    p_new_hash             bytea,
    p_request              jsonb,
    OUT tenant_id          uuid,
    OUT user_id            uuid,
    OUT role               text,
    OUT session_version    integer,
    OUT session_id         uuid,
    OUT signed_in_at       timestamptz,
    OUT with_second_factor boolean,
    OUT is_reused          boolean
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
    SELECT u.tenant_id, u.id, u.role, u.session_version, s.id, s.created_at, s.with_second_factor
      INTO tenant_id, user_id, role, session_version, session_id, signed_in_at, with_second_factor
      FROM permit.sessions AS s
      JOIN permit.users AS u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
     WHERE s.tenant_id = v_token.tenant_id AND s.id = v_token.session_id
       AND s.ended_at IS NULL AND s.expires_at > v_now
       AND u.deactivated_at IS NULL AND u.session_version = s.session_version;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    is_reused := EXISTS (SELECT FROM permit.refresh_tokens AS sibling
                          WHERE sibling.parent_hash = v_token.parent_hash
                            AND sibling.token_hash <> p_token_hash AND sibling.used_at IS NOT NULL)
        OR v_token.used_at IS NOT NULL
       AND (v_token.used_at < v_now - interval '30 seconds'
            OR EXISTS (SELECT FROM permit.refresh_tokens AS successor
                        WHERE successor.parent_hash = p_token_hash
                          AND successor.used_at IS NOT NULL));
    IF is_reused THEN
        UPDATE permit.sessions AS s
           SET ended_at = v_now
         WHERE s.tenant_id = v_token.tenant_id AND s.id = v_token.session_id;
        PERFORM permit.tell_sign_in(tenant_id, user_id, 'sessions.reuse', 'refresh_token',
                                    permit.session_change(session_id, NULL), p_request);
        RETURN;
    END IF;

    UPDATE permit.refresh_tokens AS t
       SET used_at = v_now
     WHERE t.token_hash = p_token_hash AND t.used_at IS NULL;
    INSERT INTO permit.refresh_tokens (token_hash, tenant_id, session_id, parent_hash, issued_at)
    VALUES (p_new_hash, v_token.tenant_id, v_token.session_id, p_token_hash, v_now);
END
$$;
GRANT EXECUTE ON FUNCTION permit.refresh_session(bytea, bytea, jsonb) TO permit_login;

-- Ends the session that a refresh token belongs to; silent about whether there was one.
CREATE OR REPLACE FUNCTION permit.close_session(p_token_hash bytea, p_request jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_session permit.sessions;
BEGIN
    UPDATE permit.sessions AS s
       SET ended_at = permit.clock()
      FROM permit.refresh_tokens AS t
     WHERE t.token_hash = p_token_hash AND t.tenant_id = s.tenant_id AND t.session_id = s.id
       AND s.ended_at IS NULL
    RETURNING s.* INTO v_session;
    IF FOUND THEN
        PERFORM permit.tell_sign_in(v_session.tenant_id, v_session.user_id, 'sessions.end', NULL,
                                    permit.session_change(v_session.id, NULL), p_request);
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.close_session(bytea, jsonb) TO permit_login;
