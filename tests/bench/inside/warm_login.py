"""The login as it is deployed, warm."""

from typing import Any

import app
from bench_commands import connect, serve
from bench_lambda import Context, event, require_success
from bench_round_trips import count_round_trips
from bench_stopwatch import Stopwatch, timed

from permit.security import passwords

in_argon2, in_database = Stopwatch(), Stopwatch()
passwords.verify = in_argon2.wrap(passwords.verify)
# Every statement goes through it.
app.database._run = in_database.wrap(app.database._run)
baseline = connect()


def main() -> None:
    serve({"select_1": select_1, "logins": logins, "round_trips": round_trips})


def select_1(count: int) -> list[float]:
    return [timed(lambda: baseline.execute("SELECT 1").fetchone()) for _ in range(count)]


def logins(email: str, password: str, addresses: list[str]) -> list[tuple[float, float, float]]:
    """From the event to the answer; and of it Argon2's share, and the database's.

    An address each: one alone would come under the throttle.
    """
    return [_timed_login(email, password, address) for address in addresses]


def round_trips(email: str, password: str, address: str) -> int:
    return count_round_trips(app.database, lambda: _timed_login(email, password, address))


def _timed_login(email: str, password: str, address: str) -> tuple[float, float, float]:
    request, answers = event({"email": email, "password": password}, address), []
    in_argon2.read(), in_database.read()
    seconds = timed(lambda: answers.append(app.handler(request, Context())))
    answer: dict[str, Any] = answers[0]
    require_success(answer)
    return seconds, in_argon2.read(), in_database.read()
