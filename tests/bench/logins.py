"""The warm login against SELECT 1; and beside it one whose commits do not wait for the disk."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.bench.data import Database
from tests.bench.interleaved import interleave
from tests.bench.plan import Plan
from tests.bench.rows import SELECT_1, Row, ratio_row
from tests.bench.samples import Samples
from tests.bench.workers import Workers
from tests.support.deployment import Vendor


def login_rows(workers: Workers, plan: Plan, database: Database, vendor: Vendor) -> list[Row]:
    addresses = _addresses()

    def arguments(count: int) -> tuple[str, str, list[str]]:
        return vendor.email, vendor.password, [next(addresses) for _ in range(count)]

    with ExitStack() as exits:
        durable = exits.enter_context(workers.login(database))
        durable.ask("logins", *arguments(1))  # opens its connection, which stays durable
        hasty = exits.enter_context(workers.login(database))
        with _no_wait_for_the_disk(database):
            hasty.ask("logins", *arguments(1))
        taken = interleave(
            plan.logins,
            select=lambda n: durable.ask("select_1", n),
            durable=lambda n: durable.ask("logins", *arguments(n)),
            hasty=lambda n: hasty.ask("logins", *arguments(n)),
        )
    return _rows(taken)


@contextmanager
def _no_wait_for_the_disk(database: Database) -> Generator[None]:
    """For connections that are opened meanwhile."""
    deployment = database.deployment
    deployment.sql("ALTER ROLE permit_login SET synchronous_commit = off")
    try:
        yield
    finally:
        deployment.sql("ALTER ROLE permit_login RESET synchronous_commit")


def _addresses() -> Iterator[str]:
    """One each: a single address would come under the throttle."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(1 << 24))


def _rows(taken: Mapping[str, list[Any]]) -> list[Row]:
    select = Samples.without_warm_up(taken["select"])
    whole = Samples.without_warm_up(each[0] for each in taken["durable"])
    beyond = Samples.without_warm_up(all_ - argon2 for all_, argon2, _ in taken["durable"])
    calls = Samples.without_warm_up(waited for _, _, waited in taken["durable"])
    hasty = Samples.without_warm_up(all_ - argon2 for all_, argon2, _ in taken["hasty"])
    return [
        Row(what="login, whole", figure=whole.summary),
        ratio_row("login, beyond its Argon2 verify", beyond, SELECT_1, select, at_most=10),
        ratio_row("login, its two database calls", calls, SELECT_1, select),
        ratio_row("login, beyond, if no commit waited for the disk", hasty, SELECT_1, select),
    ]
