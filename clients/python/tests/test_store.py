"""The store on its bad days: whatever happens to it, nothing crashes, and no door opens."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from permit_client import Licence
from permit_client.store import FileStore, default_folder, file_name
from permit_client.testing import FakePermit

SOURCE = Path(__file__).resolve().parents[1] / "src"


@pytest.fixture
def licences() -> FakePermit:
    return FakePermit()


def told(licence: Licence) -> tuple[str, str]:
    return licence.answer, licence.why


def the_file(folder: Path) -> Path:
    [file] = folder.glob("*.json")
    return file


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_only_its_user_can_read_it(tmp_path: Path, licences: FakePermit) -> None:
    folder = tmp_path / "deep" / "permit"
    licences.permit(store=folder).check(licences.issue())

    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o600 == stat.S_IMODE(the_file(folder).stat().st_mode)
    assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def test_nothing_is_left_beside_it(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    for _ in range(3):
        licences.permit(store=tmp_path).check(key, fresh=True)
    assert [".json", ".lock"] == sorted(each.suffix for each in tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-20]), id="cut off"),
        pytest.param(lambda file: file.write_bytes(b"\0" * 4096), id="zeros"),
        pytest.param(lambda file: file.write_bytes(os.urandom(4096)), id="noise"),
        pytest.param(lambda file: file.write_bytes(b"x" * 10**6), id="a megabyte"),
        pytest.param(lambda file: edit(file, mac="0" * 64), id="a wrong seal"),
        pytest.param(lambda file: edit(file, body="{}"), id="emptied"),
        pytest.param(lambda file: file.unlink(), id="deleted"),
        pytest.param(lambda file: (file.unlink(), file.mkdir()), id="a folder"),
        pytest.param(lambda file: (file.unlink(), file.symlink_to(file)), id="a loop of links"),
    ],
)
def test_a_damaged_one_counts_as_none(tmp_path: Path, licences: FakePermit, damage: Any) -> None:
    """Offline nothing is allowed; online the next verdict makes it good, where the disk lets it."""
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    damage(the_file(tmp_path))

    licences.offline()
    assert ("could_not_check", "nothing_remembered") == told(
        licences.permit(store=tmp_path).state()
    )
    assert ("could_not_check", "offline") == told(licences.permit(store=tmp_path).check(key))
    licences.online()
    assert ("allowed", "verdict") == told(licences.permit(store=tmp_path).check(key))


def test_one_of_another_machine_counts_as_none(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    licences.offline()
    copied = licences.permit(store=tmp_path, fingerprint="another-machine-0001")
    assert ("could_not_check", "offline") == told(copied.check(key))
    assert "other_device" == copied.store_trouble


def test_one_of_another_product_counts_as_none(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    shutil.copy(the_file(tmp_path), tmp_path / file_name("viewer"))
    viewer = licences.permit(store=tmp_path, product="viewer")
    assert ("could_not_check", "nothing_remembered") == told(viewer.state())
    assert "damaged" == viewer.store_trouble


def test_one_of_a_later_version_is_left_alone(tmp_path: Path, licences: FakePermit) -> None:
    """It is needed again when the later version is: this one works from the network."""
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    file = the_file(tmp_path)
    edit(file, format=2)
    before = file.read_bytes()

    permit = licences.permit(store=tmp_path)
    assert ("could_not_check", "nothing_remembered") == told(permit.state())
    assert ("allowed", "verdict") == told(permit.check(key))
    assert "newer" == permit.store_trouble
    licences.revoke(key)
    assert ("refused", "REVOKED") == told(permit.check(key, fresh=True))
    assert before == file.read_bytes()


def test_two_products_never_share_one() -> None:
    names = {file_name(product) for product in ("a/b", "a-b", "a b", "A-B", "a\\b", "..", "é", "")}
    assert 8 == len(names)
    assert all("/" not in name and name.isascii() for name in names)


def test_the_files_time_is_a_floor(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    licences.offline()
    later = licences.clock.wall + 2 * 3600
    os.utime(the_file(tmp_path), (later, later))
    permit = licences.permit(store=tmp_path)
    assert ("could_not_check", "clock_set_back") == told(permit.state())
    licences.online()
    assert ("allowed", "verdict") == told(permit.check(key))
    assert ("allowed", "lease") == told(permit.state())


def test_a_restored_store(tmp_path: Path, licences: FakePermit) -> None:
    """What stays possible offline, until the lease ends; the next fresh verdict ends it at once."""
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    snapshot = the_file(tmp_path).read_bytes()
    licences.revoke(key)
    assert not licences.permit(store=tmp_path).check(key, fresh=True).allowed

    the_file(tmp_path).write_bytes(snapshot)
    licences.offline()
    assert ("allowed", "lease") == told(licences.permit(store=tmp_path).check(key))
    licences.online()
    licences.move_clock(days=5)
    os.utime(the_file(tmp_path), (licences.clock.wall, licences.clock.wall))
    assert ("refused", "REVOKED") == told(licences.permit(store=tmp_path).check(key))


def test_what_another_process_heard_counts(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    first, second = licences.permit(store=tmp_path), licences.permit(store=tmp_path)
    first.check(key)
    assert ("allowed", "lease") == told(second.check(key))
    licences.revoke(key)  # within the same second
    second.check(key, fresh=True)
    licences.offline()
    assert ("refused", "REVOKED") == told(first.check(key))


def test_what_another_process_gave_back_is_given_back(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    first, second = licences.permit(store=tmp_path), licences.permit(store=tmp_path)
    first.check(key)
    second.check(key)
    assert second.release()
    licences.offline()
    assert ("could_not_check", "offline") == told(licences.permit(store=tmp_path).check(key))


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Ten processes write for two seconds: each file that anybody reads is whole."""
    program = textwrap.dedent(
        """
        import sys, time
        from permit_client.store import FileStore
        store = FileStore(sys.argv[1], "editor", "0" * 64)
        until = time.monotonic() + 2
        writes = 0
        while time.monotonic() < until:
            assert store.update(lambda kept: {"n": writes, "pad": "x" * 5000}) is None
            assert store.load().status == "ok", store.load()
            writes += 1
        print(writes)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(10)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [0] * 10 == [process.returncode for process in processes]
    assert all(int(output) > 0 for output in outputs)
    assert [".json", ".lock"] == sorted(each.suffix for each in tmp_path.iterdir())


def test_a_lock_that_is_never_given_back_blocks_nothing(
    tmp_path: Path, licences: FakePermit
) -> None:
    fcntl = pytest.importorskip("fcntl")
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    [lock] = tmp_path.glob("*.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        started = time.monotonic()
        assert ("allowed", "verdict") == told(
            licences.permit(store=tmp_path).check(key, fresh=True)
        )
        assert 1.5 < time.monotonic() - started < 5
    licences.offline()
    assert ("allowed", "lease") == told(licences.permit(store=tmp_path).check(key))


def in_a_process(program: str, *arguments: str) -> str:
    """What it prints, in a process that has a limit or a user of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


FULL = """
    import resource, sys
    from permit_client.testing import FakePermit
    licences = FakePermit()
    key = licences.issue()
    assert licences.permit(store=sys.argv[1]).check(key).allowed
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    permit = licences.permit(store=sys.argv[1])
    if sys.argv[2] == "revoke":
        licences.revoke(key)
    licence = permit.check(key, fresh=True)
    licences.offline()
    print(licence.answer, permit.store_trouble, licences.permit(store=sys.argv[1]).state().answer)
"""


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    assert "allowed disk_full allowed\n" == in_a_process(FULL, str(tmp_path), "keep")
    assert [".json", ".lock"] == sorted(each.suffix for each in tmp_path.iterdir())


def test_a_full_disk_does_not_keep_a_yes_after_a_no(tmp_path: Path) -> None:
    expected = "refused disk_full could_not_check\n"
    assert expected == in_a_process(FULL, str(tmp_path), "revoke")


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
def test_a_file_system_that_is_full(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        (tmp_path / "filler").write_bytes(b"x" * 8192)
        program = """
            import sys
            from permit_client.testing import FakePermit
            licences = FakePermit()
            key = licences.issue()
            with open(sys.argv[1] + "/more", "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            permit = licences.permit(store=sys.argv[1])
            print(permit.check(key).answer, permit.store_trouble)
        """
        assert "allowed disk_full\n" == in_a_process(program, str(tmp_path))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a read-only file system")
def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        licences = FakePermit()
        permit = licences.permit(store=tmp_path)
        assert ("allowed", "verdict") == told(permit.check(licences.issue()))
        assert "read_only" == permit.store_trouble
        assert ("allowed", "lease") == told(permit.state())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_is_a_file(tmp_path: Path, licences: FakePermit) -> None:
    (tmp_path / "permit").write_text("")
    permit = licences.permit(store=tmp_path / "permit")
    assert ("allowed", "verdict") == told(permit.check(licences.issue()))
    assert permit.store_trouble == "unwritable"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"HOME": "/home/zoe", "XDG_STATE_HOME": ""}, "/home/zoe/.local/state/permit"),
        ("linux", {"HOME": "/home/zoe", "XDG_STATE_HOME": "/data"}, "/data/permit"),
        ("linux", {"HOME": "/home/zoe", "XDG_STATE_HOME": "x"}, "/home/zoe/.local/state/permit"),
        ("darwin", {"HOME": "/Users/zoe"}, "/Users/zoe/Library/Application Support/permit"),
    ],
    ids=str,
)
def test_the_platforms_own_place(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert expected == default_folder()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, licences: FakePermit) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    permit = licences.permit(store=None)
    assert "no_home" == permit.store_trouble
    assert permit.check(licences.issue()).allowed


def test_the_lock_file_may_stay(tmp_path: Path) -> None:
    """It holds nothing: a process that died with it has given it back."""
    store = FileStore(tmp_path, "editor", "0" * 64)
    for number in range(2):
        assert store.update(lambda kept, n=number: {"n": n}) is None
    assert {"n": 1} == store.load().body
