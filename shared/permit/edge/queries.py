"""First answers to creating requests, under the entered tenant."""

from permit.db import Database
from permit.edge.rows import Claim


def claim(database: Database, key_hash: bytes, request_hash: bytes) -> Claim:
    """Waits for whoever is answering the same key now."""
    found = database.fetch_one(
        Claim,
        """
        SELECT is_new, is_same, sealed
          FROM permit.claim_answer(%(key_hash)s, %(request_hash)s)
        """,
        {"key_hash": key_hash, "request_hash": request_hash},
    )
    assert found is not None  # noqa: S101 (the door always answers one row)
    return found


def keep(database: Database, key_hash: bytes, sealed: bytes) -> None:
    database.fetch_value(
        "SELECT permit.keep_answer(%(key_hash)s, %(sealed)s)",
        {"key_hash": key_hash, "sealed": sealed},
    )
