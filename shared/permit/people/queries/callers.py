"""How a transaction becomes a tenant's."""

from typing import Any

from psycopg.types.json import Jsonb

from permit.db import Database
from permit.people.rows import EnteredWithKey, EnteredWithToken
from permit.security.access_tokens import AccessClaims


def enter(
    database: Database, claims: AccessClaims, request: dict[str, Any]
) -> EnteredWithToken | None:
    """The user as they are now; None where the token's rights have ended."""
    return database.fetch_one(
        EnteredWithToken,
        """
        SELECT role, has_second_factor, must_enrol
          FROM permit.enter_with_token(
               %(tenant_id)s, %(user_id)s, %(session_version)s, %(session_id)s, %(request)s)
         WHERE role IS NOT NULL
        """,
        {
            "tenant_id": claims.tid,
            "user_id": claims.sub,
            "session_version": claims.sv,
            "session_id": claims.proof.sid if claims.proof else None,
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
