"""The warm login beyond Argon2, against the least that it can be."""

from collections.abc import Iterator
from itertools import count

from tests.bench.data import Database
from tests.bench.interleaved import interleave
from tests.bench.plan import Plan
from tests.bench.rows import FLOOR, Row, ratio_row
from tests.bench.same import require_same
from tests.bench.samples import Samples
from tests.bench.workers import Workers
from tests.support.deployment import Vendor


def login_rows(workers: Workers, plan: Plan, database: Database, vendor: Vendor) -> list[Row]:
    addresses = _addresses()
    who = (vendor.email, vendor.password)
    with workers.login(database) as permit, workers.floor(database, "login") as floor:
        require_same(*(each.ask("login_answer", *who, next(addresses)) for each in (permit, floor)))
        taken = interleave(
            plan.logins,
            permit=lambda n: permit.ask("logins", *who, [next(addresses) for _ in range(n)]),
            floor=lambda n: floor.ask("logins", *who, [next(addresses) for _ in range(n)]),
        )
    whole = Samples.without_warm_up(each[0] for each in taken["permit"])
    beyond = Samples.without_warm_up(all_ - argon2 for all_, argon2, _ in taken["permit"])
    calls = Samples.without_warm_up(waited for _, _, waited in taken["permit"])
    least = Samples.without_warm_up(all_ - argon2 for all_, argon2 in taken["floor"])
    return [
        Row(what="login, whole", figure=whole.summary),
        ratio_row("login, beyond its Argon2 verify", beyond, FLOOR, least, at_most=1.3),
        Row(what="login, its two database calls", figure=calls.summary),
    ]


def _addresses() -> Iterator[str]:
    """One each: a single address would come under the throttle."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in count())
