"""The FastAPI service, warm."""

from typing import Any

from app import handler
from bench_commands import resident_megabytes, serve
from bench_lambda import Context, check_event, require_success
from bench_stopwatch import timed

Device = list[str]  # licence key, fingerprint


def main() -> None:
    serve({"checks": run_checks, "resident_megabytes": resident_megabytes})


def run_checks(devices: list[Device]) -> list[float]:
    """From the event to the answer."""
    return [_timed_check(device) for device in devices]


def _timed_check(device: Device) -> float:
    event, answers = check_event(device), list[dict[str, Any]]()
    seconds = timed(lambda: answers.append(handler(event, Context())))
    require_success(answers[0])
    return seconds
