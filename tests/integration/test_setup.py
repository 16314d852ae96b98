"""The set-up of `make`: interrupted at any moment, it heals itself when it is called again."""

import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.make_run import PATIENCE, ROOT, until

STAMP = ".venv/.installed-run"
# A Python that links pip into its environments, in a tenth of the time; before that, there is time
# for a Ctrl-C.
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
{python} "$@" --without-pip || exit
sleep 0.5
ln -s {pip} .venv/lib/python*/site-packages/
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The Makefile alone, for an environment with nothing in it but pip."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    pip = find_spec("pip")
    assert pip is not None
    assert pip.origin is not None
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable, pip=Path(pip.origin).parent))
    python.chmod(0o755)
    return tmp_path


def set_up(project: Path) -> subprocess.Popen[bytes]:
    """In a process group of its own, to which a terminal's Ctrl-C would go."""
    return subprocess.Popen(
        ["make", f"PYTHON={project / 'python'}", STAMP],
        cwd=project,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def has_pip(project: Path) -> bool:
    command = [project / ".venv" / "bin" / "python", "-m", "pip", "--version"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_an_interrupted_set_up_heals_itself(project: Path) -> None:
    """Ctrl-C while the environment is made leaves no pip, and while pip installs half a package."""
    environment, requirements = project / ".venv", project / "requirements.txt"
    interrupted = set_up(project)
    until((environment / "bin" / "python").exists)
    os.killpg(interrupted.pid, signal.SIGINT)
    assert interrupted.wait(PATIENCE) != 0
    assert not has_pip(project)

    assert set_up(project).wait(PATIENCE) == 0
    assert has_pip(project)

    requirements.write_text("./not-there.whl --hash=sha256:0\n")
    os.utime(requirements, (2**32, 2**32))  # Newer than any stamp.
    assert set_up(project).wait(PATIENCE) != 0
    half = environment / "half-a-package"  # Which pip might take for a whole one.
    half.touch()
    requirements.write_text("")

    assert set_up(project).wait(PATIENCE) == 0
    assert not half.exists()
    assert (project / STAMP).exists()
