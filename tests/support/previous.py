"""The release before this one: its tree, from the repository's history, and its functions."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from permit.migrate import LOGIN_ROLES
from tests.support.deployment import PROJECT, Context, Deployment
from tests.support.servers import PASSWORD

# Until there is a tag: the last commit with code that reads a check's answer by position.
BEFORE_THE_FIRST_TAG = "3264bfcd512b200599a9ab761dad6f1731f01454"
_WORKER = Path(__file__).with_name("previous_worker.py")


def find_previous(project: Path = PROJECT) -> str:
    """The newest tag `v*` before this commit, else the commit named above.

    Skips where there is no history to take it from, and says why; fails where it lacks this one.
    """
    if shutil.which("git") is None:
        pytest.skip("the release before this one is taken from git's history, and git is missing")
    inside = _git(project, "rev-parse", "--show-prefix")
    if inside.returncode != 0 or inside.stdout.strip():  # none, or one of something around this
        pytest.skip("this is no git clone, so the release before it cannot be had from its history")
    newest_first = ("--sort=-version:refname", "--merged=HEAD", "--no-contains=HEAD")
    tags = _git(project, "tag", "--list", "v*", *newest_first).stdout.split()
    previous = tags[0] if tags else BEFORE_THE_FIRST_TAG
    if _git(project, "cat-file", "-e", f"{previous}^{{commit}}").returncode != 0:
        if _git(project, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
            pytest.skip(f"this clone is shallow and lacks {previous}: git fetch --unshallow --tags")
        pytest.fail(f"the history of this clone lacks {previous}, the release before this one")
    return previous


def extract(commit: str, folder: Path) -> Path:
    """The commit's tree, in a folder of its own."""
    tree = folder / "previous"
    tree.mkdir()
    archive = folder / "previous.zip"
    made = _git(PROJECT, "archive", f"--output={archive}", commit)
    assert made.returncode == 0, made.stderr
    shutil.unpack_archive(archive, tree)
    return tree


def _git(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Any owner of the clone will do: it is only read, and nothing in it is run.
    command = ["git", "-c", "safe.directory=*", "-C", str(project), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(kw_only=True)
class Worker:
    """A process with that release's own code, which serves any of its functions."""

    process: subprocess.Popen[str]

    def invoke(self, function: str, event: Mapping[str, Any], **asked: object) -> Any:
        answer = self._ask({"function": function, "event": event, **asked})
        assert "failure" not in answer, answer["failure"]
        return answer["answer"]

    def close_connections(self) -> None:
        self._ask({"function": None})

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process of the previous release has ended: its last words are above"
        return json.loads(line)


@contextmanager
def working(tree: Path) -> Iterator[Worker]:
    """Its dependencies are those of this environment; everything of Permit's own is the tree's."""
    environ = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(tree / "shared"),
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_METRICS_NAMESPACE": "Permit",
    }
    # -P: nothing of this tree on the path, not even the worker's own folder.
    process = subprocess.Popen(
        [sys.executable, "-P", str(_WORKER), str(tree)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        cwd=tree,
        text=True,
    )
    with process:
        yield Worker(process=process)
        assert process.stdin is not None
        process.stdin.close()  # it ends with its input


@dataclass(kw_only=True)
class Installed(Deployment):
    """A Deployment with the variables of the functions that a release has."""

    health_url: str = ""

    def environ(self, function: str) -> dict[str, str]:
        own = super().environ(function)
        if function == "migrate":
            credentials = {"username": "test_owner", "password": PASSWORD}
            own["PERMIT_DATABASE_PORT"] = str(self.server.port)
            own["PERMIT_OWNER_CREDENTIALS"] = json.dumps(credentials)
            own["PERMIT_ROLE_PASSWORDS"] = json.dumps(dict.fromkeys(LOGIN_ROLES, PASSWORD))
        return own | {"PERMIT_HEALTH_URL": self.health_url}

    def environment(self, function: str) -> ModuleType:
        if function not in self.environments:
            self.environments[function] = self.start_ready(function)
        return super().environment(function)


@dataclass(kw_only=True)
class PreviouslyInstalled(Installed):
    """The release before this one, served by a process with its own code."""

    worker: Worker

    def invoke(self, function: str, event: Mapping[str, Any], *, milliseconds: int = 10_000) -> Any:
        return self.worker.invoke(
            function,
            event,
            environ=self.environ(function),
            context=asdict(Context()) | {"milliseconds": milliseconds},
        )

    def close(self) -> None:
        self.worker.close_connections()
