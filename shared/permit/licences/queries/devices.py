"""A licence's devices and its metered usage, under the entered tenant."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from permit.check.facts import DeviceSent
from permit.db import Database
from permit.licences.rows import Device, MeterUsage, Seating
from permit.paging import Place

# A floating seat whose time is up is free even before it is marked so.
_DEVICES: LiteralString = """
        SELECT d.id, d.name, d.platform, d.version, seat.state, d.seated_at,
               CASE seat.state WHEN 'seated' THEN d.seat_free_at END AS seat_free_at,
               d.first_seen_at, d.last_seen_at
          FROM permit.devices AS d
          JOIN permit.licences AS l ON l.tenant_id = d.tenant_id AND l.id = d.licence_id
          JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
         CROSS JOIN LATERAL (
               SELECT permit.device_state(
                          d.state, d.last_seen_at, d.leased_until, d.seat_free_at,
                          least(p.seat_ttl_interval, d.last_seat_ttl), permit.clock())
               ) AS seat (state)
         WHERE d.tenant_id = %(tenant_id)s AND d.licence_id = %(licence_id)s
"""


def list_devices(
    database: Database, tenant_id: UUID, licence_id: UUID, state: str | None, place: Place
) -> list[Device]:
    return database.fetch_all(
        Device,
        _DEVICES
        + """
           AND (%(state)s::text IS NULL OR seat.state = %(state)s)
           AND (%(after)s::timestamptz IS NULL
                OR (d.first_seen_at, d.id) < (%(after)s, %(after_id)s::uuid))
         ORDER BY d.first_seen_at DESC, d.id DESC
         LIMIT %(at_most)s
        """,
        {
            "tenant_id": tenant_id,
            "licence_id": licence_id,
            "state": state,
            **place.parameters(),
        },
    )


def find_device(
    database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID
) -> Device | None:
    return database.fetch_one(
        Device,
        _DEVICES + "AND d.id = %(device_id)s",
        {"tenant_id": tenant_id, "licence_id": licence_id, "device_id": device_id},
    )


def seat_device(database: Database, licence_id: UUID, device: DeviceSent) -> Seating:
    """By hand: within the limit and the overage, whatever the policy's `activation` is."""
    seating = database.fetch_one(
        Seating,
        # The version that is known of it is what it was before, so the row of then will do.
        """
        SELECT s.device_id AS id, s.device_name AS name, s.platform, d.version, s.state,
               s.seated_at, NULL::timestamptz AS seat_free_at, s.first_seen_at, s.last_seen_at,
               s.is_new, s.refused
          FROM permit.seat_device(%(licence_id)s, %(fingerprint_hash)s, %(components)s, %(name)s,
                                  %(platform)s) AS s
          LEFT JOIN permit.devices AS d
            ON d.licence_id = %(licence_id)s AND d.id = s.device_id
        """,
        {
            "licence_id": licence_id,
            "fingerprint_hash": device.fingerprint_hash,
            "components": None if device.components is None else Jsonb(device.components),
            "name": device.name,
            "platform": device.platform,
        },
    )
    assert seating is not None  # noqa: S101 (the door always answers one row)
    return seating


def set_state(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    device_id: UUID,
    *,
    state: str,
    was: Sequence[str],
) -> Device | None:
    """None where the licence has no such device in one of the states `was`.

    Takes the licence's lock first, under which seats are taken and counted.
    """
    return database.fetch_one(
        Device,
        """
        WITH licence AS MATERIALIZED (
            SELECT l.tenant_id, l.id
              FROM permit.licences AS l
             WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s
               FOR NO KEY UPDATE
        )
        UPDATE permit.devices AS d
           SET state = %(state)s, seat_free_at = NULL
          FROM licence
         WHERE d.tenant_id = licence.tenant_id AND d.licence_id = licence.id
           AND d.id = %(device_id)s AND d.state = ANY (%(was)s)
        RETURNING d.id, d.name, d.platform, d.version, d.state, d.seated_at, d.seat_free_at,
                  d.first_seen_at, d.last_seen_at
        """,
        {
            "tenant_id": tenant_id,
            "licence_id": licence_id,
            "device_id": device_id,
            "state": state,
            "was": list(was),
        },
    )


def release_all(database: Database, tenant_id: UUID, licence_id: UUID) -> None:
    """Gives back every seat; blocked devices stay so. The caller holds the licence's lock."""
    database.execute(
        """
        UPDATE permit.devices
           SET state = 'released', seat_free_at = NULL
         WHERE tenant_id = %(tenant_id)s AND licence_id = %(licence_id)s
           AND state IN ('seated', 'lapsed')
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def forget_names(database: Database, tenant_id: UUID, licence_id: UUID) -> None:
    """What each device was called; a program that says it at its checks names its own again."""
    database.execute(
        """
        UPDATE permit.devices
           SET name = NULL
         WHERE tenant_id = %(tenant_id)s AND licence_id = %(licence_id)s AND name IS NOT NULL
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def list_usage(database: Database, tenant_id: UUID, licence_id: UUID) -> list[MeterUsage]:
    """What each meter of the licence has used in the present period."""
    return database.fetch_all(
        MeterUsage,
        """
        SELECT m.name AS meter, coalesce(u.used, 0) AS used, m.most AS "limit", m.period,
               NULLIF(period.starts, '-infinity') AS period_starts_at, period.ends AS resets_at
          FROM permit.licences AS l
          JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
         CROSS JOIN LATERAL permit.meters_of(l.meters, p.meters) AS m
         CROSS JOIN LATERAL permit.period_at(
               m.period, coalesce(l.starts_at, permit.clock()), permit.clock()) AS period
          LEFT JOIN permit.usage AS u
            ON u.tenant_id = l.tenant_id AND u.licence_id = l.id AND u.meter = m.name
           AND u.period_start = period.starts
         WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s
         ORDER BY m.name
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def reset_usage(database: Database, tenant_id: UUID, licence_id: UUID, meter: str) -> None:
    """Sets every period to 0; only the present one matters."""
    database.execute(
        """
        UPDATE permit.usage
           SET used = 0
         WHERE tenant_id = %(tenant_id)s AND licence_id = %(licence_id)s AND meter = %(meter)s
           AND used > 0
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id, "meter": meter},
    )
