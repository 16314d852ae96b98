"""Names this machine for one product: nothing raw leaves it, no two products share a name."""

from __future__ import annotations

import os
import sys

from permit_client.digests import hmac_sha256

_LINUX_FILES = ("/var/lib/dbus/machine-id", "/etc/machine-id")
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
_LOCALLY_ADMINISTERED_OR_GROUP = 0x03_00_00_00_00_00


def fingerprint(product: str) -> str:
    """64 hexadecimal digits: HMAC-SHA256 of the product under the machine's id."""
    return _named(machine_id(), f"permit:{product}")


def components(product: str) -> dict[str, str]:
    """Parts by which a policy with `matching` knows the machine again after one has changed."""
    found = {"machine": machine_id(), "host": _host_name(), "network": _network_address()}
    return {
        name: _named(value, f"permit:{product}:{name}") for name, value in found.items() if value
    }


def machine_id() -> str:
    """What the platform calls this installation; never sent, never stored."""
    if is_container():
        # The host's id is not there, and an image's own id is the same in all of its containers.
        return f"container:{_host_name()}:{_linux_id()}"
    return _linux_id() or _platform_id() or f"host:{_host_name()}"


def is_container() -> bool:
    """Docker, Podman or Kubernetes."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(map(os.path.exists, _CONTAINER_FILES))


def _linux_id() -> str:
    """What py-machineid reads first, without the 20 ms that its import takes."""
    if not sys.platform.startswith("linux"):
        return ""
    for path in _LINUX_FILES:
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 (pathlib costs the start 10 ms)
                found = file.read(256).strip()
        except (OSError, ValueError):
            continue
        if found:
            return found
    return ""


def _platform_id() -> str:
    from importlib import import_module

    try:
        # It runs the platform's own tools, and raises whatever goes wrong with them.
        found: object = import_module("machineid").id()
    except Exception:  # noqa: BLE001
        return ""
    return found if isinstance(found, str) else ""


def _host_name() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename  # as socket.gethostname has it, whose import takes 3 ms
    import socket

    return socket.gethostname()


def _network_address() -> str:
    """The burnt-in address of an adapter; nothing where Python would make one up."""
    import uuid

    number = uuid.getnode()
    return "" if number & _LOCALLY_ADMINISTERED_OR_GROUP else f"{number:012x}"


def _named(secret: str, what: str) -> str:
    return hmac_sha256(secret.encode("utf-8", "replace"), what.encode()).hex()
