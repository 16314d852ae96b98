"""The login as it is deployed, warm."""

from typing import Any

import app
from bench_answers import comparable
from bench_commands import serve
from bench_lambda import login_event, timed_answer
from bench_round_trips import count_round_trips
from bench_stopwatch import Stopwatch

from permit.security import passwords

in_argon2, in_database = Stopwatch(), Stopwatch()
passwords.verify = in_argon2.wrap(passwords.verify)
# Every statement goes through it.
app.database._run = in_database.wrap(app.database._run)


def main() -> None:
    serve({"logins": logins, "login_answer": login_answer, "round_trips": round_trips})


def logins(email: str, password: str, addresses: list[str]) -> list[tuple[float, float, float]]:
    """From the event to the answer; and of it Argon2's share, and the database's.

    An address each: one alone would come under the throttle.
    """
    return [_timed_login(email, password, address) for address in addresses]


def login_answer(email: str, password: str, address: str) -> dict[str, Any]:
    return comparable(timed_answer(app.handler, login_event(email, password, address))[1])


def round_trips(email: str, password: str, address: str) -> int:
    return count_round_trips(app.database, lambda: _timed_login(email, password, address))


def _timed_login(email: str, password: str, address: str) -> tuple[float, float, float]:
    in_argon2.read(), in_database.read()
    seconds, _ = timed_answer(app.handler, login_event(email, password, address))
    return seconds, in_argon2.read(), in_database.read()
