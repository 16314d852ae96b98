"""How many checks are answered through a transaction pooler, and how long they take when busy.

The environments, PgBouncer and Postgres share this machine. So the database's own share of its
processors is read from the kernel; and its call is measured alone, with one processor for Postgres.
"""

import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from tests.bench.data import Database, load, make_template
from tests.bench.plan import Plan
from tests.bench.programs import Worker
from tests.bench.rows import Row
from tests.bench.samples import Samples
from tests.bench.server import as_shipped
from tests.bench.workers import Workers
from tests.support.servers import POSTGRES_15, behind_pgbouncer, is_pgbouncer_installed

_BUSY = 0.9  # of the highest rate that is answered
_WORTH = 1.03  # doubling the environments is worth it if they answer this much more
_DEVICES_A_SECOND = 4_000  # more than one environment asks for
_WARM_UP = 200
_MOST_ENVIRONMENTS = 16

Start = Callable[[Database], AbstractContextManager[Worker]]


@dataclass(frozen=True, kw_only=True)
class Load:
    """The checks that a number of environments answered together."""

    environments: int
    a_second: float
    taken: Samples
    processors: float
    """How many Postgres had busy on average."""

    @property
    def total(self) -> str:
        each = 1000 * self.processors / self.a_second
        return f"{self.a_second:,.0f} a second, {each:.3f} ms of Postgres's processor each"

    @property
    def a_processor(self) -> str:
        return f"{self.a_second / self.processors:,.0f} a second"


def throughput_rows(workers: Workers, plan: Plan) -> list[Row]:
    if not is_pgbouncer_installed():
        return [Row(what="checks through PgBouncer", figure="not measured: it is not installed")]
    with _pooled(plan) as database:
        most = _saturated(plan, database, workers.loaded_check)
        busy = _run(plan, database, workers.loaded_check, most.environments, _BUSY * most.a_second)
        due = _run(plan, database, workers.loaded_check, most.environments, is_due=True)
        with _one_processor_for_postgres():
            alone = _saturated(plan, database, workers.loaded_call)
            rate = _BUSY * alone.a_second
            busy_alone = _run(plan, database, workers.loaded_call, alone.environments, rate)
    return [
        Row(what=f"checks through PgBouncer, {most.environments} environments", figure=most.total),
        Row(what="checks for each processor of the database", figure=most.a_processor),
        Row(what="check, at 90 % of so many", figure=busy.taken.summary),
        Row(what="checks that rewrite `last_seen_at`, likewise", figure=due.total),
        Row(what="such checks for each processor of the database", figure=due.a_processor),
        Row(what=f"the call alone, {alone.environments} connections", figure=alone.total),
        Row(what="call, at 90 % of so many", figure=busy_alone.taken.summary),
    ]


@contextmanager
def _pooled(plan: Plan) -> Generator[Database]:
    with tempfile.TemporaryDirectory(prefix="permit-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user than root
        with behind_pgbouncer(folder) as server:
            as_shipped(server)
            # PgBouncer would stay connected to the template, and it could not be copied.
            template = make_template(replace(server, function_port=server.port), folder)
            each, due = plan.devices_a_licence, plan.load_due
            loaded = load(
                template, "bench_load", licences=plan.licences, devices_a_licence=each, due=due
            )
            yield replace(loaded, deployment=replace(loaded.deployment, server=server))


def _saturated(plan: Plan, database: Database, start: Start) -> Load:
    """With the number of environments beyond which doubling them no longer helps."""
    most = _run(plan, database, start, 1)
    while most.environments < _MOST_ENVIRONMENTS:
        more = _run(plan, database, start, 2 * most.environments)
        if more.a_second < _WORTH * most.a_second:
            break
        most = more
    return most


def _run(
    plan: Plan,
    database: Database,
    start: Start,
    environments: int,
    rate: float = 0,
    *,
    is_due: bool = False,
) -> Load:
    """`rate`: checks a second; at 0, each environment asks again once it has its answer."""
    with ExitStack() as exits:
        running = [exits.enter_context(start(database)) for _ in range(environments)]
        for worker in running:
            worker.ask("load", database.take(_WARM_UP), plan.load_seconds, 0, 0)
        every = environments / rate if rate else 0
        busy = _busy_seconds()
        for place, worker in enumerate(running):
            if is_due:
                devices = database.take_due(plan.load_due // environments)
            else:
                devices = database.take(int(_DEVICES_A_SECOND * plan.load_seconds))
            worker.tell("load", devices, plan.load_seconds, every * place / environments, every)
        answered: list[dict[str, Any]] = [worker.hear() for worker in running]
        busy = _busy_seconds() - busy
    return Load(
        environments=environments,
        a_second=sum(len(each["taken"]) / each["seconds"] for each in answered),
        taken=Samples([seconds for each in answered for seconds in each["taken"]]),
        processors=busy / max(each["seconds"] for each in answered),
    )


@contextmanager
def _one_processor_for_postgres() -> Generator[None]:
    """Gives Postgres one processor for itself alone."""
    allowed = psutil.Process().cpu_affinity() or []
    if len(allowed) < 2:
        yield
        return
    ours = _children()
    for process in [psutil.Process(), *ours]:
        is_database = process in _postgres()
        process.cpu_affinity(allowed[:1] if is_database else allowed[1:])
    try:
        yield
    finally:
        psutil.Process().cpu_affinity(allowed)


def _busy_seconds() -> float:
    """What Postgres has taken of processors until now."""
    times = [process.cpu_times() for process in _postgres()]
    return sum(each.user + each.system for each in times)


def _postgres() -> list[psutil.Process]:
    """The server behind PgBouncer: another may run beside it."""
    return [each for each in _children() if Path(each.exe()).parent == POSTGRES_15]


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)
