"""Round trips, counted in libpq's own trace: the server is ready for a query once in each."""

import tempfile
from collections.abc import Callable
from typing import Any


def count_round_trips(database: Any, function: Callable[[], Any]) -> int:
    """How often the function waits for the server, on the connection that the database holds."""
    connection = database._connection.pgconn
    with tempfile.TemporaryFile("w+") as trace:
        connection.trace(trace.fileno())
        try:
            function()
        finally:
            connection.untrace()
        trace.seek(0)
        return sum("\tReadyForQuery" in line for line in trace)
