"""Licences, under the entered tenant: issued, found, listed, changed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from permit.db import Database
from permit.licences.rows import Issued, IssuedRow, Licence
from permit.paging import Place

UNLIMITED = -1

# Of a licence l, its policy p and its product.
_COLUMNS: LiteralString = """
    l.id, l.key_hint, product.code AS product, l.product_id, l.policy_id,
    l.holder_name, l.holder_email, l.holder_reference,
    permit.licence_status(l.revoked_at, l.suspended_at, l.starts_at, l.expires_at,
                          p.grace_interval, permit.clock()) AS status,
    l.starts_at, l.expires_at, l.max_devices,
    permit.seat_limit(l.max_devices, p.max_devices) AS seat_limit,
    permit.seats_used(l.tenant_id, l.id, p.seat_ttl_interval, permit.clock()) AS devices_used,
    l.entitlements, p.entitlements AS policy_entitlements, l.metadata, l.notes, l.meters,
    l.created_at, l.suspended_at, l.revoked_at,
    permit.last_checked_at(l.tenant_id, l.id) AS last_checked_at,
    p.device_required, p.duration AS policy_duration
"""
_RULES: LiteralString = """
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
      JOIN permit.products AS product
        ON product.tenant_id = l.tenant_id AND product.id = l.product_id
"""
# What a statement answers that has changed a licence, as `l` of its WITH.
_CHANGED: LiteralString = "SELECT" + _COLUMNS + "FROM l" + _RULES


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceFilter:
    product: str | None = None
    policy_id: UUID | None = None
    status: str | None = None
    holder: str | None = None
    expires_before: datetime | None = None
    key_hint: str | None = None
    q: str | None = None


def insert_licences(
    database: Database, tenant_id: UUID, sent: Sequence[dict[str, Any]]
) -> list[Issued]:
    """Each with its key; where the policy starts on issue, its term begins now.

    One that cannot be issued is refused, and the caller ends the transaction: 'policy' (there is
    none), 'archived' (its product), 'devices' (the policy counts none), 'term' (no length).
    """
    rows = database.fetch_all(
        IssuedRow,
        """
        WITH sent AS (
            SELECT s.*
              FROM jsonb_to_recordset(%(sent)s) AS s (
                   index integer, policy_id uuid, key_hash text, key_hint text, holder_name text,
                   holder_email text, holder_reference text, holder_name_folded text,
                   holder_email_folded text, holder_reference_folded text,
                   starts_at timestamptz, expires_at timestamptz, max_devices integer,
                   entitlements text[], metadata jsonb, notes text, meters jsonb)
        ), candidate AS (
            SELECT s.index, gen_random_uuid() AS id, s.key_hash, s.key_hint, p.id AS policy_id,
                   p.product_id, s.holder_name, s.holder_email, s.holder_reference,
                   s.holder_name_folded, s.holder_email_folded, s.holder_reference_folded,
                   term.starts_at, term.expires_at, s.max_devices, s.entitlements, s.metadata,
                   s.notes, s.meters,
                   CASE WHEN p.id IS NULL THEN 'policy'
                        WHEN product.archived_at IS NOT NULL THEN 'archived'
                        WHEN s.max_devices >= 0 AND NOT p.device_required THEN 'devices'
                        WHEN term.expires_at <= term.starts_at THEN 'term' END AS refused
              FROM sent AS s
              LEFT JOIN permit.policies AS p
                ON p.tenant_id = %(tenant_id)s AND p.id = s.policy_id
              LEFT JOIN permit.products AS product
                ON product.tenant_id = %(tenant_id)s AND product.id = p.product_id
             CROSS JOIN LATERAL (
                   SELECT coalesce(s.starts_at,
                                   CASE p.starts WHEN 'on_issue' THEN permit.clock() END)
                   ) AS start (starts_at)
             CROSS JOIN LATERAL (
                   SELECT start.starts_at,
                          coalesce(s.expires_at, start.starts_at + p.duration::interval)
                   ) AS term (starts_at, expires_at)
        ), l AS (
            INSERT INTO permit.licences
                   (tenant_id, id, product_id, policy_id, key_hint, holder_name, holder_email,
                    holder_reference, holder_name_folded, holder_email_folded,
                    holder_reference_folded, starts_at, expires_at, max_devices, entitlements,
                    metadata, notes, meters)
            SELECT %(tenant_id)s, c.id, c.product_id, c.policy_id, c.key_hint, c.holder_name,
                   c.holder_email, c.holder_reference, c.holder_name_folded,
                   c.holder_email_folded, c.holder_reference_folded, c.starts_at, c.expires_at,
                   c.max_devices, c.entitlements, c.metadata, c.notes, c.meters
              FROM candidate AS c
             WHERE c.refused IS NULL
            RETURNING *
        ), key AS (
            INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
            SELECT decode(c.key_hash, 'hex'), %(tenant_id)s, c.id
              FROM candidate AS c
             WHERE c.refused IS NULL
        )
        SELECT c.index, c.refused,
        """
        + _COLUMNS
        + """
          FROM candidate AS c
          LEFT JOIN l ON l.id = c.id
          LEFT JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
          LEFT JOIN permit.products AS product
            ON product.tenant_id = l.tenant_id AND product.id = l.product_id
         ORDER BY c.index
        """,
        {"tenant_id": tenant_id, "sent": Jsonb(list(sent))},
    )
    return [_issued(row) for row in rows]


def find_licence(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    return database.fetch_one(
        Licence,
        "SELECT"
        + _COLUMNS
        + "FROM permit.licences AS l"
        + _RULES
        + "WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s",
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def lock_licence(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    """The lock under which seats are taken: hold it to change a device's state."""
    return database.fetch_one(
        Licence,
        "SELECT"
        + _COLUMNS
        + "FROM permit.licences AS l"
        + _RULES
        + """
         WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s
           FOR NO KEY UPDATE OF l
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def find_by_key(database: Database, tenant_id: UUID, key_hash: bytes) -> Licence | None:
    """Whose key this is or was."""
    return database.fetch_one(
        Licence,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.licence_keys AS k
          JOIN permit.licences AS l ON l.tenant_id = k.tenant_id AND l.id = k.licence_id
        """
        + _RULES
        + "WHERE k.tenant_id = %(tenant_id)s AND k.key_hash = %(key_hash)s",
        {"tenant_id": tenant_id, "key_hash": key_hash},
    )


