"""What keeps the service running: its health and its sweep."""

from dataclasses import dataclass

from psycopg import errors

from permit.db import Database

_NO_SCHEMA = (errors.InvalidSchemaName, errors.UndefinedFunction, errors.InsufficientPrivilege)


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
