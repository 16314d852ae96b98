"""The audit log as the API tells it: fields have the names and the form of requests and answers."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from permit.db import Database
from permit.paging import Place
from permit.people.queries import audit
from permit.people.queries.audit import AuditFilter
from permit.people.rows import AuditEvent

# Where the API's name is not the column's; a field within another has a dot, as in `errors`.
_NAMES = {
    "holder_name": "holder.name",
    "holder_email": "holder.email",
    "holder_reference": "holder.reference",
    "password_hash": "password",
    "totp_confirmed_at": "has_second_factor",
    "totp_sealed": "second_factor",
    "unique_in": "unique",
}


def list_events(
    database: Database, tenant_id: UUID, wanted: AuditFilter, place: Place
) -> list[AuditEvent]:
    """The events that are wanted, newest first."""
    events = audit.list_events(database, tenant_id, wanted, place)
    return [replace(event, changes=in_the_apis_words(event.changes)) for event in events]


def in_the_apis_words(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the triggers wrote, by column. What is in these words already stays as it is."""
    return {
        _NAMES.get(column, column): {when: _value(column, value) for when, value in change.items()}
        for column, change in changes.items()
    }


def _value(column: str, value: Any) -> Any:
    if column == "totp_confirmed_at":
        return value is not None
    if column == "max_devices" and value == -1:
        return "unlimited"
    if column.endswith("_at") and isinstance(value, str):
        with suppress(ValueError):  # Postgres has years that Python has not
            return datetime.fromisoformat(value).astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
