"""The vendor's servers' keys, and the audit log, under the entered tenant."""

from datetime import datetime
from uuid import UUID

from permit.db import Database
from permit.paging import Place
from permit.people.rows import ApiKey


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