def list_licences(
    database: Database, tenant_id: UUID, wanted: LicenceFilter, place: Place
) -> list[Licence]:
    """A holder is found by how his name, email or reference begins, q within them; both folded."""
    return database.fetch_all(
        Licence,
        "SELECT"
        + _COLUMNS
        + "FROM permit.licences AS l"
        + _RULES
        + """
         WHERE l.tenant_id = %(tenant_id)s
           AND (%(after)s::timestamptz IS NULL
                OR (l.created_at, l.id) < (%(after)s, %(after_id)s::uuid))
           AND (%(product)s::text IS NULL OR l.product_id = (
                SELECT o.id FROM permit.products AS o
                 WHERE o.tenant_id = %(tenant_id)s
                   AND (o.code = %(product)s OR o.id::text = %(product)s)
                 ORDER BY o.code = %(product)s DESC LIMIT 1))
           AND (%(policy_id)s::uuid IS NULL OR l.policy_id = %(policy_id)s)
           AND (%(status)s::text IS NULL
                OR %(status)s = permit.licence_status(
                       l.revoked_at, l.suspended_at, l.starts_at, l.expires_at, p.grace_interval,
                       permit.clock())
                   -- The same again, for the few: a partial index each.
                   AND (%(status)s <> 'revoked' OR l.revoked_at IS NOT NULL)
                   AND (%(status)s <> 'suspended' OR l.suspended_at IS NOT NULL))
           AND (%(expires_before)s::timestamptz IS NULL OR l.expires_at < %(expires_before)s)
           AND (%(key_hint)s::text IS NULL OR l.key_hint = upper(%(key_hint)s))
           -- Ranges, because LIKE finds no index under row-level security.
           AND (%(holder)s::text IS NULL
                OR l.holder_name_folded >= %(holder)s
                   AND l.holder_name_folded < %(holder)s || chr(1114111)
                OR l.holder_email_folded >= %(holder)s
                   AND l.holder_email_folded < %(holder)s || chr(1114111)
                OR l.holder_reference_folded >= %(holder)s
                   AND l.holder_reference_folded < %(holder)s || chr(1114111))
           AND (%(q)s::text IS NULL OR strpos(
                concat_ws(' ', l.holder_name_folded, l.holder_email_folded,
                          l.holder_reference_folded, lower(l.key_hint)), %(q)s) > 0)
         ORDER BY l.created_at DESC, l.id DESC
         LIMIT %(at_most)s
        """,
        {
            "tenant_id": tenant_id,
            **{field.name: getattr(wanted, field.name) for field in fields(wanted)},
            **place.parameters(),
        },
    )


