"""How long a call takes, and how much of that is spent in one function below it."""

import time
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """Seconds spent in what it wraps, since it was last read."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._seconds += time.perf_counter() - started

        return timed

    def read(self) -> float:
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def timed(function: Callable[[], Any]) -> float:
    """The seconds that one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
