"""`python -m tests.bench.large`: the check among ten million licences, in a run of its own.

It takes a quarter of an hour and 25 GB of disk.
"""

import sys
from dataclasses import replace

from tests.bench import report
from tests.bench.built import NotHere, Programs
from tests.bench.data import load, make_template
from tests.bench.plan import chosen, is_quick
from tests.bench.rows import Row
from tests.bench.server import durable
from tests.bench.warm_checks import licences_rows
from tests.bench.workers import Workers
from tests.support.servers import Server

LICENCES = 20_000 if is_quick() else 10_000_000


def main() -> int:
    plan = replace(chosen(), many_licences=LICENCES)
    try:
        programs = Programs.prepare()
    except NotHere as missing:
        print(f"make bench-large: {missing}", file=sys.stderr)
        return 1
    with durable() as (server, folder):
        template = make_template(server, folder)
        each = plan.devices_a_licence
        few = load(template, "few", licences=plan.few_licences, devices_a_licence=each)
        many = load(template, "many", licences=plan.many_licences, devices_a_licence=each)
        workers = Workers(programs=programs, log=folder / "programs.log")
        rows = licences_rows(workers, plan, few, many)
        rows.append(_size_row(server, "many"))
        text = report.table("make bench-large", rows, server=server, python=programs.python)
    print(text)
    if not is_quick():
        report.write(text, report.LARGE)
    return 0


def _size_row(server: Server, database: str) -> Row:
    with server.connect() as connection:
        row = connection.execute("SELECT pg_database_size(%s)", [database]).fetchone()
    assert row is not None
    return Row(what="the database of them", figure=f"{row[0] / 1e9:.1f} GB")


if __name__ == "__main__":
    sys.exit(main())
