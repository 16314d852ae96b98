"""The programs that are measured, each a process of the Lambda's own Python."""

import json
import os
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.deployment import load_event


@dataclass(frozen=True, kw_only=True)
class Program:
    """A module with a `main`, and the folders that it is imported from."""

    python: Path
    module: str
    folders: tuple[Path, ...]

    @property
    def command(self) -> list[str]:
        # By `-c`, so that the module itself comes as bytecode, like what it imports.
        return [str(self.python), "-c", f"import {self.module}; {self.module}.main()"]

    def environ(self, variables: Mapping[str, str], event: object) -> dict[str, str]:
        """`event`: the name of one in events/, or one as it is."""
        chosen = load_event(event) if isinstance(event, str) else event
        return {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "AWS_REGION": "eu-west-1",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "PYTHONPATH": os.pathsep.join(map(str, self.folders)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BENCH_EVENT": json.dumps(chosen),
            **variables,
        }


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A running program that answers commands."""

    process: subprocess.Popen[str]
    log: Path

    def ask(self, *command: object) -> Any:
        self.tell(*command)
        return self.hear()

    def tell(self, *command: object) -> None:
        """Begins a command; `hear` waits for its answer, and other workers can run meanwhile."""
        assert self.process.stdin is not None
        print(json.dumps(command), file=self.process.stdin, flush=True)

    def hear(self) -> Any:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args} has ended:\n{tail(self.log)}")
        return json.loads(answer)


@contextmanager
def working(
    program: Program, variables: Mapping[str, str], event: str, log: Path
) -> Generator[Worker]:
    with (
        log.open("ab") as output,
        subprocess.Popen(
            program.command,
            env=program.environ(variables, event),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        ) as process,
    ):
        yield Worker(process=process, log=log)
        assert process.stdin is not None
        process.stdin.close()


def seconds_to_first_answer(program: Program, variables: Mapping[str, str], log: Path) -> float:
    """From the start of the process to the line that it answers; what it logs comes before."""
    environ = program.environ(variables, "licence_check")
    with log.open("ab") as output:
        started = time.perf_counter()
        with subprocess.Popen(
            program.command, env=environ, stdout=subprocess.PIPE, stderr=output, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if '"proof"' in line:
                    return time.perf_counter() - started
    raise RuntimeError(f"{program.module} answered nothing:\n{tail(log)}")


def tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]
