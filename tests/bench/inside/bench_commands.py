"""Commands from the measuring side: a JSON line in, a JSON line out; logs go to standard error."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg

Command = Callable[..., Any]


def serve(commands: Mapping[str, Command]) -> None:
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a function prints is no answer
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(commands[name](*arguments)), file=answers, flush=True)


def connect() -> psycopg.Connection[Any]:
    """A connection like the function's own, for the baseline."""
    return psycopg.connect(
        host=os.environ["PERMIT_DATABASE_HOST"],
        port=os.environ["PERMIT_DATABASE_PORT"],
        dbname=os.environ["PERMIT_DATABASE_NAME"],
        user=os.environ["PERMIT_DATABASE_USER"],
        password=os.environ["PERMIT_DATABASE_PASSWORD"],
        autocommit=True,
        prepare_threshold=None,
    )


def resident_megabytes() -> float:
    [line] = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) * 1024 / 1e6


def modules() -> list[str]:
    """The packages that have been imported."""
    return sorted({name.partition(".")[0] for name in sys.modules})
