-- What holders are found by (permit.folding), made anew where an older version stored it. The sweep
-- folds, because SQL knows of letters only what the server's locale does.

-- The next so many licences, of which only those are given whose holder is not plain ASCII, and the
-- last one, so that keep_folded_holders knows how far they went. No rows: all are done.
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
     WHERE octet_length(concat(n.holder_name, n.holder_email, n.holder_reference))
           > char_length(concat(n.holder_name, n.holder_email, n.holder_reference))
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

-- The release before folds the i of Turkish as another letter: what it writes is put right at once. To
-- be dropped with the next release.
CREATE OR REPLACE FUNCTION permit.fold_turkish_i() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.holder_name_folded := replace(replace(NEW.holder_name_folded, U&'i\0307', 'i'), 'ı', 'i');
    NEW.holder_email_folded := replace(replace(NEW.holder_email_folded, U&'i\0307', 'i'), 'ı', 'i');
    NEW.holder_reference_folded :=
        replace(replace(NEW.holder_reference_folded, U&'i\0307', 'i'), 'ı', 'i');
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER fold_turkish_i
BEFORE INSERT OR UPDATE OF holder_name_folded, holder_email_folded, holder_reference_folded
    ON permit.licences
FOR EACH ROW
WHEN (concat_ws(' ', NEW.holder_name_folded, NEW.holder_email_folded, NEW.holder_reference_folded)
      ~ U&'ı|i\0307')
EXECUTE FUNCTION permit.fold_turkish_i();
