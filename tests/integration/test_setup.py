"""The set-up of `make`: it heals itself when it is called again, and two at once are one."""

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
# for a Ctrl-C or a second start.
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
echo made >>made
{python} "$@" --without-pip || exit
sleep 0.5
ln -s {pip} .venv/lib/python*/site-packages/
mkdir .venv/lib/python{version}/site-packages/a_package-1.0.dist-info
"""
WAITING = "Another start is installing here; waiting for it ..."


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The set-up alone, for an environment with nothing in it but pip and a package's trace."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "environment.py", tmp_path / "tools")
    (tmp_path / "requirements.txt").touch()
    pip = find_spec("pip")
    assert pip is not None
    assert pip.origin is not None
    python = tmp_path / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python.write_text(
        PYTHON.format(python=sys.executable, pip=Path(pip.origin).parent, version=version)
    )
    python.chmod(0o755)
    return tmp_path


def set_up(project: Path) -> subprocess.Popen[str]:
    """In a process group of its own, to which a terminal's Ctrl-C would go."""
    return subprocess.Popen(
        ["make", f"PYTHON={project / 'python'}", STAMP],
        cwd=project,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def outcome(start: subprocess.Popen[str]) -> tuple[int, str]:
    """Its status, and what it printed."""
    printed, _ = start.communicate(timeout=PATIENCE)
    return start.returncode, printed


def times_made(project: Path) -> int:
    return (project / "made").read_text().count("made")


def has_pip(project: Path) -> bool:
    command = [project / ".venv" / "bin" / "python", "-m", "pip", "--version"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_an_interrupted_set_up_heals_itself(project: Path) -> None:
    """Ctrl-C while the environment is made leaves no pip, and while pip installs half a package."""
    environment, requirements = project / ".venv", project / "requirements.txt"
    interrupted = set_up(project)
    until((environment / "bin" / "python").exists)
    os.killpg(interrupted.pid, signal.SIGINT)
    status, printed = outcome(interrupted)
    assert status != 0
    assert "Traceback" not in printed
    assert not has_pip(project)

    assert outcome(set_up(project))[0] == 0
    assert has_pip(project)

    requirements.write_text("./not-there.whl --hash=sha256:0\n")
    assert outcome(set_up(project))[0] != 0
    half = environment / "half-a-package"  # Which pip might take for a whole one.
    half.touch()
    requirements.write_text("")

    assert outcome(set_up(project))[0] == 0
    assert not half.exists()
    assert (project / STAMP).exists()


@pytest.mark.parametrize("moment", ["made", ".venv", ".venv/bin/python"])
def test_starts_at_once_make_one_environment(project: Path, moment: str) -> None:
    """The others wait, say so, and take what the first has made."""
    first = set_up(project)
    until((project / moment).exists)
    others = [set_up(project), set_up(project)]

    status, printed = outcome(first)
    assert (status, WAITING in printed) == (0, False), printed
    for each in others:
        status, printed = outcome(each)
        assert (status, printed.count(WAITING)) == (0, 1), printed
    assert times_made(project) == 1
    assert has_pip(project)


def test_a_start_whose_make_was_killed_is_waited_for(project: Path) -> None:
    """What it started goes on without it, and then the environment is made anew."""
    killed = set_up(project)
    until((project / ".venv" / "bin" / "python").exists)
    os.killpg(killed.pid, signal.SIGKILL)

    status, printed = outcome(set_up(project))

    assert (status, WAITING in printed) == (0, True), printed
    assert outcome(killed)[0] == -signal.SIGKILL
    assert times_made(project) == 2
    assert has_pip(project)


@pytest.mark.parametrize(
    "lost", ["bin/python", "lib/python*/site-packages/a_package-1.0.dist-info", "lib"]
)
def test_an_environment_that_lost_something_is_made_anew(project: Path, lost: str) -> None:
    """Its marker tells of what is no longer there."""
    assert outcome(set_up(project))[0] == 0
    assert outcome(set_up(project)) == (0, "")
    [place] = (project / ".venv").glob(lost)
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()

    assert outcome(set_up(project))[0] == 0

    assert times_made(project) == 2
    assert place.exists()
    assert has_pip(project)
