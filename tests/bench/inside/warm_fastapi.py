"""The FastAPI service, warm."""

from app import handler
from bench_commands import resident_megabytes, serve
from bench_lambda import Device, check_event, timed_answer


def main() -> None:
    serve({"checks": checks, "resident_megabytes": resident_megabytes})


def checks(devices: list[Device]) -> list[float]:
    """From the event to the answer."""
    return [timed_answer(handler, check_event(device))[0] for device in devices]
