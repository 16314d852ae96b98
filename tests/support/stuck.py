"""A server that is stuck, and how long that may hold anyone up."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A server process that holds its connection and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails where the block takes longer."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds
