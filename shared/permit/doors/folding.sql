-- What holders are found by, and people sign in by (permit.folding), made anew where an older version
-- stored it. The sweep folds, because SQL knows of letters only what the server's locale does.

-- Whether folding does nothing to these texts but what lower() does: visible ASCII, and single blanks
-- between.
CREATE OR REPLACE FUNCTION permit.is_plain(VARIADIC p_texts text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN array_to_string(p_texts, '|') !~ '[^!-~ ]|  |(^|[|]) | ([|]|$)';

-- The next so many licences, of which only those are given whose holder is not plain, and the last one,
-- so that keep_folded_holders knows how far they went. No rows: all are done.
CREATE OR REPLACE FUNCTION permit.list_holders_to_fold(p_at_most integer)
RETURNS TABLE (
    tenant_id uuid, licence_id uuid, holder_name text, holder_email text, holder_reference text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_after permit.holder_folding;
BEGIN
    SELECT f.* INTO v_after FROM permit.holder_folding AS f;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH next AS MATERIALIZED (
        SELECT l.tenant_id, l.id, l.holder_name, l.holder_email, l.holder_reference
          FROM permit.licences AS l
         WHERE (l.tenant_id, l.id) > (v_after.after_tenant, v_after.after_licence)
         ORDER BY l.tenant_id, l.id
         LIMIT p_at_most
    )
    SELECT n.*
      FROM next AS n
     WHERE NOT permit.is_plain(n.holder_name, n.holder_email, n.holder_reference)
        OR (n.tenant_id, n.id) = (SELECT o.tenant_id, o.id FROM next AS o
                                   ORDER BY o.tenant_id DESC, o.id DESC LIMIT 1)
     ORDER BY n.tenant_id, n.id;
    IF NOT FOUND THEN
        DELETE FROM permit.holder_folding;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.list_holders_to_fold(integer) TO permit_sweep;

-- Each of p_holders has the ids and texts that were listed, and how the texts are folded; a holder who
-- has changed since was folded by that change. Once all are done, it does nothing.
CREATE OR REPLACE FUNCTION permit.keep_folded_holders(p_holders jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    PERFORM FROM permit.holder_folding FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE permit.licences AS l
       SET holder_name_folded = h.holder_name_folded,
           holder_email_folded = h.holder_email_folded,
           holder_reference_folded = h.holder_reference_folded
      FROM jsonb_populate_recordset(NULL::permit.licences, p_holders) AS h
     WHERE l.tenant_id = h.tenant_id AND l.id = h.id
       AND (l.holder_name, l.holder_email, l.holder_reference)
           IS NOT DISTINCT FROM (h.holder_name, h.holder_email, h.holder_reference)
       AND (l.holder_name_folded, l.holder_email_folded, l.holder_reference_folded)
           IS DISTINCT FROM (h.holder_name_folded, h.holder_email_folded, h.holder_reference_folded);
    UPDATE permit.holder_folding
       SET after_tenant = (p_holders -> -1 ->> 'tenant_id')::uuid,
           after_licence = (p_holders -> -1 ->> 'id')::uuid;
END
$$;
GRANT EXECUTE ON FUNCTION permit.keep_folded_holders(jsonb) TO permit_sweep;

-- The next so many users whose email is not plain, from the oldest on. No rows: all are done.
CREATE OR REPLACE FUNCTION permit.list_emails_to_fold(p_at_most integer)
RETURNS TABLE (tenant_id uuid, user_id uuid, email text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_after permit.email_folding;
BEGIN
    SELECT f.* INTO v_after FROM permit.email_folding AS f;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT u.tenant_id, u.id, u.email
      FROM permit.users AS u
     WHERE (u.created_at, u.id) > (v_after.after_created_at, v_after.after_user)
       AND NOT permit.is_plain(u.email)
     ORDER BY u.created_at, u.id
     LIMIT p_at_most;
    IF NOT FOUND THEN
        DELETE FROM permit.email_folding;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION permit.list_emails_to_fold(integer) TO permit_sweep;

-- Each of p_emails has the ids and the email that were listed, and how it is folded. Links and sessions
-- go on. Returns whose folded email is somebody else's already: they keep the stored one, by which
-- nobody signs in.
CREATE OR REPLACE FUNCTION permit.keep_folded_emails(p_emails jsonb)
RETURNS TABLE (tenant_id uuid, user_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_user   permit.users;
    v_stored text;
    v_folded text;
BEGIN
    PERFORM FROM permit.email_folding FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR tenant_id, user_id, v_stored, v_folded IN
        SELECT (e ->> 'tenant_id')::uuid, (e ->> 'user_id')::uuid, e ->> 'email', e ->> 'folded'
          FROM jsonb_array_elements(p_emails) WITH ORDINALITY AS listed (e, place)
         ORDER BY place
    LOOP
        SELECT u.* INTO v_user
          FROM permit.users AS u
         WHERE u.tenant_id = keep_folded_emails.tenant_id AND u.id = user_id
           FOR NO KEY UPDATE;
        IF v_user.email = v_stored AND v_folded <> v_stored THEN
            BEGIN
                PERFORM permit.renew_account(tenant_id, user_id, v_folded, v_user.password_hash);
            EXCEPTION WHEN unique_violation THEN
                RETURN NEXT;
            END;
        END IF;
    END LOOP;
    UPDATE permit.email_folding
       SET after_created_at = v_user.created_at, after_user = v_user.id
     WHERE v_user.id IS NOT NULL;  -- else they are listed again, without those who have gone
END
$$;
GRANT EXECUTE ON FUNCTION permit.keep_folded_emails(jsonb) TO permit_sweep;

-- The release before folds the i of Turkish as another letter, and keeps blanks and what nobody sees:
-- what it writes is put right at once. To be dropped with the next release.
CREATE OR REPLACE FUNCTION permit.folded_anew(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN btrim(regexp_replace(
           regexp_replace(
               replace(replace(normalize(p_text, NFKC), U&'i\0307', 'i'), 'ı', 'i'),
               U&'[\00AD\034F\061C\180B-\180F\200B-\200F\202A-\202E\2060-\206F\FE00-\FE0F\FEFF]',
               '', 'g'),
           '\s+', ' ', 'g'));

CREATE OR REPLACE FUNCTION permit.fold_anew() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
BEGIN
    NEW.holder_name_folded := permit.folded_anew(NEW.holder_name_folded);
    NEW.holder_email_folded := permit.folded_anew(NEW.holder_email_folded);
    NEW.holder_reference_folded := permit.folded_anew(NEW.holder_reference_folded);
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER fold_anew
BEFORE INSERT OR UPDATE OF holder_name_folded, holder_email_folded, holder_reference_folded
    ON permit.licences
FOR EACH ROW
-- As is_plain, which not everybody who writes licences may call.
WHEN (concat_ws('|', NEW.holder_name_folded, NEW.holder_email_folded, NEW.holder_reference_folded)
      ~ '[^!-~ ]|  |(^|[|]) | ([|]|$)')
EXECUTE FUNCTION permit.fold_anew();
DROP FUNCTION IF EXISTS permit.fold_turkish_i();
