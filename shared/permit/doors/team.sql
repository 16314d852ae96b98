-- The team: what one user changes of another, and what a one-time link allows without a sign-in.

-- How far a role goes; nobody grants, edits or deactivates above their own.
CREATE OR REPLACE FUNCTION permit.rank(p_role text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_role WHEN 'owner' THEN 3 WHEN 'admin' THEN 2 ELSE 1 END
$$;

-- Changes a user's role, or whether they may sign in, which ends their sessions at once. The tenant's
-- row is locked, or two owners could demote each other. Answers why it was refused, or null: 'missing',
-- 'above' (the user's rank, or the one to be given, is above the actor's), 'last_owner'.
CREATE OR REPLACE FUNCTION permit.change_member(p_user_id uuid, p_role text, p_is_active boolean)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_tenant uuid    := permit.current_tenant();
    v_rank   integer := permit.rank(current_setting('permit.actor')::jsonb ->> 'role');
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
    DELETE FROM permit.user_links AS l
     WHERE l.tenant_id = v_tenant AND l.user_id = p_user_id AND NOT p_is_active;
    RETURN NULL;
END
$$;
GRANT EXECUTE ON FUNCTION permit.change_member(uuid, text, boolean) TO permit_vendor;

-- The email of the user that a link is for; null where no link of this kind is valid now.
CREATE OR REPLACE FUNCTION permit.find_link(p_token_hash bytea, p_kind text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN (SELECT u.email
              FROM permit.user_links AS l
              JOIN permit.users AS u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
             WHERE l.token_hash = p_token_hash AND l.kind = p_kind
               AND l.expires_at > permit.clock() AND u.deactivated_at IS NULL);
END
$$;
GRANT EXECUTE ON FUNCTION permit.find_link(bytea, text) TO permit_vendor;

-- Sets the password of the link's user, ends their sessions, and uses up this and their other links.
CREATE OR REPLACE FUNCTION permit.use_link(
    p_token_hash bytea, p_kind text, p_password_hash text, p_name text, p_request jsonb
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_tenant uuid;
    v_user   uuid;
    v_role   text;
BEGIN
    DELETE FROM permit.user_links AS l
     WHERE l.token_hash = p_token_hash AND l.kind = p_kind AND l.expires_at > permit.clock()
    RETURNING l.tenant_id, l.user_id INTO v_tenant, v_user;
    SELECT u.role INTO v_role
      FROM permit.users AS u
     WHERE u.tenant_id = v_tenant AND u.id = v_user AND u.deactivated_at IS NULL
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM permit.act_as(v_tenant, 'user', v_user, v_role, p_request);
    UPDATE permit.users AS u
       SET password_hash = p_password_hash,
           name = coalesce(p_name, u.name),
           session_version = u.session_version + 1
     WHERE u.tenant_id = v_tenant AND u.id = v_user;
    DELETE FROM permit.user_links AS l WHERE l.tenant_id = v_tenant AND l.user_id = v_user;
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.use_link(bytea, text, text, text, jsonb) TO permit_vendor;

-- The acting user's password hash, so that they can prove who they are; counted as a login attempt.
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
    retry_after := permit.count_attempt(p_keys, p_free_attempts, p_delay_caps);
    IF retry_after IS NULL THEN
        SELECT u.email, u.password_hash INTO email, password_hash
          FROM permit.users AS u
         WHERE u.tenant_id = permit.current_tenant() AND u.id = permit.acting_user();
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.admit_proof_of_self(bytea[], integer[], integer[]) TO permit_vendor;

-- Sets another password for the acting user, if the old one has not changed; ends their sessions.
CREATE OR REPLACE FUNCTION permit.change_own_password(
    p_old_hash text, p_new_hash text, p_keys bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.users AS u
       SET password_hash = p_new_hash, session_version = u.session_version + 1
     WHERE u.tenant_id = permit.current_tenant() AND u.id = permit.acting_user()
       AND u.password_hash = p_old_hash;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM permit.forget_attempts(p_keys);
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION permit.change_own_password(text, text, bytea[]) TO permit_vendor;
