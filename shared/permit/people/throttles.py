"""How often a sign-in may be tried: what each count allows, and for how long it closes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from permit.security.throttling import ThrottleKeys, throttle_keys


class Throttle(NamedTuple):
    free_attempts: int
    delay_cap: int
    """Seconds; each time they have passed, one attempt is forgotten."""


# A pair waits long, so guessing from one place is hopeless. The account as a whole waits briefly,
# so that nobody can lock a person out of a place that is new to them. An address is an office as
# often as an attacker.
PAIR = Throttle(free_attempts=5, delay_cap=900)
ACCOUNT = Throttle(free_attempts=10, delay_cap=30)
ADDRESS = Throttle(free_attempts=50, delay_cap=60)
# Who has waited as long as they were told is let try although others guess at the account.
TURNS = Throttle(free_attempts=10, delay_cap=10)
# Only who has the password, or a token, can keep a person out here; and a code has but six digits.
SECOND_STEP = Throttle(free_attempts=10, delay_cap=900)


@dataclass(frozen=True, kw_only=True, slots=True)
class Success:
    """What becomes of the counts of an attempt that was no guess."""

    places: Sequence[bytes]
    """Known from now on, and their attempts forgotten."""
    others: Sequence[bytes]
    """Where it is taken back."""

    def parameters(self) -> dict[str, Any]:
        return {"places": list(self.places), "others": list(self.others)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What a sign-in, or a proof of self, is counted against."""

    counts: ThrottleKeys
    of_account: Throttle

    @classmethod
    def at(
        cls, secret: bytes, account: str, address: str, *, of_account: Throttle = ACCOUNT
    ) -> Self:
        """`account` is an email or a user's id."""
        return cls(
            counts=throttle_keys(secret, account=account, address=address), of_account=of_account
        )

    @property
    def place(self) -> bytes:
        """The account at this address; a place that has signed in lately is judged by itself."""
        return self.counts.pair

    def parameters(self) -> dict[str, Any]:
        """As the queries that admit take it: the place comes first, and the turns last."""
        charges = [
            (self.counts.pair, PAIR),
            (self.counts.account, self.of_account),
            (self.counts.address, ADDRESS),
        ]
        if self.of_account is ACCOUNT:  # a stranger gets no further than to the password
            charges.append((self.counts.turns, TURNS))
        return {
            "keys": [key for key, _ in charges],
            "free_attempts": [throttle.free_attempts for _, throttle in charges],
            "delay_caps": [throttle.delay_cap for _, throttle in charges],
        }

    def charged(self, *, is_known_place: bool) -> Sequence[bytes]:
        """All that it was counted against."""
        return [self.place, *self.others(is_known_place=is_known_place)]

    def others(self, *, is_known_place: bool) -> Sequence[bytes]:
        """What else it was counted against, to be taken back if it was none of a guesser."""
        return [] if is_known_place else [self.counts.account, self.counts.address]

    def success(self, *also: bytes, is_known_place: bool) -> Success:
        """`also` are further places that have shown themselves to be the account's."""
        others = self.others(is_known_place=is_known_place)
        return Success(places=[self.place, *also], others=others)
