"""Which release is the one before this, and what is said where that cannot be known."""

import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from tests.support import previous
from tests.support.previous import BEFORE_THE_FIRST_TAG, find_previous

_numbers = count()
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")


def git(folder: Path, *arguments: str) -> str:
    person = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *person, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, *tags: str) -> str:
    # One of its own: equal commits of one second are one.
    git(folder, "commit", "--allow-empty", "--message", f"Change {next(_numbers)}")
    for tag in tags:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def test_it_is_the_newest_tag_before_this_commit(clone: Path) -> None:
    """By number, not by letter; and not the tag of this commit, nor one of another branch."""
    commit(clone, "v0.9.0", "unrelated")
    commit(clone, "v0.10.0")
    git(clone, "switch", "--quiet", "--create", "other")
    commit(clone, "v9.0.0")
    git(clone, "switch", "--quiet", "-")

    commit(clone)
    after = find_previous(clone)
    commit(clone, "v0.11.0")
    tagged = find_previous(clone)

    assert ("v0.10.0", "v0.10.0") == (after, tagged)


def test_without_a_tag_it_is_the_commit_that_is_named(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the first release is tagged."""
    first = commit(clone)
    monkeypatch.setattr(previous, "BEFORE_THE_FIRST_TAG", first)
    commit(clone, "not-a-version")

    assert first == find_previous(clone)


def test_without_a_history_it_is_skipped(clone: Path, tmp_path: Path) -> None:
    """As from a tarball, wherever it was unpacked; the reason is told."""
    commit(clone, "v1.0.0")
    (clone / "unpacked").mkdir()

    for folder in (tmp_path, clone / "unpacked"):
        with pytest.raises(pytest.skip.Exception, match="no git clone"):
            find_previous(folder)


def test_a_shallow_clone_is_skipped(clone: Path, tmp_path: Path) -> None:
    """With what to do about it."""
    commit(clone)
    commit(clone)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{clone}", str(shallow))

    with pytest.raises(pytest.skip.Exception, match=r"shallow.*git fetch --unshallow"):
        find_previous(shallow)


def test_a_whole_history_without_it_fails(clone: Path) -> None:
    """A rewritten history is no reason to skip."""
    commit(clone)

    with pytest.raises(pytest.fail.Exception, match=BEFORE_THE_FIRST_TAG):
        find_previous(clone)
