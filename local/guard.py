"""Runs a command for as long as the other end of our standard input is open.

Postgres cannot know that `make run` was killed. This process does: its input ends, and it stops
Postgres in good order. If it is killed itself, the kernel stops Postgres (on Linux).
"""

import json
import os
import signal
import subprocess
import sys
import threading

from local.postgres.account import Account
from local.processes import dies_with_parent

FAST_SHUTDOWN, IMMEDIATE_SHUTDOWN = signal.SIGINT, signal.SIGQUIT
SHUTDOWN_SECONDS = 10


def main(account: Account, command: list[str]) -> int:
    """Run the command as the account; returns its exit status."""
    ask_the_kernel = dies_with_parent(FAST_SHUTDOWN)

    def prepare() -> None:
        account.assume()
        ask_the_kernel()  # Last: a change of user cancels it.

    child = subprocess.Popen(  # noqa: S603 (from our parent)
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=prepare,  # noqa: PLW1509 (there is no other thread yet)
    )
    threading.Thread(target=_stop_at_end_of_input, args=(child,), daemon=True).start()
    return child.wait()


def _stop_at_end_of_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    child.send_signal(FAST_SHUTDOWN)
    try:
        child.wait(SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        child.send_signal(IMMEDIATE_SHUTDOWN)


if __name__ == "__main__":
    account_fields, command_words = json.loads(sys.argv[1])
    sys.exit(main(Account(*account_fields), command_words))
