"""The check's one call: Permit's own query, over a connection of the pool."""

from collections.abc import Mapping
from typing import Any, LiteralString, cast

from psycopg import Connection

from permit.check.facts import DeviceSent, LicenceFacts
from permit.check.queries import find_facts as find
from permit.db import Database


class _Database:
    """Of permit.db.Database what the query calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def fetch_value(
        self, statement: LiteralString, parameters: Mapping[str, Any], *, is_repeatable: bool
    ) -> Any:
        row = self._connection.execute(statement, parameters).fetchone()
        return None if row is None else row[0]


def find_facts(connection: Connection, key_hash: bytes, device: DeviceSent) -> LicenceFacts:
    facts = find(cast(Database, _Database(connection)), key_hash, device)
    if facts is None:
        raise NotImplementedError("the comparison is about a known licence")
    return facts
