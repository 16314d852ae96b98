-- Who acts in a transaction, and for which tenant: said once, by a door that knows, and sealed. A
-- statement of a function's own role can set the same settings, and cannot make the seal.

CREATE OR REPLACE FUNCTION permit.acting_seal(p_tenant text, p_actor text, p_request text)
RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_secret bytea := (SELECT a.secret FROM permit.acting_secret AS a);
BEGIN
    -- Of this transaction alone: a seal that was seen serves in no other. Hashed twice, as in HMAC.
    RETURN encode(sha256(v_secret || sha256(v_secret || convert_to(jsonb_build_array(
               p_tenant, p_actor, p_request, pg_backend_pid(), extract(epoch FROM now()))::text,
               'UTF8'))), 'hex');
END
$$;

-- The settings end with the transaction; being made inside a function they pin no session of RDS
-- Proxy. p_request is what the audit log notes of the request: {action, reason, request_id, address};
-- and with a `session`, the one that the acting user's token is of.
CREATE OR REPLACE FUNCTION permit.act_as(
    p_tenant_id uuid, p_kind text, p_actor_id uuid, p_role text, p_request jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_tenant  text := p_tenant_id::text;
    v_actor   text := jsonb_build_object('kind', p_kind, 'id', p_actor_id, 'role', p_role)::text;
    v_request text := coalesce(p_request, '{}')::text;
BEGIN
    PERFORM set_config('permit.tenant', v_tenant, true),
            set_config('permit.actor', v_actor, true),
            set_config('permit.request', v_request, true),
            set_config('permit.seal', permit.acting_seal(v_tenant, v_actor, v_request), true);
END
$$;

-- {tenant, kind, id, role, request}: who acts, as the door said it. Raises where nobody does, and
-- where the settings were touched since.
CREATE OR REPLACE FUNCTION permit.acting() RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_tenant  text := current_setting('permit.tenant', true);
    v_actor   text := current_setting('permit.actor', true);
    v_request text := current_setting('permit.request', true);
BEGIN
    IF current_setting('permit.seal', true)
       IS DISTINCT FROM permit.acting_seal(v_tenant, v_actor, v_request) THEN
        RAISE EXCEPTION 'nobody was let in to act here' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_actor::jsonb || jsonb_build_object('tenant', v_tenant, 'request', v_request::jsonb);
END
$$;

-- The user who acts; null where it is a server or the operator.
CREATE OR REPLACE FUNCTION permit.acting_user() RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT (acting ->> 'id')::uuid
      FROM permit.acting() AS acting
     WHERE acting ->> 'kind' = 'user'
$$;
