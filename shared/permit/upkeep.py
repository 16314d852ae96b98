"""What keeps the service running: its health and its sweep."""

import time
from dataclasses import asdict, dataclass, field
from uuid import UUID

from psycopg import errors
from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from permit.db import Database
from permit.folding import fold, fold_email

_NO_SCHEMA = (errors.InvalidSchemaName, errors.UndefinedFunction, errors.InsufficientPrivilege)
# Licences, or users, of one statement, which holds the locks of those that it folds.
_BATCH = 1_000
_FOLDING_SECONDS = 2.0  # of a run; the rest is for the next one


@dataclass(frozen=True, kw_only=True)
class SweepCounts:
    seats_lapsed: int
    sessions_ended: int
    throttles_ended: int
    swaps_forgotten: int
    seats_taken: int
    answers_forgotten: int
    usages_forgotten: int
    links_ended: int
    addresses_forgotten: int


@dataclass(frozen=True, kw_only=True)
class StoredHolder:
    """A licence and its holder, as they are stored."""

    tenant_id: UUID
    id: UUID
    holder_name: str | None = field(repr=False)
    holder_email: str | None = field(repr=False)
    holder_reference: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class StoredEmail:
    tenant_id: UUID
    user_id: UUID
    email: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ShutOutUser:
    """Whose email, as it is read now, is somebody else's: nobody signs in by the stored one."""

    tenant_id: UUID
    user_id: UUID


def get_schema_version(database: Database) -> int:
    """0 if the schema is missing: never migrated, or not for this role."""
    try:
        return database.fetch_value(
            "SELECT schema_version FROM permit.health()", {}, is_repeatable=True
        )
    except _NO_SCHEMA:
        return 0


def sweep(database: Database) -> SweepCounts:
    counts = database.fetch_one(
        SweepCounts,
        """
        SELECT seats_lapsed, sessions_ended, throttles_ended, swaps_forgotten, seats_taken,
               answers_forgotten, usages_forgotten, links_ended, addresses_forgotten
          FROM permit.sweep(), permit.sweep_vendor()
        """,
        {},
    )
    assert counts is not None  # noqa: S101 (the door always answers one row)
    return counts


def fold_holders(database: Database) -> None:
    """Folds anew what holders are found by, where a version before this one has stored it.

    It goes through all licences once, from where the last run ended, and then has nothing to do.
    """
    ends_at = time.monotonic() + _FOLDING_SECONDS
    while True:
        stored = database.fetch_all(
            StoredHolder,
            """
            SELECT tenant_id, licence_id AS id, holder_name, holder_email, holder_reference
              FROM permit.list_holders_to_fold(%(at_most)s)
             ORDER BY tenant_id, licence_id
            """,
            {"at_most": _BATCH},
        )
        if not stored:
            return
        database.fetch_value(
            "SELECT permit.keep_folded_holders(%(holders)s)",
            {"holders": Jsonb([_folded(each) for each in stored])},
        )
        if time.monotonic() > ends_at:
            return


def fold_emails(database: Database) -> list[ShutOutUser]:
    """Folds anew what people sign in by, as fold_holders does; those whom it could not, once."""
    ends_at = time.monotonic() + _FOLDING_SECONDS
    shut_out: list[ShutOutUser] = []
    while True:
        stored = database.fetch_all(
            StoredEmail,
            """
            SELECT tenant_id, user_id, email
              FROM permit.list_emails_to_fold(%(at_most)s)
                   WITH ORDINALITY AS listed (tenant_id, user_id, email, place)
             ORDER BY place
            """,
            {"at_most": _BATCH},
        )
        if not stored:
            return shut_out
        shut_out += database.fetch_all(
            ShutOutUser,
            """
            SELECT tenant_id, user_id
              FROM permit.keep_folded_emails(%(emails)s)
             ORDER BY tenant_id, user_id
            """,
            {
                "emails": Jsonb(
                    [
                        {**to_jsonable_python(asdict(each)), "folded": fold_email(each.email)}
                        for each in stored
                    ]
                )
            },
        )
        if time.monotonic() > ends_at:
            return shut_out


def _folded(stored: StoredHolder) -> dict[str, str | None]:
    """By column."""
    columns: dict[str, str | None] = to_jsonable_python(asdict(stored))
    texts = {name: text for name, text in columns.items() if name.startswith("holder_")}
    return columns | {f"{name}_folded": text and fold(text) for name, text in texts.items()}
