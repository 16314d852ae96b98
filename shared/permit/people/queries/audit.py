"""The audit log, under the entered tenant."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from permit.db import Database
from permit.paging import Place
from permit.people.rows import AuditEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFilter:
    actor: UUID | None = None
    action: str | None = None
    subject: UUID | None = None
    """Its own events, and those of what belongs to it."""
    subject_kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_WANTED: LiteralString = """
      SELECT e.id, e.occurred_at, e.actor_kind, e.actor_means, e.actor_id, e.action, e.subject_kind,
             e.subject_id, e.parent_id, e.changes, e.reason, e.request_id, e.address
        FROM permit.audit_events AS e
       WHERE e.tenant_id = %(tenant_id)s
         AND (%(after)s::timestamptz IS NULL
              OR (e.occurred_at, e.id) < (%(after)s, %(after_id)s::uuid))
         AND (%(actor)s::uuid IS NULL OR e.actor_id = %(actor)s)
         AND (%(action)s::text IS NULL OR e.action = %(action)s)
         AND (%(subject_kind)s::text IS NULL OR e.subject_kind = %(subject_kind)s)
         AND (%(since)s::timestamptz IS NULL OR e.occurred_at >= %(since)s)
         AND (%(until)s::timestamptz IS NULL OR e.occurred_at < %(until)s)
"""
_NEWEST: LiteralString = """
       ORDER BY e.occurred_at DESC, e.id DESC
       LIMIT %(at_most)s
"""
# Two pages made into one: each comes from an index in its order, which an OR of both would not.
_FOUND: LiteralString = (
    "("
    + _WANTED
    + "AND (%(subject)s::uuid IS NULL OR e.subject_id = %(subject)s)"
    + _NEWEST
    + ") UNION ALL ("
    + _WANTED
    + "AND e.parent_id = %(subject)s::uuid"
    + _NEWEST
    + ")"
)


def list_events(
    database: Database, tenant_id: UUID, wanted: AuditFilter, place: Place
) -> list[AuditEvent]:
    return database.fetch_all(
        AuditEvent,
        "WITH e AS ("
        + _FOUND
        + """)
        SELECT e.id, e.occurred_at,
               json_build_object('kind', coalesce(e.actor_means, e.actor_kind), 'id', e.actor_id,
                                 'name', coalesce(u.name, u.email, k.name)) AS actor,
               e.action,
               json_build_object('kind', e.subject_kind, 'id', e.subject_id) AS subject,
               CASE e.subject_kind WHEN 'licence' THEN e.subject_id
                                   WHEN 'device' THEN e.parent_id END AS licence_id,
               CASE e.subject_kind WHEN 'product' THEN e.subject_id
                                   WHEN 'policy' THEN e.parent_id END AS product_id,
               e.changes, e.reason, e.request_id, e.address
          FROM e
          LEFT JOIN permit.users AS u ON u.tenant_id = %(tenant_id)s AND u.id = e.actor_id
          LEFT JOIN permit.api_keys AS k ON k.tenant_id = %(tenant_id)s AND k.id = e.actor_id
        """
        + _NEWEST,
        {
            "tenant_id": tenant_id,
            **{field.name: getattr(wanted, field.name) for field in fields(wanted)},
            **place.parameters(),
        },
    )
