"""A floating seat, given back however the program ends: by SystemExit where a signal ends it."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType
    from typing import NoReturn

    from permit_client.licence import Licence
    from permit_client.permit import Permit

_NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def seat(permit: Permit, key: str | None, *, renew: bool) -> Generator[Licence]:
    """`Permit.seat` says what it does."""
    with ending_by_exit():
        licence = permit.check(key, fresh=True)
        renewal = permit.renew_in_background() if renew and licence.allowed else None
        try:
            yield licence
        finally:
            if renewal is not None:
                renewal.stop()
            if licence.allowed:
                permit.release()


@contextmanager
def ending_by_exit() -> Generator[None]:
    """SIGTERM and its like raise SystemExit in the main thread, so that `finally` blocks run.

    Nothing is done in the handler itself: it may interrupt anything. A signal that the program
    handles in its own way, and a call from another thread, are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    replaced = [
        number
        for number in (getattr(signal, name, None) for name in _NAMES)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL
    ]

    def exit_once(number: int, _: FrameType | None) -> NoReturn:
        for each in replaced:
            signal.signal(each, signal.SIG_IGN)  # a second one would cut the release short
        sys.exit(128 + number)

    for number in replaced:
        signal.signal(number, exit_once)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)
