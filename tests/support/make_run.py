"""`make run`, up for a test, in a folder and on a port of its own."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
RUN = (sys.executable, "-m", "local", "run")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A `make run` that is up."""

    process: subprocess.Popen[bytes]
    folder: Path
    output: str

    @property
    def facts_file(self) -> Path:
        """Where the welcome says that they are."""
        [name] = re.findall(r"^The facts above, as JSON: +(/.+)$", self.output, re.MULTILINE)
        return Path(name)

    @property
    def facts(self) -> dict[str, str]:
        return json.loads(self.facts_file.read_text())

    def paste(self) -> list[Any]:
        """What the three commands of the welcome answer, pasted into a shell as they stand."""
        commands = re.findall(r"^  (curl .*)$", self.output, re.MULTILINE)
        return [
            json.loads(subprocess.run(["bash", "-c", each], check=True, capture_output=True).stdout)
            for each in commands
        ]

    def everything(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "MAKELEVEL")}
    return inherited | {"PERMIT_FOLDER": str(folder), "PORT": "0"} | variables


@contextmanager
def running(folder: Path, *, start: tuple[str, ...] = RUN, **variables: str) -> Generator[Run]:
    output = folder.with_name(f"{folder.name}.output")
    with output.open("w") as file:
        process = subprocess.Popen(
            start,
            cwd=ROOT,
            env=environment(folder, **variables),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "Ctrl-C stops" in output.read_text() or process.poll() is not None)
        assert process.poll() is None, output.read_text()
        yield Run(process=process, folder=folder, output=output.read_text())
    finally:
        process.terminate()
        process.wait(PATIENCE)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
