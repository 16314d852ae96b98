-- The team: what one user does about another or about themself, and what a link lets somebody do who is
-- not signed in.

-- How far a role goes; nobody grants, edits or deactivates above their own.
CREATE OR REPLACE FUNCTION permit.rank(p_role text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_role WHEN 'owner' THEN 3 WHEN 'admin' THEN 2 ELSE 1 END
$$;

-- Changes a user's role, or whether they may sign in, which ends their sessions and the links that are
-- for them or of their making. The tenant's row is locked, or two owners could demote each other. Why
-- not, or null: 'missing', 'above' (their rank, or the one to be given, is above the actor's),
-- 'last_owner'.
CREATE OR REPLACE FUNCTION permit.change_member(p_user_id uuid, p_role text, p_is_active boolean)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_acting jsonb   := permit.acting();
    v_tenant uuid    := v_acting ->> 'tenant';
    v_rank   integer := permit.rank(v_acting ->> 'role');
    v_user   permit.users;
BEGIN
    PERFORM FROM permit.tenants AS t WHERE t.id = v_tenant FOR NO KEY UPDATE;
    SELECT u.* INTO v_user
      FROM permit.users AS u
     WHERE u.tenant_id = v_tenant AND u.id = p_user_id;
    IF NOT FOUND THEN
        RETURN 'missing';
    ELSIF greatest(permit.rank(v_user.role), permit.rank(p_role)) > v_rank THEN
        RETURN 'above';
    ELSIF v_user.role = p_role AND (v_user.deactivated_at IS NULL) = p_is_active THEN
        RETURN NULL;
    ELSIF v_user.role = 'owner' AND NOT (p_role = 'owner' AND p_is_active) AND NOT EXISTS (
              SELECT FROM permit.users AS u
               WHERE u.tenant_id = v_tenant AND u.id <> p_user_id AND u.role = 'owner'
                 AND u.deactivated_at IS NULL AND u.password_hash IS NOT NULL) THEN
        RETURN 'last_owner';
    END IF;
    UPDATE permit.users AS u
       SET role = p_role,
           deactivated_at = CASE WHEN NOT p_is_active
                                 THEN coalesce(u.deactivated_at, permit.clock()) END,
           session_version = u.session_version + 1
     WHERE u.tenant_id = v_tenant AND u.id = p_user_id;
    PERFORM permit.end_links(v_tenant, p_user_id);
    RETURN NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.change_member(uuid, text, boolean) TO permit_vendor;

CREATE OR REPLACE FUNCTION permit.end_links(p_tenant_id uuid, p_user_id uuid) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM permit.user_links AS l
     WHERE l.token_hash IN (
           SELECT o.token_hash FROM permit.user_links AS o
            WHERE o.tenant_id = p_tenant_id
              AND (o.user_id = p_user_id OR o.maker_id = p_user_id)
            ORDER BY o.token_hash  -- two that end the same ones never wait for each other
              FOR UPDATE)
$$;

-- Whoever writes a link, it is the actor's: what it stands on is noted, and nobody makes one for
-- themself or for who is above them. Both rows are locked, so no change of theirs passes it by.
CREATE OR REPLACE FUNCTION permit.stamp_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_acting jsonb := permit.acting();
    v_user   permit.users;
    v_maker  permit.users;
BEGIN
    NEW.maker_kind := v_acting ->> 'kind';
    NEW.maker_id := v_acting ->> 'id';
    PERFORM FROM permit.users AS u
      WHERE u.tenant_id = NEW.tenant_id AND u.id IN (NEW.user_id, NEW.maker_id)
      ORDER BY u.id
        FOR SHARE;
    SELECT u.* INTO v_user
      FROM permit.users AS u
     WHERE u.tenant_id = NEW.tenant_id AND u.id = NEW.user_id;
    SELECT u.* INTO v_maker
      FROM permit.users AS u
     WHERE u.tenant_id = NEW.tenant_id AND u.id = NEW.maker_id;
    IF NEW.user_id = NEW.maker_id OR v_maker.deactivated_at IS NOT NULL
       OR permit.rank(v_user.role) > permit.rank(coalesce(v_maker.role, v_acting ->> 'role')) THEN
        RAISE EXCEPTION 'this link is not the actor''s to make'
              USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.standing := permit.standing(
        v_user.role, v_user.email, v_user.password_hash, v_user.deactivated_at);
    NEW.maker_standing := CASE WHEN v_maker.id IS NOT NULL THEN permit.standing(
        v_maker.role, v_maker.email, v_maker.password_hash, v_maker.deactivated_at) END;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER stamp BEFORE INSERT ON permit.user_links
FOR EACH ROW EXECUTE FUNCTION permit.stamp_link();

-- The link of this token, if it is good now: nothing of its user has changed since, nor of its maker.
CREATE OR REPLACE FUNCTION permit.good_links(p_token_hash bytea, p_kind text)
RETURNS SETOF permit.user_links
LANGUAGE sql STABLE AS $$
    SELECT l.*
      FROM permit.user_links AS l
      JOIN permit.users AS u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
     WHERE l.token_hash = p_token_hash AND l.kind = p_kind AND l.expires_at > permit.clock()
       AND u.deactivated_at IS NULL
       AND l.standing = permit.standing(u.role, u.email, u.password_hash, u.deactivated_at)
       AND CASE l.maker_kind
               WHEN 'user' THEN EXISTS (
                   SELECT FROM permit.users AS m
                    WHERE m.tenant_id = l.tenant_id AND m.id = l.maker_id
                      AND l.maker_standing = permit.standing(
                          m.role, m.email, m.password_hash, m.deactivated_at))
               WHEN 'api_key' THEN EXISTS (
                   SELECT FROM permit.api_keys AS k
                    WHERE k.tenant_id = l.tenant_id AND k.id = l.maker_id AND k.revoked_at IS NULL
                      AND coalesce(permit.clock() < k.expires_at, true))
               ELSE true END
$$;

-- The same password in another hash, or the same email as it is read now: for the account that is no
-- change, so the links that stand on it go on.
CREATE OR REPLACE FUNCTION permit.renew_account(
    p_tenant_id uuid, p_user_id uuid, p_email text, p_password_hash text
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_before bytea;
    v_after  bytea;
BEGIN
    SELECT permit.standing(u.role, u.email, u.password_hash, u.deactivated_at),
           permit.standing(u.role, p_email, p_password_hash, u.deactivated_at)
      INTO v_before, v_after
      FROM permit.users AS u
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id
       FOR NO KEY UPDATE;
    IF v_before = v_after THEN
        RETURN;
    END IF;
    UPDATE permit.users AS u
       SET email = p_email, password_hash = p_password_hash
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id;
    PERFORM FROM permit.user_links AS l
      WHERE l.tenant_id = p_tenant_id AND (l.user_id = p_user_id OR l.maker_id = p_user_id)
      ORDER BY l.token_hash
        FOR UPDATE;
    UPDATE permit.user_links AS l
       SET standing = CASE WHEN l.user_id = p_user_id AND l.standing = v_before
                           THEN v_after ELSE l.standing END,
           maker_standing = CASE WHEN l.maker_id = p_user_id AND l.maker_standing = v_before
                                 THEN v_after ELSE l.maker_standing END
     WHERE l.tenant_id = p_tenant_id AND (l.user_id = p_user_id OR l.maker_id = p_user_id);
END
$$;

-- Whom a link is for; null where there is none of this kind that is good now.
CREATE OR REPLACE FUNCTION permit.find_linked(
    p_token_hash bytea, p_kind text, OUT user_id uuid, OUT email text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT u.id, u.email INTO user_id, email
      FROM permit.good_links(p_token_hash, p_kind) AS l
      JOIN permit.users AS u ON u.tenant_id = l.tenant_id AND u.id = l.user_id;
END
$$;
GRANT EXECUTE ON FUNCTION permit.find_linked(bytea, text) TO permit_vendor;

-- Sets the password of the link's user, ends their sessions and links. Its maker is whom the audit log
-- names, as one who made the link: who has used it, nobody knows. Its places are known from now on, as
-- after a login. Why not, or null: 'invalid', 'taken' (somebody else signs in by this email; the link
-- stays).
CREATE OR REPLACE FUNCTION permit.redeem_link(
    p_token_hash bytea, p_kind text, p_password_hash text, p_name text, p_places bytea[],
    p_request jsonb
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_link permit.user_links;
BEGIN
    PERFORM FROM permit.users AS u
      WHERE (u.tenant_id, u.id) IN (SELECT l.tenant_id, l.user_id FROM permit.user_links AS l
                                     WHERE l.token_hash = p_token_hash)
        FOR NO KEY UPDATE;
    SELECT l.* INTO v_link FROM permit.good_links(p_token_hash, p_kind) AS l;
    IF NOT FOUND THEN
        RETURN 'invalid';
    END IF;
    PERFORM permit.act_as(v_link.tenant_id, coalesce(v_link.maker_kind, 'user'), v_link.maker_id,
                          'link', p_request);
    UPDATE permit.users AS u
       SET password_hash = p_password_hash,
           name = coalesce(p_name, u.name),
           session_version = u.session_version + 1
     WHERE u.tenant_id = v_link.tenant_id AND u.id = v_link.user_id;
    PERFORM permit.end_links(v_link.tenant_id, v_link.user_id),
            permit.settle_attempt(v_link.tenant_id, v_link.user_id, p_places, '{}');
    RETURN NULL;
EXCEPTION WHEN unique_violation THEN
    RETURN 'taken';
END
$$;
GRANT EXECUTE ON FUNCTION permit.redeem_link(bytea, text, text, text, bytea[], jsonb)
   TO permit_vendor;

-- How a password is hashed: the stored hash with a digest of zeros. Who has the password makes the
-- hash of it by this; who has not learns nothing that helps to guess it elsewhere.
CREATE OR REPLACE FUNCTION permit.password_recipe(p_hash text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_hash LIKE '$argon2%'
                THEN left(p_hash, -length(digest)) || repeat('A', length(digest))
                ELSE left(p_hash, 29) || repeat('.', 31) END  -- bcrypt
      FROM substring(p_hash FROM '[^$]*$') AS digest
$$;

-- The acting user's present password, asked for: counted as a login attempt is. Its hash stays here,
-- and replace_own_password compares.
CREATE OR REPLACE FUNCTION permit.admit_own_password(
    p_keys             bytea[],
    p_free_attempts    integer[],
    p_delay_caps       integer[],
    OUT retry_after    integer,
    OUT is_known_place boolean,
    OUT recipe         text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    -- The user before the counters, as in every door of the sign-in.
    PERFORM FROM permit.users AS u
      WHERE u.tenant_id = permit.current_tenant() AND u.id = permit.acting_user()
        FOR NO KEY UPDATE;
    SELECT a.retry_after, a.is_known_place INTO retry_after, is_known_place
      FROM permit.admit_attempt(p_keys, p_free_attempts, p_delay_caps) AS a;
    IF retry_after IS NULL THEN
        SELECT permit.password_recipe(u.password_hash) INTO recipe
          FROM permit.users AS u
         WHERE u.tenant_id = permit.current_tenant() AND u.id = permit.acting_user();
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_own_password(bytea[], integer[], integer[]) TO permit_vendor;

-- Another password for the acting user, where one of these is the hash of the present one; ends their
-- sessions and links. Whether it was: what was wrong is told.
CREATE OR REPLACE FUNCTION permit.replace_own_password(
    p_present text[], p_new_hash text, p_places bytea[], p_others bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_acting jsonb := permit.acting();
    v_tenant uuid  := v_acting ->> 'tenant';
    v_user   uuid  := permit.acting_user();
BEGIN
    UPDATE permit.users AS u
       SET password_hash = p_new_hash, session_version = u.session_version + 1
     WHERE u.tenant_id = v_tenant AND u.id = v_user AND u.password_hash = ANY (p_present);
    IF NOT FOUND THEN
        PERFORM permit.tell_sign_in(v_tenant, v_user, 'sessions.refuse-proof', NULL, '{}',
                                    v_acting -> 'request');
        RETURN false;
    END IF;
    PERFORM permit.end_links(v_tenant, v_user),
            permit.settle_attempt(v_tenant, v_user, p_places, p_others);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.replace_own_password(text[], text, bytea[], bytea[])
   TO permit_vendor;

-- A user's sessions end, but for the one that acts.
CREATE OR REPLACE FUNCTION permit.end_other_sessions(p_tenant_id uuid, p_user_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_session uuid := permit.acting() -> 'request' ->> 'session';
    v_version integer;
BEGIN
    UPDATE permit.users AS u
       SET session_version = u.session_version + 1
     WHERE u.tenant_id = p_tenant_id AND u.id = p_user_id
    RETURNING u.session_version INTO v_version;
    UPDATE permit.sessions AS s
       SET session_version = v_version
     WHERE s.tenant_id = p_tenant_id AND s.id = v_session AND s.user_id = p_user_id
       AND s.session_version = v_version - 1;
END
$$;

-- From now the acting user's second factor is asked for at login; their other sessions end. False where
-- none waits to be confirmed.
CREATE OR REPLACE FUNCTION permit.confirm_second_factor(p_step bigint, p_recovery_hashes bytea[])
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_tenant uuid := permit.acting() ->> 'tenant';
    v_user   uuid := permit.acting_user();
BEGIN
    UPDATE permit.users AS u
       SET totp_confirmed_at = permit.clock(), totp_used_step = p_step
     WHERE u.tenant_id = v_tenant AND u.id = v_user
       AND u.totp_sealed IS NOT NULL AND u.totp_confirmed_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO permit.recovery_codes (tenant_id, user_id, code_hash)
    SELECT v_tenant, v_user, code_hash FROM unnest(p_recovery_hashes) AS code_hash;
    PERFORM permit.end_other_sessions(v_tenant, v_user);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.confirm_second_factor(bigint, bytea[]) TO permit_vendor;

-- Without a second factor, with its recovery codes; the user's other sessions end. Why not, or null:
-- 'missing', 'above' (their rank is above the actor's), 'off'.
CREATE OR REPLACE FUNCTION permit.remove_second_factor(p_user_id uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_acting jsonb := permit.acting();
    v_tenant uuid  := v_acting ->> 'tenant';
    v_user   permit.users;
BEGIN
    SELECT u.* INTO v_user
      FROM permit.users AS u
     WHERE u.tenant_id = v_tenant AND u.id = p_user_id
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'missing';
    ELSIF v_acting ->> 'kind' <> 'operator'
      AND permit.rank(v_user.role) > permit.rank(v_acting ->> 'role') THEN
        RETURN 'above';
    ELSIF v_user.totp_sealed IS NULL THEN
        RETURN 'off';
    END IF;
    UPDATE permit.users AS u
       SET totp_sealed = NULL, totp_master_version = NULL, totp_confirmed_at = NULL,
           totp_used_step = NULL
     WHERE u.tenant_id = v_tenant AND u.id = p_user_id;
    DELETE FROM permit.recovery_codes AS c WHERE c.tenant_id = v_tenant AND c.user_id = p_user_id;
    PERFORM permit.end_other_sessions(v_tenant, p_user_id);
    RETURN NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.remove_second_factor(uuid) TO permit_vendor, permit_operator;

-- Whether all people of the tenant need a second factor: an owner's to say.
CREATE OR REPLACE FUNCTION permit.require_second_factor(p_is_required boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_acting jsonb := permit.acting();
BEGIN
    IF v_acting ->> 'role' <> 'owner' THEN
        RAISE EXCEPTION 'this is an owner''s to say' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE permit.tenants AS t
       SET requires_second_factor = p_is_required
     WHERE t.id = (v_acting ->> 'tenant')::uuid
       AND t.requires_second_factor <> p_is_required;
END
$$;
GRANT EXECUTE ON FUNCTION permit.require_second_factor(boolean) TO permit_vendor;
