"""The check as it is deployed, warm."""

from typing import Any

import app
from bench_commands import connect, modules, resident_megabytes, serve
from bench_lambda import Context, check_event, require_success
from bench_round_trips import count_round_trips
from bench_stopwatch import Stopwatch, timed

Device = list[str]  # licence key, fingerprint

in_database = Stopwatch()
# Every statement goes through it.
app.database._run = in_database.wrap(app.database._run)
baseline = connect()


def main() -> None:
    serve(
        {
            "select_1": select_1,
            "checks": run_checks,
            "round_trips": round_trips,
            "resident_megabytes": resident_megabytes,
            "modules": modules,
        }
    )


def select_1(count: int) -> list[float]:
    return [timed(lambda: baseline.execute("SELECT 1").fetchone()) for _ in range(count)]


def run_checks(devices: list[Device]) -> list[tuple[float, float]]:
    """From the event to the answer; and how much of it the database call took."""
    return [_timed_check(device) for device in devices]


def round_trips(device: Device) -> int:
    return count_round_trips(app.database, lambda: _timed_check(device))


def _timed_check(device: Device) -> tuple[float, float]:
    event, answers = check_event(device), list[dict[str, Any]]()
    in_database.read()
    seconds = timed(lambda: answers.append(app.handler(event, Context())))
    require_success(answers[0])
    return seconds, in_database.read()
