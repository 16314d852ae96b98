"""How this machine is named: always alike, for one product, with nothing raw in it."""

from __future__ import annotations

import builtins
import hashlib
import hmac
import io
import os
import re
import socket
import sys
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from permit_client import fingerprint as named


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A Linux machine with these files; no container."""
    files = {"/etc/machine-id": "0123456789abcdef0123456789abcdef\n"}
    real_open, real_exists = builtins.open, os.path.exists

    def fake_open(path: Any, *rest: Any, **more: Any) -> Any:
        if str(path).endswith("machine-id"):
            if path not in files:
                raise FileNotFoundError(path)
            return io.StringIO(files[path])
        return real_open(path, *rest, **more)

    monkeypatch.setattr(builtins, "open", fake_open)
    monkeypatch.setattr(
        os.path,
        "exists",
        lambda path: (
            path in files if "container" in path or "docker" in path else real_exists(path)
        ),
    )
    monkeypatch.setattr(named, "_CONTAINER_FILES", ("/.dockerenv", "/run/.containerenv"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return files


def call_it(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Gives the machine this name."""
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=host), raising=False)


def is_container_seen_by(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    monkeypatch.setattr(named.os.path, "exists", lambda path: path in files)


def test_it_is_the_hmac_of_the_product_under_the_machines_id(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_container_seen_by(monkeypatch, machine)
    id_ = machine["/etc/machine-id"].strip()
    expected = hmac.new(id_.encode(), b"permit:editor", hashlib.sha256).hexdigest()

    assert expected == named.fingerprint("editor")
    assert expected == named.fingerprint("editor")
    assert id_ not in named.fingerprint("editor")


def test_no_two_products_share_one(machine: dict[str, str]) -> None:
    assert named.fingerprint("editor") != named.fingerprint("viewer")


def test_it_is_what_py_machineid_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux its files are read here without it, because its import costs a start 20 ms."""
    machineid = pytest.importorskip("machineid")
    if not named._linux_id():
        pytest.skip("this machine has no id of its own")
    assert machineid.id() == named._linux_id()


def test_the_older_place_comes_first(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_container_seen_by(monkeypatch, machine)
    machine["/var/lib/dbus/machine-id"] = "older"
    assert "older" == named.machine_id()


@pytest.mark.parametrize("sign", ["/.dockerenv", "/run/.containerenv", "KUBERNETES_SERVICE_HOST"])
def test_a_container_is_named_by_its_host_name(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    """An image's own id is the same in all of its containers; a pod's name is not."""
    is_container_seen_by(monkeypatch, machine)
    if sign.startswith("/"):
        machine[sign] = ""
    else:
        monkeypatch.setenv(sign, "10.0.0.1")
    found = set[str]()
    for name in ("editor-0", "editor-1", "editor-0"):
        call_it(monkeypatch, name)
        found.add(named.fingerprint("editor"))
    assert 2 == len(found)


def test_a_platform_without_an_id(machine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its host name is better than nothing, and never a crash."""
    machine.clear()
    is_container_seen_by(monkeypatch, machine)
    monkeypatch.setattr(named, "_platform_id", str)
    call_it(monkeypatch, "box")
    assert "host:box" == named.machine_id()


def test_a_library_that_fails_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    machineid = pytest.importorskip("machineid")

    def fail() -> str:
        raise machineid.MachineIdNotFound("no")

    monkeypatch.setattr(machineid, "id", fail)
    assert "" == named._platform_id()


def test_components_are_hashed_by_product_and_name(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "getnode", lambda: 0x001122334455)
    found = named.components("editor")
    assert {"machine", "host", "network"} == {*found}
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in found.values())
    assert 3 == len({*found.values()})
    assert not {*found.values()} & {*named.components("viewer").values()}


def test_an_address_that_was_made_up_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uuid, "getnode", lambda: 0x011122334455)
    assert "network" not in named.components("editor")
