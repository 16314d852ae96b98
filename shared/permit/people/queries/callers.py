"""How a transaction becomes a tenant's."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from permit.db import Database
from permit.people.rows import EnteredWithKey


def enter(
    database: Database,
    tenant_id: UUID,
    user_id: UUID,
    session_version: int,
    request: dict[str, Any],
) -> str | None:
    """The user's role as it is now; None where the token's rights have ended."""
    return database.fetch_value(
        """
        SELECT permit.enter(%(tenant_id)s, %(user_id)s, %(session_version)s, %(request)s)
        """,
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "session_version": session_version,
            "request": Jsonb(request),
        },
    )


def enter_with_api_key(
    database: Database, key_hash: bytes, request: dict[str, Any]
) -> EnteredWithKey | None:
    return database.fetch_one(
        EnteredWithKey,
        """
        SELECT tenant_id, api_key_id, role
          FROM permit.enter_with_api_key(%(key_hash)s, %(request)s)
         WHERE api_key_id IS NOT NULL
        """,
        {"key_hash": key_hash, "request": Jsonb(request)},
    )
