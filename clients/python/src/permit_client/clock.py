"""Time: two readings of this machine's clocks, and what they say about the server's time. Pure but
for `read`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Callable

    Clock = Callable[[], "Reading"]

TOLERANCE = 3600
"""Seconds by which a clock may go back: corrections, file systems of other machines."""
# The one that goes on while the machine sleeps, where there is one.
_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Reading(NamedTuple):
    """Both clocks at one moment, in seconds."""

    wall: float
    """Since 1970 in UTC: daylight saving and time zones do not exist here."""
    steady: float
    """Never set, never goes back; counts from an unknown moment, and only within this process."""


def read() -> Reading:
    """This machine's clocks, now."""
    steady = time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
    return Reading(time.time(), steady)


def since(then: Reading, now: Reading, *, same_process: bool) -> float:
    """Seconds that have passed, as long as either clock says: one of them may have been held."""
    passed = max(now.wall - then.wall, 0.0)
    return max(passed, now.steady - then.steady) if same_process else passed


def is_set_back(floor: float, now: Reading) -> bool:
    """Whether this machine's clock is earlier than it has already been."""
    return now.wall < floor - TOLERANCE
