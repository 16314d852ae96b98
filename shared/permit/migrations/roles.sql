-- Roles and their defaults. Run by whoever connects (RDS's master user, a local owner with
-- CREATEROLE), before every migration run, and safe to repeat. Nothing here needs a superuser.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['permit_owner', 'permit_doors'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;

    FOREACH role_name IN ARRAY ARRAY['permit_check', 'permit_login', 'permit_public',
                                     'permit_vendor', 'permit_operator', 'permit_sweep'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', role_name);
        END IF;
        -- Defaults live here because a SET in a statement would pin a session of RDS Proxy.
        EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', role_name,
                       CASE role_name WHEN 'permit_sweep' THEN '60s'
                                      WHEN 'permit_operator' THEN '60s' ELSE '8s' END);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = %L', role_name, '3s');
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', role_name, '15s');
        EXECUTE format('ALTER ROLE %I SET search_path = permit, pg_catalog', role_name);
        EXECUTE format('ALTER ROLE %I SET timezone = %L', role_name, 'UTC');
        -- Where RDS is, its IAM authentication is the only way in; elsewhere the role does not exist.
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_iam')
           AND NOT pg_has_role(role_name, 'rds_iam', 'MEMBER') THEN
            EXECUTE format('GRANT rds_iam TO %I', role_name);
        END IF;
    END LOOP;
    -- Every statement of the check runs with bound values: one generic plan serves them all.
    ALTER ROLE permit_check SET plan_cache_mode = 'force_generic_plan';

    IF NOT pg_has_role(current_user, 'permit_owner', 'USAGE') THEN
        EXECUTE format('GRANT permit_owner TO %I', current_user);
    END IF;
    -- The owner creates the doors as permit_doors.
    IF NOT pg_has_role('permit_owner', 'permit_doors', 'MEMBER') THEN
        GRANT permit_doors TO permit_owner;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS permit AUTHORIZATION permit_owner;
