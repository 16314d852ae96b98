"""Makes an environment of the Makefile whole: one start at a time, and what was broken anew.

    python3 tools/environment.py PYTHON FOLDER MARKER=REQUIREMENTS [MARKER=REQUIREMENTS ...]

Installs the first requirements; those of the further markers are among them. A marker in the folder
tells of which requirements it was written, and which packages there were then: an environment
without a true one was left by an interrupted set-up, or has lost packages since, and is made anew.
Needs nothing but Python's own library.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Silent during the imports, too.

import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

LOCK = Path(".setup.lock")
PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
HASHED = ["--no-deps", "--require-hashes", "-r"]


class Failed(Exception):
    """A command of the set-up has failed, and has said why."""


def main(python: str, name: str, *pairs: str) -> int:
    """Silent where nothing is missing; a Ctrl-C ends it, with whatever it has started."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:  # As nohup wants it.
            signal.signal(each, _interrupt)
    folder = Path(name)
    wanted = {folder / marker: Path(file) for marker, _, file in (p.partition("=") for p in pairs)}
    try:
        if not _is_whole(folder, wanted):
            with _lock() as lock:
                if not _is_whole(folder, wanted):  # The start that we waited for may have made it.
                    _make(shlex.split(python), folder, wanted, lock)
    except KeyboardInterrupt:
        print("Interrupted; the next start installs what is missing.", file=sys.stderr)
        return 130
    except Failed as failure:
        print(f"permit: {failure}", file=sys.stderr)
        return 1
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _lock() -> Generator[int]:
    """The one set-up of this folder; the system unlocks it however its processes end."""
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another start is installing here; waiting for it ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _is_whole(folder: Path, wanted: dict[Path, Path]) -> bool:
    return all(
        _is_true(folder, marker) and _lines(marker)[0] == _digest(requirements)
        for marker, requirements in wanted.items()
    )


def _is_true(folder: Path, marker: Path) -> bool:
    """Whether Python and all packages, in any version, are there that were when it was written."""
    lines = _lines(marker)
    if not lines or not (folder / "bin" / "python").exists():
        return False
    return set(lines[1:]) <= _packages(folder)


def _lines(marker: Path) -> list[str]:
    try:
        return marker.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _digest(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def _packages(folder: Path) -> set[str]:
    found = folder.glob("lib/python*/site-packages/*.dist-info")
    return {each.name.partition("-")[0] for each in found}


def _make(python: list[str], folder: Path, wanted: dict[Path, Path], lock: int) -> None:
    markers = list(folder.glob(".installed*"))
    may_stay = any(_is_true(folder, each) for each in markers)
    # None may tell of an environment that is being changed.
    for each in markers:
        each.unlink()
    if not may_stay:
        if not (find_spec("ensurepip") and find_spec("venv")):
            raise Failed("Python lacks venv: install it (Debian, Ubuntu: apt install python3-venv)")
        _run([*python, "-m", "venv", "--clear", str(folder)], lock)
    requirements = str(next(iter(wanted.values())))
    print(f"Installing {requirements} into {folder} ...", flush=True)
    _run([str(folder / "bin" / "python"), *PIP, *HASHED, requirements], lock)
    for marker, file in wanted.items():
        # A reader sees the whole of it or nothing.
        unfinished = marker.with_suffix(".unfinished")
        unfinished.write_text(
            "\n".join([_digest(file), *sorted(_packages(folder))]), encoding="utf-8"
        )
        unfinished.replace(marker)


def _run(command: list[str], lock: int) -> None:
    """In a session of its own, so that a Ctrl-C reaches only us; it keeps the lock if we die."""
    process = subprocess.Popen(  # noqa: S603 (the Makefile's own)
        command, stdin=subprocess.DEVNULL, pass_fds=[lock], start_new_session=True
    )
    try:
        status = process.wait()
    except KeyboardInterrupt:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if status:
        raise Failed(f"{shlex.join(command[:4])} ... has failed: {status}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
