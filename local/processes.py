"""Child processes that never outlive the process that started them."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local.postgres.account import Account

PROJECT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def dies_with_parent(with_signal: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: on Linux the kernel sends the signal when the starting thread ends."""
    parent = os.getpid()

    def ask_the_kernel() -> None:
        if sys.platform == "linux":
            _LIBC.prctl(_PR_SET_PDEATHSIG, with_signal)
            if os.getppid() != parent:
                os._exit(1)

    return ask_the_kernel


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A command under local/guard.py, which stops it when our end of the pipe is closed."""

    process: subprocess.Popen[bytes]
    lifeline: int

    @classmethod
    def start(cls, command: list[str], account: Account, *, output: int) -> "Guarded":
        """In a session of its own, so that a Ctrl-C reaches only us."""
        guards_end, our_end = os.pipe()
        arguments = [sys.executable, "-m", "local.guard", json.dumps([account, command])]
        process = subprocess.Popen(  # noqa: S603 (our own module)
            arguments,
            cwd=PROJECT,
            stdin=guards_end,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.close(guards_end)
        return cls(process=process, lifeline=our_end)

    def stop(self) -> None:
        """Stop the command in good order, and wait for it."""
        with suppress(OSError):
            os.close(self.lifeline)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
