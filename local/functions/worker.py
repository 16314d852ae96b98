"""The process of an execution environment: AWS's own runtime client with a function's code."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import psutil

from local.processes import dies_with_parent
from local.template.template import Function

# AWS builds its client's native half for Linux only; elsewhere ours takes its place.
PORTABLE_CLIENT = Path(__file__).parent / "portable"

Print = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A running process; what it prints is passed on line by line."""

    process: Process
    print_line: Print

    @classmethod
    async def start(
        cls, function: Function, variables: Mapping[str, str], print_line: Print
    ) -> "Worker":
        """In a session of its own, so that a Ctrl-C reaches only us."""
        path = variables["PYTHONPATH"]
        if find_spec("runtime_client") is None:
            path = f"{PORTABLE_CLIENT}{os.pathsep}{path}"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "awslambdaric", function.handler),
            cwd=function.folder,
            env={**variables, "PYTHONPATH": path},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
        return cls(process=process, print_line=print_line)

    def is_running(self) -> bool:
        """Whether its main thread runs: after a kill, the thread that asks for work may run on."""
        try:
            return psutil.Process(self.process.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        output = asyncio.create_task(self._pass_output_on())
        status = await self.process.wait()
        # Children of the process may keep its output open: do not wait for them.
        await asyncio.wait({output}, timeout=0.2)
        output.cancel()
        return status

    def kill(self) -> None:
        """Kill the process and all that it started, as Lambda does."""
        with suppress(ProcessLookupError, PermissionError):  # It has ended already.
            os.killpg(self.process.pid, signal.SIGKILL)

    async def _pass_output_on(self) -> None:
        output = cast(asyncio.StreamReader, self.process.stdout)
        rest = b""
        while chunk := await output.read(65_536):
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in filter(None, lines):
                self.print_line(line.decode(errors="replace"))
        if rest:
            self.print_line(rest.decode(errors="replace"))
