"""Licences, under the entered tenant: issued, found, listed, changed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from permit.db import Database
from permit.folding import fold
from permit.licences.rows import Issued, Licence
from permit.paging import Place

# Terms that are stored, answered and exported as they are sent.
PLAIN: tuple[LiteralString, ...] = ("entitlements", "metadata", "notes", "meters")
_HOLDER: tuple[LiteralString, ...] = (
    *("holder_name", "holder_email", "holder_reference"),
    *("holder_name_folded", "holder_email_folded", "holder_reference_folded"),
)
# With those that are stored in another form (see _stored).
_SENT: tuple[LiteralString, ...] = ("policy_id", "max_devices", *_HOLDER, *PLAIN)
# With the two that the policy decides if they are not sent.
_TERMS: LiteralString = ", ".join(("starts_at", "expires_at", *_SENT))
# Of a licence l, its policy p and its product. In the column max_devices, -1 means no limit.
_COLUMNS: LiteralString = """
    l.id, l.key_hint, product.code AS product, l.product_id, l.policy_id,
    json_build_object('name', l.holder_name, 'email', l.holder_email,
                      'reference', l.holder_reference) AS holder,
    permit.licence_status(l.revoked_at, l.suspended_at, l.starts_at, l.expires_at,
                          p.grace_interval, permit.clock()) AS status,
    l.starts_at, l.expires_at,
    CASE l.max_devices WHEN -1 THEN '"unlimited"' ELSE to_jsonb(l.max_devices) END AS max_devices,
    permit.seat_limit(l.max_devices, p.max_devices) AS seat_limit,
    permit.seats_used(l.tenant_id, l.id, p.seat_ttl_interval, permit.clock()) AS devices_used,
    ARRAY(SELECT DISTINCT granted.name COLLATE "C"
            FROM unnest(l.entitlements || p.entitlements) AS granted (name)
           ORDER BY granted.name COLLATE "C") AS granted_entitlements,
    l.created_at, l.suspended_at, l.revoked_at,
    permit.last_checked_at(l.tenant_id, l.id) AS last_checked_at,
    """ + ", ".join("l." + name for name in PLAIN)
_RULES: LiteralString = """
      JOIN permit.policies AS p ON p.tenant_id = l.tenant_id AND p.id = l.policy_id
      JOIN permit.products AS product
        ON product.tenant_id = l.tenant_id AND product.id = l.product_id
"""
# The answer of a statement that has changed a licence, which its WITH calls `l`.
_CHANGED: LiteralString = "SELECT" + _COLUMNS + " FROM l" + _RULES


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
    """Each has its terms by name, key_hash (in hexadecimal) and key_hint; answered in order.

    Where the policy starts on issue, the term begins now. One that cannot be issued is refused,
    and the caller ends the transaction: 'policy' (there is none), 'archived' (its product),
    'devices' (the policy counts none), 'term' (no length).
    """
    return database.fetch_all(
        Issued,
        """
        WITH rules AS (
            -- Locked: a policy must not stop counting devices while a licence with a limit is made.
            SELECT id, product_id, starts, duration, device_required
              FROM permit.policies
             WHERE tenant_id = %(tenant_id)s AND id = ANY (%(policy_ids)s)
               FOR SHARE
        ), candidate AS (
            SELECT sent.index, sent.item ->> 'key_hash' AS key_hash, gen_random_uuid() AS id,
                   p.product_id, t.key_hint, term.starts_at, term.expires_at,
                   CASE WHEN p.id IS NULL THEN 'policy'
                        WHEN product.archived_at IS NOT NULL THEN 'archived'
                        WHEN t.max_devices >= 0 AND NOT p.device_required THEN 'devices'
                        WHEN term.expires_at <= term.starts_at THEN 'term' END AS refused,
        """
        + ", ".join("t." + name for name in _SENT)
        + """
              FROM jsonb_array_elements(%(sent)s) WITH ORDINALITY AS sent (item, index)
             CROSS JOIN LATERAL jsonb_populate_record(NULL::permit.licences, sent.item) AS t
              LEFT JOIN rules AS p ON p.id = t.policy_id
              LEFT JOIN permit.products AS product
                ON product.tenant_id = %(tenant_id)s AND product.id = p.product_id
             CROSS JOIN LATERAL (
                   SELECT coalesce(t.starts_at,
                                   CASE p.starts WHEN 'on_issue' THEN permit.clock() END)
                   ) AS start (starts_at)
             CROSS JOIN LATERAL (
                   SELECT start.starts_at,
                          coalesce(t.expires_at,
                                   permit.later(start.starts_at, p.duration::interval))
                   ) AS term (starts_at, expires_at)
        ), l AS (
            INSERT INTO permit.licences (tenant_id, id, product_id, key_hint,
        """
        + _TERMS
        + """)
            SELECT %(tenant_id)s, id, product_id, key_hint,
        """
        + _TERMS
        + """
              FROM candidate
             WHERE refused IS NULL
            RETURNING *
        ), key AS (
            INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
            SELECT decode(key_hash, 'hex'), %(tenant_id)s, id
              FROM candidate
             WHERE refused IS NULL
        )
        SELECT c.refused,
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
        {
            "tenant_id": tenant_id,
            "policy_ids": list({each["policy_id"] for each in sent}),
            "sent": Jsonb([_stored(each) for each in sent]),
        },
    )


