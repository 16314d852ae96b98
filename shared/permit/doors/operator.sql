-- What the operator does across tenants: finding an account by its email, and re-sealing keys.

-- By an email in any tenant: the account that signs in with it, else the one person that is invited.
CREATE OR REPLACE FUNCTION permit.find_account(
    p_email text, OUT tenant_id uuid, OUT user_id uuid
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    SELECT u.tenant_id, u.id INTO tenant_id, user_id
      FROM permit.users AS u
     WHERE u.email = p_email
       AND (NOT u.is_pending
            OR NOT EXISTS (SELECT FROM permit.users AS o
                            WHERE o.email = p_email AND o.tenant_id <> u.tenant_id));
END
$$;
GRANT EXECUTE ON FUNCTION permit.find_account(text) TO permit_operator;

CREATE OR REPLACE FUNCTION permit.list_sealed_keys(p_not_version text, p_at_most integer)
RETURNS TABLE (tenant_id uuid, kid text, sealed bytea, master_version text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT k.tenant_id, k.kid, k.sealed, k.master_version
      FROM permit.proof_keys AS k
     WHERE k.master_version <> p_not_version
     ORDER BY k.kid
     LIMIT p_at_most;
END
$$;
GRANT EXECUTE ON FUNCTION permit.list_sealed_keys(text, integer) TO permit_operator;

-- What is sealed under this version: proof keys, and the secrets of second factors.
CREATE OR REPLACE FUNCTION permit.count_sealed_keys(p_version text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM permit.proof_keys AS k WHERE k.master_version = p_version)
         + (SELECT count(*) FROM permit.users AS u WHERE u.totp_master_version = p_version);
END
$$;
GRANT EXECUTE ON FUNCTION permit.count_sealed_keys(text) TO permit_operator;

-- Only where the seal is still the one that was read: two runs at once do no harm.
CREATE OR REPLACE FUNCTION permit.replace_seal(
    p_kid text, p_old_sealed bytea, p_sealed bytea, p_master_version text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    UPDATE permit.proof_keys AS k
       SET sealed = p_sealed, master_version = p_master_version
     WHERE k.kid = p_kid AND k.sealed = p_old_sealed;
END
$$;
GRANT EXECUTE ON FUNCTION permit.replace_seal(text, bytea, bytea, text) TO permit_operator;

-- The secrets of second factors, re-sealed like the keys; a user's id is what a kid is there.
CREATE OR REPLACE FUNCTION permit.list_sealed_factors(p_not_version text, p_at_most integer)
RETURNS TABLE (tenant_id uuid, kid text, sealed bytea, master_version text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT u.tenant_id, u.id::text, u.totp_sealed, u.totp_master_version
      FROM permit.users AS u
     WHERE u.totp_master_version <> p_not_version
     ORDER BY u.id
     LIMIT p_at_most;
END
$$;
GRANT EXECUTE ON FUNCTION permit.list_sealed_factors(text, integer) TO permit_operator;

CREATE OR REPLACE FUNCTION permit.replace_factor_seal(
    p_kid text, p_old_sealed bytea, p_sealed bytea, p_master_version text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_tenant uuid;
BEGIN
    SELECT u.tenant_id INTO v_tenant FROM permit.users AS u WHERE u.id = p_kid::uuid;
    PERFORM permit.act_as(v_tenant, 'operator', NULL, 'upkeep', NULL);
    UPDATE permit.users AS u
       SET totp_sealed = p_sealed, totp_master_version = p_master_version
     WHERE u.tenant_id = v_tenant AND u.id = p_kid::uuid AND u.totp_sealed = p_old_sealed;
END
$$;
GRANT EXECUTE ON FUNCTION permit.replace_factor_seal(text, bytea, bytea, text) TO permit_operator;
