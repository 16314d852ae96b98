"""The check as it is deployed, warm."""

from typing import Any

import app
from bench_answers import comparable
from bench_commands import connect, modules, resident_megabytes, serve
from bench_lambda import Device, check_event, timed_answer
from bench_round_trips import count_round_trips
from bench_stopwatch import Stopwatch, timed

in_database = Stopwatch()
# Every statement goes through it.
app.database._run = in_database.wrap(app.database._run)
baseline = connect()


def main() -> None:
    serve(
        {
            "select_1": select_1,
            "checks": checks,
            "check_answer": check_answer,
            "round_trips": round_trips,
            "resident_megabytes": resident_megabytes,
            "modules": modules,
        }
    )


def select_1(count: int) -> list[float]:
    return [timed(lambda: baseline.execute("SELECT 1").fetchone()) for _ in range(count)]


def checks(devices: list[Device]) -> list[tuple[float, float]]:
    """From the event to the answer; and how much of it the database call took."""
    return [_timed_check(device) for device in devices]


def check_answer(device: Device) -> dict[str, Any]:
    return comparable(timed_answer(app.handler, check_event(device))[1])


def round_trips(device: Device) -> int:
    return count_round_trips(app.database, lambda: _timed_check(device))


def _timed_check(device: Device) -> tuple[float, float]:
    in_database.read()
    seconds, _ = timed_answer(app.handler, check_event(device))
    return seconds, in_database.read()
