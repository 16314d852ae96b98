"""Leaves a server alone that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    from permit_client.clock import Reading
    from permit_client.hearing import Trouble

_FAILURES_BEFORE_REST = 5
# All in seconds.
_LONGEST_WITH_LEASE = 21_600.0
_LONGEST_FOR_A_PERSON = 300.0
_UNKNOWN_PAUSE = 600.0


class Circuit:
    """When the server may be asked again, by the steady clock."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._failures = 0
        self._trouble: Optional[Trouble] = None
        self._rests_until = 0.0
        self._rests_for_a_person_until = 0.0
        self._unknown_key: Optional[str] = None
        self._unknown_until = 0.0

    def resting(self, now: Reading, *, for_a_person: bool) -> Optional[Trouble]:
        """The last trouble, for as long as the server is left alone because of it."""
        until = self._rests_for_a_person_until if for_a_person else self._rests_until
        return self._trouble if now.steady < until else None

    def count(self, trouble: Optional[Trouble], now: Reading, lease_left: float) -> None:
        """What asking has led to."""
        self._trouble = trouble
        self._rests_until = self._rests_for_a_person_until = 0.0
        if trouble is None:
            self._failures = 0
            return
        self._failures += 1
        retry_after = trouble.retry_after
        wait = wait_after(self._failures, retry_after, self._chance(), lease_left)
        self._rests_until = now.steady + wait
        if retry_after is not None:
            self._rests_for_a_person_until = now.steady + min(retry_after, _LONGEST_FOR_A_PERSON)

    def set_unknown(self, key_id: str, now: Reading) -> None:
        """No licence has this key: it is not asked about again at once."""
        self._unknown_key, self._unknown_until = key_id, now.steady + _UNKNOWN_PAUSE

    def is_unknown(self, key_id: str, now: Reading) -> bool:
        return key_id == self._unknown_key and now.steady < self._unknown_until

    def rest(self, key_id: Optional[str], now: Reading) -> float:
        """Seconds for which nothing is asked about this key."""
        until = self._rests_until
        if key_id is not None and key_id == self._unknown_key:
            until = max(until, self._unknown_until)
        return max(until - now.steady, 0.0)


def wait_after(
    failures: int, retry_after: float | None, chance: float, lease_left: float = 0.0
) -> float:
    """Seconds to leave the server alone after so many failures in a row.

    `chance` is from 0 to 1, new at each call: full jitter, so that a hundred thousand programs that
    lost the server at one moment do not come back at one moment. A program whose lease still holds
    for long is in no hurry: it waits for up to a quarter of `lease_left`, six hours at most.
    Without a lease it tries again within seconds, and after five failures the circuit rests for
    five to ten minutes, later for up to an hour. What the server asked for is the least, and spread
    over a quarter more.
    """
    if failures < _FAILURES_BEFORE_REST:
        wait = chance * min(5.0 * 2 ** (failures - 1), 60.0)
    else:
        doubled = 2 ** min(failures - _FAILURES_BEFORE_REST, 4)
        wait = 300.0 + chance * min(300.0 * doubled, 3300.0)
    unhurried = min(lease_left / 4, _LONGEST_WITH_LEASE)
    if unhurried > 60.0:
        wait = chance * unhurried
    elif unhurried > 0.0:  # a floating seat: before it lapses
        wait = min(wait, (0.5 + chance / 2) * unhurried)
    if retry_after is not None:
        wait = max(wait, retry_after * (1 + chance / 4))
    return wait
