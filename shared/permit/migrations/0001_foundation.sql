-- What every table builds on: the clock, the entered tenant, and how a table is confined to it.
GRANT USAGE ON SCHEMA permit TO permit_doors, permit_check, permit_login, permit_public,
                                permit_vendor, permit_operator, permit_sweep;
GRANT CREATE ON SCHEMA permit TO permit_doors;

-- Postgres gives EXECUTE on a new function to everyone; here each one is granted by name.
ALTER DEFAULT PRIVILEGES FOR ROLE permit_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE permit_doors REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The one clock. Tests replace this function and nothing else.
CREATE FUNCTION permit.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE
RETURN pg_catalog.clock_timestamp();

GRANT EXECUTE ON FUNCTION permit.clock() TO permit_doors, permit_vendor, permit_operator;

-- NULLIF: after a transaction that entered a tenant, the backend's setting is '' and not NULL.
CREATE FUNCTION permit.current_tenant() RETURNS uuid
LANGUAGE sql STABLE
RETURN NULLIF(pg_catalog.current_setting('permit.tenant', true), '')::uuid;

GRANT EXECUTE ON FUNCTION permit.current_tenant() TO permit_doors, permit_vendor, permit_operator;

-- Row-level security for one table: rows of the entered tenant, for every role but the doors'.
-- A door decides itself which rows it touches (it is how one works before a tenant is known).
CREATE PROCEDURE permit.confine(p_table regclass, p_tenant_column name DEFAULT 'tenant_id')
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    EXECUTE format('CREATE POLICY entered_tenant ON %s
                        USING (%I = permit.current_tenant())
                        WITH CHECK (%I = permit.current_tenant())',
                   p_table, p_tenant_column, p_tenant_column);
    EXECUTE format('CREATE POLICY doors ON %s TO permit_doors USING (true) WITH CHECK (true)',
                   p_table);
END
$$;
REVOKE EXECUTE ON PROCEDURE permit.confine(regclass, name) FROM PUBLIC;

-- An ISO 8601 duration (years to seconds, whole numbers), kept as the vendor wrote it and cast to
-- interval where it is added to a time, which keeps it calendar-true.
CREATE FUNCTION permit.is_duration(p_text text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN p_text ~ '^P(?=[0-9T])([0-9]{1,3}Y)?([0-9]{1,4}M)?([0-9]{1,4}W)?([0-9]{1,5}D)?(T(?=[0-9])([0-9]{1,6}H)?([0-9]{1,7}M)?([0-9]{1,9}S)?)?$'
   AND p_text ~ '[1-9]';

GRANT EXECUTE ON FUNCTION permit.is_duration(text) TO permit_vendor, permit_operator;

GRANT SELECT ON permit.schema_migrations TO permit_doors;
