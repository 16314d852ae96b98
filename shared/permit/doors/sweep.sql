-- Clears what lapsed or expired, and counts what the dashboard shows. Nothing depends on it being
-- on time. It skips what others hold, so it never makes a check wait.
CREATE OR REPLACE FUNCTION permit.sweep(
    OUT seats_lapsed    bigint,
    OUT sessions_ended  bigint,
    OUT throttles_ended bigint,
    OUT swaps_forgotten bigint,
    OUT seats_taken     bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now timestamptz := permit.clock();
BEGIN
    UPDATE permit.devices AS d
       SET state = free.state
      FROM (
           SELECT seat.tenant_id, seat.id, permit.device_state(
                      seat.state, seat.last_seen_at, seat.leased_until, seat.seat_free_at,
                      least(p.seat_ttl_interval, seat.last_seat_ttl), v_now) AS state
             FROM permit.devices AS seat
             JOIN permit.licences AS l ON l.tenant_id = seat.tenant_id AND l.id = seat.licence_id
             JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
            WHERE seat.state = 'seated'
              AND permit.is_seat_free(
                      seat.last_seen_at, seat.leased_until, seat.seat_free_at,
                      least(p.seat_ttl_interval, seat.last_seat_ttl), v_now)
            LIMIT 10000
              FOR UPDATE OF seat SKIP LOCKED
           ) AS free
     WHERE d.tenant_id = free.tenant_id AND d.id = free.id;
    GET DIAGNOSTICS seats_lapsed = ROW_COUNT;

    DELETE FROM permit.sessions AS s
     WHERE (s.tenant_id, s.id) IN (
           SELECT old.tenant_id, old.id
             FROM permit.sessions AS old
            WHERE old.expires_at <= v_now OR old.ended_at <= v_now - interval '7 days'
            LIMIT 10000
              FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS sessions_ended = ROW_COUNT;

    DELETE FROM permit.login_throttle AS t
     WHERE t.key IN (SELECT old.key FROM permit.login_throttle AS old
                      WHERE old.expires_at <= v_now
                      LIMIT 10000
                        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS throttles_ended = ROW_COUNT;

    DELETE FROM permit.login_places AS p
     WHERE p.key IN (SELECT old.key FROM permit.login_places AS old
                      WHERE old.expires_at <= v_now
                      LIMIT 10000
                        FOR UPDATE SKIP LOCKED);

    DELETE FROM permit.swaps AS s WHERE s.swapped_at <= v_now - interval '30 days';
    GET DIAGNOSTICS swaps_forgotten = ROW_COUNT;

    SELECT count(*) INTO seats_taken FROM permit.devices AS d WHERE d.state = 'seated';
END
$$;
GRANT EXECUTE ON FUNCTION permit.sweep() TO permit_sweep;

-- The same for the vendor's side: answers that are replayed no longer, links that have expired, the
-- addresses of old events; and what older events belong to.
CREATE OR REPLACE FUNCTION permit.sweep_vendor(
    OUT answers_forgotten   bigint,
    OUT usages_forgotten    bigint,
    OUT links_ended         bigint,
    OUT addresses_forgotten bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, permit, pg_temp AS $$
DECLARE
    v_now timestamptz := permit.clock();
BEGIN
    DELETE FROM permit.idempotent_answers AS a
     WHERE (a.tenant_id, a.key_hash) IN (
           SELECT old.tenant_id, old.key_hash
             FROM permit.idempotent_answers AS old
            WHERE old.kept_until <= v_now
            LIMIT 10000
              FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS answers_forgotten = ROW_COUNT;

    DELETE FROM permit.usage_requests AS r
     WHERE (r.licence_id, r.key_hash) IN (
           SELECT old.licence_id, old.key_hash
             FROM permit.usage_requests AS old
            WHERE old.created_at <= v_now - interval '24 hours'
            LIMIT 10000
              FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS usages_forgotten = ROW_COUNT;

    DELETE FROM permit.user_links AS l
     WHERE l.token_hash IN (SELECT old.token_hash FROM permit.user_links AS old
                             WHERE old.expires_at <= v_now
                             LIMIT 10000
                               FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS links_ended = ROW_COUNT;

    UPDATE permit.audit_events AS e
       SET address = NULL
     WHERE (e.tenant_id, e.id) IN (
           SELECT old.tenant_id, old.id
             FROM permit.audit_events AS old
            WHERE old.address IS NOT NULL AND old.occurred_at <= v_now - interval '90 days'
            LIMIT 10000
              FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS addresses_forgotten = ROW_COUNT;

    UPDATE permit.audit_events AS e
       SET parent_id = permit.parent_of(e.tenant_id, e.subject_kind, e.subject_id, e.changes)
     WHERE (e.tenant_id, e.id) IN (
           SELECT old.tenant_id, old.id
             FROM permit.audit_events AS old
            WHERE old.parent_id IS NULL AND old.subject_kind IN ('device', 'policy')
            LIMIT 5000
              FOR UPDATE SKIP LOCKED);
END
$$;
GRANT EXECUTE ON FUNCTION permit.sweep_vendor() TO permit_sweep;
