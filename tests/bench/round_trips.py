"""How often the warm check and the warm login wait for the database."""

from tests.bench.data import Database
from tests.bench.rows import Row, limit_row
from tests.bench.workers import Workers
from tests.support.deployment import Vendor


def round_trip_rows(workers: Workers, database: Database, vendor: Vendor) -> list[Row]:
    with workers.check(database) as worker:
        [[key, fingerprint]] = database.take(1)
        worker.ask("checks", [[key, fingerprint]])  # opens the connection
        known = worker.ask("round_trips", [key, fingerprint])
        new = worker.ask("round_trips", [key, f"{fingerprint} of another machine"])
    with workers.login(database) as worker:
        worker.ask("logins", vendor.email, vendor.password, ["203.0.113.1"])
        login = worker.ask("round_trips", vendor.email, vendor.password, "203.0.113.2")
    return [
        limit_row("round trips: check of a known device", known, at_most=1),
        limit_row("round trips: check of a device without a seat", new, at_most=2),
        limit_row("round trips: login", login, at_most=2),
    ]
