"""Races on real parallel connections: each runner is a thread with a `Database` of its own.

At the level of the services, not of the handlers: Powertools keeps the current event on a class,
as one execution environment serves one request at a time.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from threading import Barrier
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from permit.check import check as checks
from permit.check.check import CheckOutcome
from permit.check.facts import DeviceSent
from permit.check.verdicts import Question
from permit.db import Database
from permit.people.queries import callers
from permit.security.api_keys import digest
from permit.settings import DatabaseSettings
from tests.support.deployment import Deployment

Result = TypeVar("Result")

_PATIENCE = 30.0


def race(
    deployment: Deployment,
    runners: Iterable[Callable[[Database], Result]],
    *,
    function: str = "licence_check",
) -> list[Result]:
    """Runs all at once, each on a connection that is open before the start; results in order."""
    waiting = [*runners]
    start = Barrier(len(waiting), timeout=_PATIENCE)

    def run(runner: Callable[[Database], Result]) -> Result:
        with check_database(deployment, function) as database:
            start.wait()
            return runner(database)

    with ThreadPoolExecutor(len(waiting)) as pool:
        return [*pool.map(run, waiting)]


@contextmanager
def check_database(deployment: Deployment, function: str = "licence_check") -> Generator[Database]:
    """An open connection as this function has it."""
    database = Database(DatabaseSettings.from_environment(deployment.environ(function)))
    database.fetch_value("SELECT 1", {})
    try:
        yield database
    finally:
        database.close()


def checking(key: str, fingerprint: str, **sent: Any) -> Callable[[Database], CheckOutcome]:
    """A check of this device, to be raced."""
    device = DeviceSent(fingerprint_hash=sha256(fingerprint.encode()).digest(), **sent)
    return lambda database: checks.check(database, key, device, Question(has_device=True))


def acting(api_key: str, work: Callable[[Database, UUID], Result]) -> Callable[[Database], Result]:
    """A transaction of the vendor's side, to be raced."""

    def run(database: Database) -> Result:
        with database.transaction():
            entered = callers.enter_with_api_key(database, digest(api_key), {})
            assert entered is not None
            return work(database, entered.tenant_id)

    return run


@contextmanager
def held_up(
    deployment: Deployment,
    blocker: str,
    *parameters: object,
    run: Callable[[Database], Result],
    function: str = "licence_check",
) -> Generator[Future[Result]]:
    """Starts `run` while an uncommitted statement, `blocker`, holds a lock that it needs.

    In the block it waits; at its end the blocker commits, and the future gets its result.
    """
    with (
        deployment.server.connect(deployment.database) as holder,
        check_database(deployment, function) as database,
        ThreadPoolExecutor(1) as pool,
    ):
        with holder.transaction():
            holder.execute(blocker, parameters)
            future = pool.submit(run, database)
            await_waiter(deployment, holder, future)
            yield future
        future.exception(_PATIENCE)


def await_waiter(deployment: Deployment, holder: psycopg.Connection, future: Future[Any]) -> None:
    """Until somebody waits for a lock of this connection's."""
    give_up_at = monotonic() + _PATIENCE
    while not deployment.sql(
        "SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))",
        holder.info.backend_pid,
    ):
        if future.done():
            raise AssertionError(f"nothing held it up: {future.result()}")
        if monotonic() > give_up_at:
            raise AssertionError("it never came to wait")
        sleep(0.005)
