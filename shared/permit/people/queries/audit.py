"""The audit log, under the entered tenant."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from permit.db import Database
from permit.paging import Place
from permit.people.rows import AuditEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFilter:
    actor: UUID | None = None
    action: str | None = None
    subject: UUID | None = None
    subject_kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_events(
    database: Database, tenant_id: UUID, wanted: AuditFilter, place: Place
) -> list[AuditEvent]:
    return database.fetch_all(
        AuditEvent,
        """
        SELECT e.id, e.occurred_at,
               json_build_object('kind', coalesce(e.actor_means, e.actor_kind), 'id', e.actor_id,
                                 'name', coalesce(u.name, u.email, k.name)) AS actor,
               e.action,
               json_build_object('kind', e.subject_kind, 'id', e.subject_id) AS subject,
               e.changes, e.reason, e.request_id, e.address
          FROM permit.audit_events AS e
          LEFT JOIN permit.users AS u ON u.tenant_id = e.tenant_id AND u.id = e.actor_id
          LEFT JOIN permit.api_keys AS k ON k.tenant_id = e.tenant_id AND k.id = e.actor_id
         WHERE e.tenant_id = %(tenant_id)s
           AND (%(after)s::timestamptz IS NULL
                OR (e.occurred_at, e.id) < (%(after)s, %(after_id)s::uuid))
           AND (%(actor)s::uuid IS NULL OR e.actor_id = %(actor)s)
           AND (%(action)s::text IS NULL OR e.action = %(action)s)
           AND (%(subject)s::uuid IS NULL OR e.subject_id = %(subject)s)
           AND (%(subject_kind)s::text IS NULL OR e.subject_kind = %(subject_kind)s)
           AND (%(since)s::timestamptz IS NULL OR e.occurred_at >= %(since)s)
           AND (%(until)s::timestamptz IS NULL OR e.occurred_at < %(until)s)
         ORDER BY e.occurred_at DESC, e.id DESC
         LIMIT %(at_most)s
        """,
        {
            "tenant_id": tenant_id,
            **{field.name: getattr(wanted, field.name) for field in fields(wanted)},
            **place.parameters(),
        },
    )
