"""The API keys of a tenant's servers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from permit.db import Database
from permit.errors import InvalidRequest, NotFound
from permit.people.callers import Caller, is_above
from permit.people.queries import api_keys as queries
from permit.people.refusals import (
    AboveYourRole,
)
from permit.people.rows import ApiKey
from permit.security import api_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class NewApiKey:
    api_key: ApiKey
    key: str = field(repr=False)  # shown this once


def create_api_key(
    database: Database, caller: Caller, *, name: str, role: str, expires_at: datetime | None
) -> NewApiKey:
    if is_above(role, caller.role):
        raise AboveYourRole
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest(("expires_at", "must be in the future"))
    key = api_keys.generate()
    api_key = queries.insert_api_key(
        database,
        caller.tenant_id,
        name=name,
        role=role,
        key_hash=api_keys.digest(key),
        key_hint=api_keys.hint(key),
        expires_at=expires_at,
    )
    return NewApiKey(api_key=api_key, key=key)


def get_api_key(database: Database, caller: Caller, key_id: UUID) -> ApiKey:
    key = queries.find_api_key(database, caller.tenant_id, key_id)
    if key is None:
        raise NotFound
    return key


def revoke_api_key(database: Database, caller: Caller, key_id: UUID) -> None:
    """At once, and idempotent."""
    key = get_api_key(database, caller, key_id)
    if is_above(key.role, caller.role):
        raise AboveYourRole
    queries.revoke_api_key(database, caller.tenant_id, key_id)
