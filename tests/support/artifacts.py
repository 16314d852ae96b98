"""What `sam build` makes, for an architecture; and AWS's runtime client, to run it with."""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.template.intrinsics import parse
from tests.support.sam_template import ROOT

HOST = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "none")
ARCHITECTURES = ("arm64", "x86_64")
# The packages that a Lambda runtime brings along, at the versions of requirements.txt.
RUNTIME_PACKAGES = {
    *("awslambdaric", "simplejson", "snapshot-restore-py"),
    *("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
}

_QUIETLY: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """The build directory of one architecture."""

    folder: Path

    @property
    def layers(self) -> tuple[Path, Path]:
        """What Lambda unpacks into /opt, in the order of the template."""
        return self.folder / "DependenciesLayer", self.folder / "PermitLayer"

    def function(self, logical_id: str) -> Path:
        """What Lambda unpacks into /var/task."""
        return self.folder / logical_id

    def bytecode(self) -> dict[Path, str]:
        """Every compiled module, by the hash of what is in it."""
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*.pyc")
        }


def find_python() -> Path | None:
    """The Lambda's CPython by its name; a version manager's shim counts only if it works."""
    found = shutil.which("python3.13")
    if found is None:
        return None
    run = subprocess.run([found, "-c", ""], check=False, **_QUIETLY)
    return Path(found) if run.returncode == 0 else None


@cache
def build(architecture: str, source: Path = ROOT) -> Artifacts:
    """A build directory of its own, so that `make build` keeps what it made.

    Built once a session of pytest, by whichever of its workers asks first.
    """
    folder = source / ".aws-sam" / f"artifact-{architecture}"
    session = folder.with_suffix(".session")
    this_session = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name("artifact.lock").open("w") as lock:  # SAM builds one at a time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not session.exists() or session.read_text(encoding="utf-8") != this_session:
            _build(architecture, source, folder)
            session.write_text(this_session, encoding="utf-8")
    return Artifacts(folder=folder)


def _build(architecture: str, source: Path, folder: Path) -> None:
    template = source / ".template.json"
    written_out = parse((source / "template.yaml").read_text(encoding="utf-8"))
    template.write_text(json.dumps(written_out, indent=1), encoding="utf-8")
    command = [
        *(ROOT / ".venv-sam" / "bin" / "sam", "build", "--build-dir", folder),
        *("--template-file", template),
        *("--parameter-overrides", f"Architecture={architecture}"),
    ]
    run = subprocess.run(command, cwd=source, env=_build_environment(), check=False, **_QUIETLY)
    assert run.returncode == 0, run.stdout


def install_runtime(python: Path) -> Path:
    """A folder with only the runtime's packages: what a layer lacks must be missing here too."""
    pinned = re.split(r"\n(?=[a-z])", (ROOT / "requirements.txt").read_text(encoding="utf-8"))
    wanted = "\n".join(pin for pin in pinned if pin.partition("==")[0] in RUNTIME_PACKAGES)
    folder = ROOT / ".aws-sam" / f"runtime-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    requirements = unfinished / "requirements.txt"
    requirements.write_text(wanted, encoding="utf-8")
    command = [
        *(ROOT / ".venv" / "bin" / "uv", "pip", "install", "--no-deps", "--require-hashes"),
        *("--python", python, "--target", unfinished, "--requirements", requirements),
    ]
    run = subprocess.run(command, check=False, **_QUIETLY)
    assert run.returncode == 0, run.stdout
    return unfinished.rename(folder)


def _build_environment() -> dict[str, str]:
    tools = ROOT / ".venv" / "bin"
    return {
        # Nothing of the make that runs the tests may reach the make that builds a layer.
        **{name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        "AWS_DEFAULT_REGION": "eu-west-1",
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
    }