def find_licence(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    return database.fetch_one(
        Licence,
        "SELECT"
        + _COLUMNS
        + " FROM permit.licences AS l"
        + _RULES
        + "WHERE l.tenant_id = %(tenant_id)s AND l.id = %(licence_id)s",
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def lock_licence(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence | None:
    """The lock under which seats are taken: hold it to change a device's state."""
    return database.fetch_one(
        Licence,
        # Locked before the join: whoever has waited for the lock sees the policy of that moment.
        """
        WITH l AS (
            SELECT *
              FROM permit.licences
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
               FOR NO KEY UPDATE
        )
        """
        + _CHANGED,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def find_by_key(database: Database, tenant_id: UUID, key_hash: bytes) -> Licence | None:
    """The licence that has or had this key."""
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
    """`holder` is how a name, email or reference begins, `q` any part of them; both folded."""
    return database.fetch_all(
        Licence,
        "SELECT"
        + _COLUMNS
        + " FROM permit.licences AS l"
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
                   -- Repeated, so that the two partial indexes can be used.
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
    known_end: datetime | None,
) -> Licence | None:
    """Until expires_at, else for the duration, else the policy's (permit.renewed_term).

    None where there is nothing to renew: revoked, perpetual, not started, another end than the
    known one, or no such time. A caller may know times to the second only.
    """
    return database.fetch_one(
        Licence,
        """
        WITH held AS (
            -- The row once it is locked: of two renewals at once, both count. Joined afterwards, as
            -- in lock_licence.
            SELECT tenant_id, id, policy_id, revoked_at, starts_at, expires_at, term_anchor
              FROM permit.licences
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
               FOR NO KEY UPDATE
        ), renewed AS (
            SELECT held.tenant_id, held.id,
                   CASE WHEN %(expires_at)s::timestamptz IS NULL THEN term.anchor
                        ELSE held.term_anchor END AS anchor,
                   CASE WHEN %(expires_at)s::timestamptz IS NULL THEN term.ends
                        WHEN %(expires_at)s >= date_trunc('second', held.expires_at)
                        THEN greatest(%(expires_at)s, held.expires_at) END AS ends
              FROM held
              JOIN permit.policies AS p ON p.tenant_id = held.tenant_id AND p.id = held.policy_id
             CROSS JOIN LATERAL permit.renewed_term(
                   coalesce(held.term_anchor, held.starts_at), held.expires_at,
                   permit.works_until(held.expires_at, p.grace_interval, p.on_expiry),
                   coalesce(%(duration)s, p.duration)::interval, permit.clock()) AS term
             WHERE held.revoked_at IS NULL AND held.starts_at IS NOT NULL
               AND held.expires_at IS NOT NULL
               AND (%(known_end)s::timestamptz IS NULL
                    OR date_trunc('second', %(known_end)s::timestamptz)
                       = date_trunc('second', held.expires_at))
        ), l AS (
            UPDATE permit.licences AS l
               SET expires_at = renewed.ends, term_anchor = renewed.anchor
              FROM renewed
             WHERE l.tenant_id = renewed.tenant_id AND l.id = renewed.id
               AND renewed.ends < '9000-01-01Z'
            RETURNING l.*
        )
        """
        + _CHANGED,
        {
            "tenant_id": tenant_id,
            "licence_id": licence_id,
            "duration": duration,
            "expires_at": expires_at,
            "known_end": known_end,
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
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    terms: dict[str, Any],
    *,
    term: str = "keep",
    duration: str | None = None,
) -> Licence | None:
    """All of them, by name. The caller holds the licence's lock and has checked that they fit.

    What the word `term` makes of the licence's end at a move, to a policy of this duration, and
    what the end is of one that gets its start, is permit.changed_term's to say.
    """
    return database.fetch_one(
        Licence,
        """
        WITH l AS (
            UPDATE permit.licences AS old
               SET (term_anchor,
        """
        + _TERMS
        + ") = (SELECT term.anchor, sent.starts_at, term.ends, "
        + ", ".join("sent." + name for name in _SENT)
        + """
                      FROM jsonb_populate_record(NULL::permit.licences, %(terms)s) AS sent
                      JOIN permit.policies AS was
                        ON was.tenant_id = old.tenant_id AND was.id = old.policy_id
                     CROSS JOIN LATERAL permit.changed_term(
                           %(term)s, old.starts_at IS NULL, old.term_anchor, sent.starts_at,
                           sent.expires_at,
                           permit.works_until(old.expires_at, was.grace_interval, was.on_expiry),
                           %(duration)s::interval, permit.clock()) AS term)
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
            RETURNING *
        )
        """
        + _CHANGED,
        {
            "terms": Jsonb(_stored(terms)),
            "term": term,
            "duration": duration,
            "tenant_id": tenant_id,
            "licence_id": licence_id,
        },
    )


def set_holder(
    database: Database, tenant_id: UUID, licence_id: UUID, holder: dict[str, str | None]
) -> Licence | None:
    """In place of the present one, whole. None where revoked. Takes the licence's lock."""
    return database.fetch_one(
        Licence,
        """
        WITH l AS (
            UPDATE permit.licences
               SET (
        """
        + ", ".join(_HOLDER)
        + ") = (SELECT "
        + ", ".join(_HOLDER)
        + """
                      FROM jsonb_populate_record(NULL::permit.licences, %(holder)s))
             WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s AND revoked_at IS NULL
            RETURNING *
        )
        """
        + _CHANGED,
        {
            "holder": Jsonb(_stored_holder(holder)),
            "tenant_id": tenant_id,
            "licence_id": licence_id,
        },
    )


def _stored(terms: dict[str, Any]) -> dict[str, Any]:
    """By column; unlimited devices as -1."""
    is_unlimited = terms["max_devices"] == "unlimited"
    return to_jsonable_python(
        {
            **terms,
            **_stored_holder(terms["holder"]),
            "max_devices": -1 if is_unlimited else terms["max_devices"],
        }
    )


def _stored_holder(holder: dict[str, str | None]) -> dict[str, str | None]:
    """The parts by column, each also folded for searches."""
    return {
        **{f"holder_{part}": text for part, text in holder.items()},
        **{f"holder_{part}_folded": text and fold(text) for part, text in holder.items()},
    }
