"""The one exception that the local commands turn into one line and exit status 1."""

import sys
from collections.abc import Callable


class CannotRun(Exception):
    """Something outside the code prevents it; the message is a sentence for people."""


def exit_status(command: Callable[[], int]) -> int:
    """Run a command; a refusal is printed as one line instead of a traceback."""
    try:
        return command()
    except CannotRun as refusal:
        print(f"permit: {' '.join(str(refusal).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
