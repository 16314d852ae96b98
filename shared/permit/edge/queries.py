"""First answers to creating requests, under the entered tenant."""

from collections.abc import Sequence

from permit.db import Database
from permit.edge.rows import Claim


def claim(database: Database, names: Sequence[bytes], request_hash: bytes) -> Claim:
    """Under every one of the names. Waits for whoever is answering the same key now."""
    found = database.fetch_one(
        Claim,
        """
        SELECT is_new, is_same, name, sealed
          FROM permit.claim_sealed_answer(%(names)s, %(request_hash)s)
        """,
        {"names": list(names), "request_hash": request_hash},
    )
    assert found is not None  # noqa: S101 (the door always answers one row)
    return found


def keep(database: Database, name: bytes, sealed: bytes) -> None:
    database.fetch_value(
        "SELECT permit.keep_answer(%(name)s, %(sealed)s)",
        {"name": name, "sealed": sealed},
    )
