"""The warm check: against its floor, against FastAPI, and by the number of licences."""

from itertools import islice

from tests.bench.data import Database
from tests.bench.interleaved import interleave
from tests.bench.plan import Plan
from tests.bench.programs import Worker
from tests.bench.rows import FLOOR, Row, limit_row, ratio_row
from tests.bench.same import require_same
from tests.bench.samples import Samples
from tests.bench.workers import Workers

_KEPT_OFF = ("pydantic_settings", "jwt", "argon2", "boto3")


def check_rows(workers: Workers, plan: Plan, database: Database) -> list[Row]:
    with (
        workers.check(database) as permit,
        workers.floor(database, "licence_check") as floor,
        workers.fastapi(database) as fastapi,
    ):
        [device] = database.take(1)
        require_same(*(each.ask("check_answer", device) for each in (permit, floor)))
        return [
            *_rows_against_floor(permit, floor, plan, database),
            _row_against_fastapi(permit, fastapi, plan, database),
            *_process_rows(permit),
        ]


def licences_rows(workers: Workers, plan: Plan, few: Database, many: Database) -> list[Row]:
    """Each licence has been asked about before: what is measured is not the disk."""
    few_devices, many_devices = few.take(plan.calls), many.take(plan.calls)
    with workers.check(few) as with_few, workers.check(many) as with_many:
        with_few.ask("checks", few_devices)
        with_many.ask("checks", many_devices)
        few_again, many_again = iter(few_devices), iter(many_devices)
        taken = interleave(
            plan.calls,
            few=lambda n: with_few.ask("checks", list(islice(few_again, n))),
            many=lambda n: with_many.ask("checks", list(islice(many_again, n))),
        )
    few_samples = Samples.without_warm_up(each[0] for each in taken["few"])
    many_samples = Samples.without_warm_up(each[0] for each in taken["many"])
    few_name = f"{plan.few_licences:,} licences"
    return [
        Row(what=f"check, {few_name}", figure=few_samples.summary),
        ratio_row(
            f"check, {plan.many_licences:,} licences",
            many_samples,
            few_name,
            few_samples,
            at_most=1.3,
        ),
    ]


def _rows_against_floor(permit: Worker, floor: Worker, plan: Plan, database: Database) -> list[Row]:
    taken = interleave(
        plan.calls,
        select=lambda n: permit.ask("select_1", n),
        floor=lambda n: floor.ask("checks", database.take(n)),
        check=lambda n: permit.ask("checks", database.take(n)),
        due=lambda n: permit.ask("checks", database.take_due(n)),
    )
    select = Samples.without_warm_up(taken["select"])
    least = Samples.without_warm_up(taken["floor"])
    whole = Samples.without_warm_up(each[0] for each in taken["check"])
    beyond = Samples.without_warm_up(all_ - waited for all_, waited in taken["check"])
    call = Samples.without_warm_up(each[1] for each in taken["check"])
    due = Samples.without_warm_up(each[0] for each in taken["due"])
    due_call = Samples.without_warm_up(each[1] for each in taken["due"])
    return [
        Row(what="`SELECT 1`, as psycopg sends it", figure=select.summary),
        ratio_row("check of a known device, whole", whole, FLOOR, least, at_most=1.25),
        Row(what="check, beyond its database call", figure=beyond.summary),
        Row(what="check, its database call, nothing due", figure=call.summary),
        Row(what="check, its database call, `last_seen_at` due", figure=due_call.summary),
        ratio_row("check that rewrites `last_seen_at`", due, "nothing due", whole, at_most=1.4),
    ]


def _row_against_fastapi(permit: Worker, fastapi: Worker, plan: Plan, database: Database) -> Row:
    taken = interleave(
        plan.calls,
        permit=lambda n: permit.ask("checks", database.take(n)),
        fastapi=lambda n: fastapi.ask("checks", database.take(n)),
    )
    return ratio_row(
        "warm check against FastAPI + Mangum",
        Samples.without_warm_up(each[0] for each in taken["permit"]),
        "FastAPI",
        Samples.without_warm_up(taken["fastapi"]),
    )


def _process_rows(worker: Worker) -> list[Row]:
    imported = set(worker.ask("modules")) & set(_KEPT_OFF)
    return [
        limit_row(
            "resident memory of the check's process",
            worker.ask("resident_megabytes"),
            at_most=75,
            unit=" MB",
        ),
        Row(
            what=f"imported for a check, of {', '.join(_KEPT_OFF)}",
            figure=", ".join(sorted(imported)) or "none",
            budget="none",
            is_met=not imported,
            missed_by=f"{len(imported)}",
        ),
    ]
