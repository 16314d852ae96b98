"""The warm check: against SELECT 1, against FastAPI, and by the number of licences."""

from tests.bench.data import Database
from tests.bench.interleaved import interleave
from tests.bench.plan import Plan
from tests.bench.programs import Worker
from tests.bench.rows import SELECT_1, Row, limit_row, ratio_row
from tests.bench.samples import Samples
from tests.bench.workers import Workers

_KEPT_OFF = ("pydantic_settings", "jwt", "argon2", "boto3")


def check_rows(workers: Workers, plan: Plan, database: Database) -> list[Row]:
    with workers.check(database) as permit, workers.fastapi(database) as fastapi:
        return [
            *_rows_against_select_1(permit, plan, database),
            _row_against_fastapi(permit, fastapi, plan, database),
            *_process_rows(permit),
        ]


def licences_rows(workers: Workers, plan: Plan, few: Database, many: Database) -> list[Row]:
    with workers.check(few) as with_few, workers.check(many) as with_many:
        taken = interleave(
            plan.calls,
            few=lambda n: with_few.ask("checks", few.take(n)),
            many=lambda n: with_many.ask("checks", many.take(n)),
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


def _rows_against_select_1(worker: Worker, plan: Plan, database: Database) -> list[Row]:
    taken = interleave(
        plan.calls,
        select=lambda n: worker.ask("select_1", n),
        check=lambda n: worker.ask("checks", database.take(n)),
        due=lambda n: worker.ask("checks", database.take_due(n)),
    )
    select = Samples.without_warm_up(taken["select"])
    whole = Samples.without_warm_up(each[0] for each in taken["check"])
    call = Samples.without_warm_up(each[1] for each in taken["check"])
    beyond = Samples.without_warm_up(all_ - waited for all_, waited in taken["check"])
    due = Samples.without_warm_up(each[1] for each in taken["due"])
    return [
        Row(what="`SELECT 1`, as psycopg sends it", figure=select.summary),
        Row(what="check of a known device, whole", figure=whole.summary),
        ratio_row("check, beyond its database call", beyond, SELECT_1, select, at_most=1.5),
        ratio_row("check, its database call, nothing due", call, SELECT_1, select, at_most=2.5),
        ratio_row("check, its database call, `last_seen_at` due", due, SELECT_1, select),
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
