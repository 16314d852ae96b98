-- How a transaction becomes a tenant's. The settings end with the transaction; being made inside a
-- function they pin no session of RDS Proxy.

-- For a user of the tenant: refuses one who was deactivated, or whose token was made before his
-- sessions were ended or his role was changed. Returns his role as it is now.
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
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this user may not enter this tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('permit.tenant', p_tenant_id::text, true),
            set_config('permit.user', p_user_id::text, true),
            set_config('permit.request', p_request::text, true);
    RETURN v_role;
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter(uuid, uuid, integer, jsonb) TO permit_vendor;

-- For the operator, whom IAM has let in; a tenant that is being erased is not there any more.
CREATE OR REPLACE FUNCTION permit.enter_as_operator(p_tenant_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM permit.tenants AS t
                WHERE t.id = p_tenant_id AND t.closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'this tenant is being erased' USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM set_config('permit.tenant', p_tenant_id::text, true);
END
$$;
GRANT EXECUTE ON FUNCTION permit.enter_as_operator(uuid) TO permit_operator;
