"""`python -m tests.bench`: every budget in one run. BENCH_QUICK=1 only shows that it runs."""

import sys
import time
from pathlib import Path

from tests.bench import report
from tests.bench.built import NotHere, Programs
from tests.bench.cold import cold_rows
from tests.bench.data import Database, Template, load, make_template
from tests.bench.logins import login_rows
from tests.bench.plan import Plan, chosen, is_quick
from tests.bench.round_trips import round_trip_rows
from tests.bench.rows import Row, limit_row
from tests.bench.server import durable
from tests.bench.sizes import Size, measure_sizes
from tests.bench.throughput import throughput_rows
from tests.bench.vendor import vendor_rows
from tests.bench.warm_checks import check_rows, licences_rows
from tests.bench.workers import Workers
from tests.support.artifacts import Artifacts
from tests.support.servers import Server


def main() -> int:
    try:
        programs = Programs.prepare()
    except NotHere as missing:
        print(f"make bench: {missing}", file=sys.stderr)
        return 1
    with durable() as (server, folder):
        rows, sizes = measure(programs, chosen(), server, folder)
        text = report.figures(rows, sizes, server=server, python=programs.python)
    print(text)
    if not is_quick():
        report.write(text, report.FIGURES)
    return 0


def measure(
    programs: Programs, plan: Plan, server: Server, folder: Path
) -> tuple[list[Row], list[Size]]:
    template = make_template(server, folder)
    log = folder / "programs.log"
    workers = Workers(programs=programs, log=log)
    _say(f"loading {plan.licences:,} licences")
    main_database = load(
        template,
        "bench",
        licences=plan.licences,
        devices_a_licence=plan.devices_a_licence,
        due=plan.calls,
    )
    _say("the warm check")
    rows = check_rows(workers, plan, main_database)
    _say("round trips and the login")
    rows += round_trip_rows(workers, main_database, template.vendor)
    rows += login_rows(workers, plan, main_database, template.vendor)
    _say("cold starts")
    rows += cold_rows(programs, plan, main_database, log)
    _say("what each function takes of a processor")
    sizes = measure_sizes(programs, plan, main_database, template.vendor, log)
    few, many = _loaded(template, plan)
    rows += licences_rows(workers, plan, few, many)
    _say("the vendor's side")
    rows += vendor_rows(workers, plan, template, few, many)
    _say("checks a second")
    rows += throughput_rows(workers, plan)
    return [*rows, _layers_row(programs.artifacts)], sizes


def _loaded(template: Template, plan: Plan) -> tuple[Database, Database]:
    loaded = []
    for name, licences in {"few": plan.few_licences, "many": plan.many_licences}.items():
        _say(f"loading {licences:,} licences")
        each = plan.devices_a_licence
        loaded.append(load(template, f"bench_{name}", licences=licences, devices_a_licence=each))
    _say("the check by the number of licences")
    few, many = loaded
    return few, many


def _layers_row(artifacts: Artifacts) -> Row:
    files = [path for layer in artifacts.layers for path in layer.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return limit_row("layers, unzipped", megabytes, at_most=60, unit=" MB")


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