def set_suspended(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    """None where it was suspended or revoked before."""
    return database.fetch_one(
        Licence,
        """
        WITH l AS (
            UPDATE permit.licences
               SET suspended_at = permit.clock()
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
               AND suspended_at IS NULL AND revoked_at IS NULL
            RETURNING *
        )
        """
        + _CHANGED,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def set_reinstated(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    """None where it was not suspended, or revoked."""
    return database.fetch_one(
        Licence,
        """
        WITH l AS (
            UPDATE permit.licences
               SET suspended_at = NULL
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
               AND suspended_at IS NOT NULL AND revoked_at IS NULL
            RETURNING *
        )
        """
        + _CHANGED,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def set_revoked(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    """None where it was revoked before."""
    return database.fetch_one(
        Licence,
        """
        WITH l AS (
            UPDATE permit.licences
               SET revoked_at = permit.clock()
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s AND revoked_at IS NULL
            RETURNING *
        )
        """
        + _CHANGED,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def set_renewed(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    duration: str | None,
    expires_at: datetime | None,
) -> Licence | None:
    """Until expires_at, else for the duration, else the policy's, from the later of now and expiry.

    None where there is nothing to renew: revoked, perpetual, not started, or no such time.
    """
    return database.fetch_one(
        Licence,
        """
        WITH l AS (
            -- Of the row as it is when its lock is had: two renewals at once are two.
            UPDATE permit.licences AS r
               SET expires_at = coalesce(%(expires_at)s::timestamptz,
                                         greatest(r.expires_at, permit.clock())
                                         + coalesce(%(duration)s, p.duration)::interval)
              FROM permit.policies AS p
             WHERE r.tenant_id = %(tenant_id)s AND r.id = %(licence_id)s
               AND p.tenant_id = r.tenant_id AND p.id = r.policy_id
               AND r.revoked_at IS NULL AND r.starts_at IS NOT NULL
               AND coalesce(%(expires_at)s::timestamptz,
                            greatest(r.expires_at, permit.clock())
                            + coalesce(%(duration)s, p.duration)::interval) < '9000-01-01Z'
               AND r.expires_at IS NOT NULL
               AND coalesce(%(expires_at)s::timestamptz > r.starts_at, true)
            RETURNING r.*
        )
        """
        + _CHANGED,
        {
            "tenant_id": tenant_id,
            "licence_id": licence_id,
            "duration": duration,
            "expires_at": expires_at,
        },
    )


def replace_key(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    key_hash: bytes,
    key_hint: str,
    overlap: str,
) -> Licence | None:
    """The current key goes on working for `overlap`, an ISO 8601 duration. None where revoked."""
    return database.fetch_one(
        Licence,
        """
        SELECT
        """
        + _COLUMNS
        + """
          FROM permit.replace_licence_key(
               %(tenant_id)s, %(licence_id)s, %(key_hash)s, %(key_hint)s, %(overlap)s) AS l
        """
        + _RULES,
        {
            "tenant_id": tenant_id,
            "licence_id": licence_id,
            "key_hash": key_hash,
            "key_hint": key_hint,
            "overlap": overlap,
        },
    )


def set_terms(
    database: Database, tenant_id: UUID, licence_id: UUID, terms: dict[str, Any]
) -> Licence | None:
    """Those given, by column; under the licence's lock.

    None where the policy is not of the licence's product, or counts no devices and the licence
    would, or the term would have no length.
    """
    columns = (
        *("policy_id", "holder_name", "holder_email", "holder_reference", "starts_at"),
        *("holder_name_folded", "holder_email_folded", "holder_reference_folded"),
        *("expires_at", "max_devices", "entitlements", "metadata", "notes", "meters"),
    )
    values = {column: terms.get(column) for column in columns}
    for column in ("metadata", "meters"):
        values[column] = None if values[column] is None else Jsonb(values[column])
    return database.fetch_one(
        Licence,
        """
        WITH changed AS (
            SELECT o.tenant_id, o.id, o.product_id,
                   CASE WHEN 'policy_id' = ANY (%(given)s) THEN %(policy_id)s::uuid
                        ELSE o.policy_id END AS policy_id,
                   CASE WHEN 'holder_name' = ANY (%(given)s) THEN %(holder_name)s
                        ELSE o.holder_name END AS holder_name,
                   CASE WHEN 'holder_email' = ANY (%(given)s) THEN %(holder_email)s
                        ELSE o.holder_email END AS holder_email,
                   CASE WHEN 'holder_reference' = ANY (%(given)s) THEN %(holder_reference)s
                        ELSE o.holder_reference END AS holder_reference,
                   CASE WHEN 'holder_name' = ANY (%(given)s) THEN %(holder_name_folded)s
                        ELSE o.holder_name_folded END AS holder_name_folded,
                   CASE WHEN 'holder_email' = ANY (%(given)s) THEN %(holder_email_folded)s
                        ELSE o.holder_email_folded END AS holder_email_folded,
                   CASE WHEN 'holder_reference' = ANY (%(given)s) THEN %(holder_reference_folded)s
                        ELSE o.holder_reference_folded END AS holder_reference_folded,
                   CASE WHEN 'starts_at' = ANY (%(given)s) THEN %(starts_at)s::timestamptz
                        ELSE o.starts_at END AS starts_at,
                   CASE WHEN 'expires_at' = ANY (%(given)s) THEN %(expires_at)s::timestamptz
                        ELSE o.expires_at END AS expires_at,
                   CASE WHEN 'max_devices' = ANY (%(given)s) THEN %(max_devices)s::integer
                        ELSE o.max_devices END AS max_devices,
                   CASE WHEN 'entitlements' = ANY (%(given)s) THEN %(entitlements)s::text[]
                        ELSE o.entitlements END AS entitlements,
                   CASE WHEN 'metadata' = ANY (%(given)s) THEN %(metadata)s::jsonb
                        ELSE o.metadata END AS metadata,
                   CASE WHEN 'notes' = ANY (%(given)s) THEN %(notes)s
                        ELSE o.notes END AS notes,
                   CASE WHEN 'meters' = ANY (%(given)s) THEN %(meters)s::jsonb
                        ELSE o.meters END AS meters
              FROM permit.licences AS o
             WHERE o.tenant_id = %(tenant_id)s AND o.id = %(licence_id)s
        ), l AS (
            UPDATE permit.licences AS r
               SET policy_id = c.policy_id, holder_name = c.holder_name,
                   holder_email = c.holder_email, holder_reference = c.holder_reference,
                   holder_name_folded = c.holder_name_folded,
                   holder_email_folded = c.holder_email_folded,
                   holder_reference_folded = c.holder_reference_folded,
                   starts_at = c.starts_at, expires_at = c.expires_at,
                   max_devices = c.max_devices, entitlements = c.entitlements,
                   metadata = c.metadata, notes = c.notes, meters = c.meters
              FROM changed AS c
              JOIN permit.policies AS p
                ON p.tenant_id = c.tenant_id AND p.id = c.policy_id
               AND p.product_id = c.product_id
             WHERE r.tenant_id = c.tenant_id AND r.id = c.id
               AND (p.device_required OR coalesce(c.max_devices, -1) < 0)
               AND coalesce(c.expires_at > c.starts_at, true)
            RETURNING r.*
        )
        """
        + _CHANGED,
        {**values, "given": list(terms), "tenant_id": tenant_id, "licence_id": licence_id},
    )


def seats(max_devices: int | str | None) -> int | None:
    """A licence's own limit as it is stored."""
    return UNLIMITED if isinstance(max_devices, str) else max_devices


def _issued(row: IssuedRow) -> Issued:
    values = {field.name: getattr(row, field.name) for field in fields(Licence)}
    licence = None if row.refused is not None else Licence(**values)
    return Issued(index=row.index, refused=row.refused, licence=licence)
