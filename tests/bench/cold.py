"""The cold figures: from the start of a process to its first answer, in turns."""

import json
from pathlib import Path

from tests.bench.built import Programs
from tests.bench.data import Database
from tests.bench.plan import Plan
from tests.bench.programs import seconds_to_first_answer
from tests.bench.rows import Row, ratio_row
from tests.bench.samples import Samples


def cold_rows(programs: Programs, plan: Plan, database: Database, log: Path) -> list[Row]:
    compared = {
        "permit": programs.permit("cold_check", "LicenceCheckFunction"),
        "minimum": programs.minimum("cold_minimum"),
        "fastapi": programs.of_fastapi("cold_check"),
    }
    taken: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(plan.cold_rounds):
        for name, program in compared.items():
            [device] = database.take(1)
            variables = database.deployment.environ("licence_check")
            variables["BENCH_DEVICE"] = json.dumps(device)
            taken[name].append(seconds_to_first_answer(program, variables, log))
    permit, minimum, fastapi = (Samples(seconds[1:]) for seconds in taken.values())
    return [
        ratio_row(
            "cold check against the least it can be",
            permit,
            "psycopg, Ed25519",
            minimum,
            at_most=1.6,
        ),
        ratio_row(
            "cold check against FastAPI + Mangum",
            permit,
            "FastAPI",
            fastapi,
            at_most=0.65,
        ),
    ]
