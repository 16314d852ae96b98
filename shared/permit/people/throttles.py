"""How often a sign-in may be tried: what each count allows, and for how long it closes."""

from typing import Any, NamedTuple


class Throttle(NamedTuple):
    free_attempts: int
    delay_cap: int  # seconds


# A pair waits long, so guessing from one place is hopeless. The account as a whole waits briefly,
# so that nobody can lock a person out. An address is an office as often as an attacker.
PAIR = Throttle(free_attempts=5, delay_cap=900)


ACCOUNT = Throttle(free_attempts=10, delay_cap=30)


ADDRESS = Throttle(free_attempts=50, delay_cap=60)


# Only who has the password can keep a person out here, and a code has but six digits.
SECOND_FACTOR_STEP = Throttle(free_attempts=10, delay_cap=900)


def throttled(*charges: tuple[bytes, Throttle]) -> dict[str, Any]:
    """What an attempt counts against, as the queries take it."""
    return {
        "keys": [key for key, _ in charges],
        "free_attempts": [throttle.free_attempts for _, throttle in charges],
        "delay_caps": [throttle.delay_cap for _, throttle in charges],
    }
