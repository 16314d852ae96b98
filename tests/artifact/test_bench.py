"""`make bench` runs. Its figures are ignored: a machine that runs tests is not quiet."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.artifacts import Artifacts
from tests.support.sam_template import ROOT
from tests.support.servers import is_pgbouncer_installed

ROWS = (
    "`SELECT 1`, as psycopg sends it",
    "check of a known device, whole",
    "check, beyond its database call",
    "check, its database call, nothing due",
    "check, its database call, `last_seen_at` due",
    "check that rewrites `last_seen_at`",
    "round trips: check of a known device",
    "round trips: check of a device without a seat",
    "round trips: login",
    "login, beyond its Argon2 verify",
    "cold check against the least it can be",
    "cold check against FastAPI + Mangum",
    "warm check against FastAPI + Mangum",
    "resident memory of the check's process",
    "layers, unzipped",
    "check, 10,000 licences",
    "issue one licence",
    "list page 1,000 of 10,000 licences, 1 a page",
    "search by holder, 10,000 licences",
    "`migrate`",
)
# Through a pooler, where there is one.
LOADED = (
    "checks for each processor of the database",
    "check, at 90 % of so many",
    "such checks for each processor of the database",
    "call, at 90 % of so many",
)


def test_quick_run_prints_every_row(python: Path, host_artifacts: Artifacts) -> None:
    """Every row has a figure, and what is kept of earlier runs stays as it is."""
    kept = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    environ = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "BENCH_QUICK": "1",
        "BENCH_ARTIFACTS": str(host_artifacts.folder),
    }

    run = subprocess.run(
        [sys.executable, "-m", "tests.bench"],
        cwd=ROOT,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr
    cells = [line.split("|") for line in run.stdout.splitlines() if line.startswith("| ")]
    figures = {line[1].strip(): line[2].strip() for line in cells}
    assert set(ROWS) <= set(figures)
    assert not is_pgbouncer_installed() or set(LOADED) <= set(figures)
    assert all(figures.values())
    assert kept == (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
