"""The vendor's servers' keys, and the audit log, under the entered tenant."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from permit.db import Database
from permit.licences.rows import ApiKey, AuditEvent
from permit.paging import Place


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFilter:
    actor: UUID | None = None
    action: str | None = None
    subject: UUID | None = None
    subject_kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def insert_api_key(
    database: Database,
    tenant_id: UUID,
    *,
    name: str,
    role: str,
    key_hash: bytes,
    key_hint: str,
    expires_at: datetime | None,
) -> ApiKey:
    key = database.fetch_one(
        ApiKey,
        """
        INSERT INTO permit.api_keys (tenant_id, name, role, key_hash, key_hint, expires_at)
        VALUES (%(tenant_id)s, %(name)s, %(role)s, %(key_hash)s, %(key_hint)s, %(expires_at)s)
        RETURNING id, name, role, key_hint, created_at, expires_at, last_used_at, revoked_at
        """,
        {
            "tenant_id": tenant_id,
            "name": name,
            "role": role,
            "key_hash": key_hash,
            "key_hint": key_hint,
            "expires_at": expires_at,
        },
    )
    assert key is not None  # noqa: S101 (an insert that returns answers a row)
    return key


def list_api_keys(database: Database, tenant_id: UUID, place: Place) -> list[ApiKey]:
    return database.fetch_all(
        ApiKey,
        """
        SELECT k.id, k.name, k.role, k.key_hint, k.created_at, k.expires_at, k.last_used_at,
               k.revoked_at
          FROM permit.api_keys AS k
         WHERE k.tenant_id = %(tenant_id)s
           AND (%(after)s::timestamptz IS NULL
                OR (k.created_at, k.id) < (%(after)s, %(after_id)s::uuid))
         ORDER BY k.created_at DESC, k.id DESC
         LIMIT %(at_most)s
        """,
        {"tenant_id": tenant_id, **place.parameters()},
    )


def find_api_key(database: Database, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    return database.fetch_one(
        ApiKey,
        """
        SELECT id, name, role, key_hint, created_at, expires_at, last_used_at, revoked_at
          FROM permit.api_keys
         WHERE tenant_id = %(tenant_id)s AND id = %(key_id)s
        """,
        {"tenant_id": tenant_id, "key_id": key_id},
    )


def revoke_api_key(database: Database, tenant_id: UUID, key_id: UUID) -> None:
    """The first time stays."""
    database.execute(
        """
        UPDATE permit.api_keys
           SET revoked_at = permit.clock()
         WHERE tenant_id = %(tenant_id)s AND id = %(key_id)s AND revoked_at IS NULL
        """,
        {"tenant_id": tenant_id, "key_id": key_id},
    )


def list_events(
    database: Database, tenant_id: UUID, wanted: AuditFilter, place: Place
) -> list[AuditEvent]:
    return database.fetch_all(
        AuditEvent,
        """
        SELECT e.id, e.occurred_at, e.actor_kind, e.actor_id,
               coalesce(u.name, u.email, k.name) AS actor_name, e.action, e.subject_kind,
               e.subject_id, e.changes, e.reason, e.request_id, e.address
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
