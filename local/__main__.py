"""`python -m local run`: one of this folder's commands, which a Ctrl-C ends without a traceback."""

import signal
import sys
from importlib import import_module

from local.refusal import exit_status


def main() -> int:
    # The imports take half a second.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = import_module(f"local.{sys.argv[1]}").main
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return exit_status(command)


if __name__ == "__main__":
    sys.exit(main())
