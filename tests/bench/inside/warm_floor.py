"""The floors, warm: the least that a check and a login can be."""

from typing import Any

import floor_check
import floor_login
from bench_answers import comparable
from bench_commands import serve
from bench_lambda import Device, check_event, login_event, timed_answer


def main() -> None:
    serve(
        {"checks": checks, "check_answer": check_answer}
        | {"logins": logins, "login_answer": login_answer}
    )


def checks(devices: list[Device]) -> list[float]:
    """From the event to the answer."""
    return [timed_answer(floor_check.handler, check_event(device))[0] for device in devices]


def check_answer(device: Device) -> dict[str, Any]:
    return comparable(timed_answer(floor_check.handler, check_event(device))[1])


def logins(email: str, password: str, addresses: list[str]) -> list[tuple[float, float]]:
    """From the event to the answer; and of it Argon2's share."""
    return [_timed_login(login_event(email, password, address)) for address in addresses]


def login_answer(email: str, password: str, address: str) -> dict[str, Any]:
    return comparable(timed_answer(floor_login.handler, login_event(email, password, address))[1])


def _timed_login(event: dict[str, Any]) -> tuple[float, float]:
    floor_login.in_argon2.read()
    seconds, _ = timed_answer(floor_login.handler, event)
    return seconds, floor_login.in_argon2.read()
