"""Where the figures come from, and docs/performance.md between its markers."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.rows import HEADINGS, Row, markdown
from tests.bench.sizes import Size, size_table
from tests.support.sam_template import ROOT
from tests.support.servers import Server

DOCUMENT = ROOT / "docs" / "performance.md"
# Where figures begin in DOCUMENT; each ends with _END.
FIGURES = "<!-- figures: written by `make bench` -->"
LARGE = "<!-- figures: written by `make bench-large` -->"
_END = "<!-- end of figures -->"
SIZES = """What each function takes of a whole processor, and what becomes of it at its memory,
by which Lambda divides the processor (1,769 MB are one):"""


def figures(rows: list[Row], sizes: list[Size], *, server: Server, python: Path) -> str:
    budgets = table("make bench", rows, server=server, python=python)
    return "\n".join([budgets, "", SIZES, "", size_table(sizes)])


def table(command: str, rows: list[Row], *, server: Server, python: Path) -> str:
    """The rows, and above them where they come from."""
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": f"`{command}`",
        "processor": f"{os.cpu_count()} × {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": _output(str(python), "-c", "import platform; print(platform.python_version())"),
        "Postgres": _postgres(server),
    }
    lines = [f"- {name}: {fact}" for name, fact in facts.items()]
    return "\n".join([*lines, "", markdown(HEADINGS, (row.cells for row in rows))])


def write(text: str, begin: str) -> None:
    """Replaces what an earlier run wrote after this marker; the prose around it stays."""
    before, found, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    _, end, after = rest.partition(_END)
    if not found or not end:
        raise RuntimeError(f"{DOCUMENT} has lost the markers between which the figures belong")
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _postgres(server: Server) -> str:
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "log_statement")
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)",
            [list(names)],
        ).fetchall()
    settings = dict(rows)
    version = settings.pop("server_version")
    return f"{version}, " + ", ".join(f"{name} {settings[name]}" for name in names[1:])


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    return subprocess.check_output(command, text=True).strip()
