"""What functions print, on this terminal."""

from collections import deque
from collections.abc import Callable

# When a function without a route fails, so many of its lines are shown.
LINES_KEPT = 20


def printer(name: str) -> Callable[[str], None]:
    """Passes a function's lines on as they come, with its name in front."""

    def print_line(line: str) -> None:
        print(f"[{name}] {line}", flush=True)

    return print_line


class QuietOutput:
    """Keeps a function's lines until there is a reason to show them."""

    def __init__(self, name: str) -> None:
        self._print = printer(name)
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)

    def keep(self, line: str) -> None:
        self._lines.append(line)

    def show(self) -> None:
        for line in self._lines:
            self._print(line)
        self._lines.clear()
