"""What the programs run: the built functions, and the comparison, installed and compiled alike."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.programs import Program
from tests.support.artifacts import HOST, Artifacts, build, find_python
from tests.support.sam_template import ROOT

_HERE = Path(__file__).parent


class NotHere(Exception):
    """What the benchmark needs is missing on this machine."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """All of them, built alike: wheels of the same versions, hash-based bytecode."""

    python: Path
    artifacts: Artifacts
    inside: Path
    fastapi: Path

    @classmethod
    def prepare(cls) -> "Programs":
        python = _find_python()
        artifacts = _built()
        return cls(
            python=python,
            artifacts=artifacts,
            inside=_install(python, "inside", _HERE / "inside", requirements=None),
            fastapi=_install(
                python,
                "fastapi",
                _HERE / "fastapi_app",
                requirements=_HERE / "fastapi_app" / "requirements.txt",
            ),
        )

    def permit(self, module: str, function: str) -> Program:
        """Over a built function."""
        folders = (self.artifacts.function(function), *self._layers())
        return Program(python=self.python, module=module, folders=(self.inside, *folders))

    def minimum(self, module: str) -> Program:
        """Over the packages alone."""
        return Program(python=self.python, module=module, folders=(self.inside, self._layers()[0]))

    def of_fastapi(self, module: str) -> Program:
        """Over the FastAPI service, with our package for what is not about the framework."""
        folders = (self.inside, self.fastapi, self._layers()[1])
        return Program(python=self.python, module=module, folders=folders)

    def _layers(self) -> tuple[Path, Path]:
        packages, own = self.artifacts.layers
        return packages / "python", own / "python"


def _find_python() -> Path:
    found = find_python()
    if found is None:
        raise NotHere("CPython 3.13 is not on PATH as python3.13")
    # A version manager's shim would be measured with it.
    code = "import sys; print(sys.executable)"
    return Path(subprocess.check_output([found, "-c", code], text=True).strip())


def _built() -> Artifacts:
    """Built now; or what BENCH_ARTIFACTS names, for a caller that has just built it."""
    folder = os.environ.get("BENCH_ARTIFACTS")
    if folder:
        return Artifacts(folder=Path(folder))
    if HOST == "none":
        raise NotHere("the artifact runs on Linux, on x86_64 and arm64")
    return build(HOST)


def _install(python: Path, name: str, source: Path, requirements: Path | None) -> Path:
    """The folder's modules and packages under .aws-sam, compiled as layers/bytecode.mk does."""
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]
    folder = ROOT / ".aws-sam" / f"bench-{name}-{digest}"
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    if requirements is not None:
        _run(
            *(ROOT / ".venv" / "bin" / "uv", "pip", "install", "--quiet"),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--python", python, "--target", unfinished, "--requirements", requirements),
        )
    for module in source.glob("*.py"):
        shutil.copy(module, unfinished)
    _run(
        *(python, "-m", "compileall", "-q", "-f"),
        *("--invalidation-mode", "unchecked-hash", unfinished),
    )
    return unfinished.rename(folder)


def _run(*command: str | Path) -> None:
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(ran.stdout + ran.stderr)
