"""The version before this one: what a deployment finds running."""

import subprocess
from pathlib import Path

from tests.support.sam_template import ROOT

# Until a release has been tagged.
FIRST = "3264bfc"


def find_previous() -> str | None:
    """The newest release that is not this one; None where the repository does not reach back."""
    tags = _git("tag", "--list", "v*", "--no-contains", "HEAD", "--sort=-version:refname").split()
    commit = tags[0] if tags else FIRST
    command = ["git", "rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}"]
    is_known = subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0
    return commit if is_known else None


def extract(commit: str, folder: Path) -> Path:
    """Its files, in a folder of their own."""
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    _git("archive", f"--output={archive}", commit)
    subprocess.run(["tar", "-x", "-C", folder, "-f", archive], check=True)
    return folder


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
