"""The secrets of .permit/secrets: made at the first run, in the same formats as on AWS."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOGIN_ROLES = (
    "permit_check",
    "permit_login",
    "permit_public",
    "permit_vendor",
    "permit_operator",
    "permit_sweep",
)
EMBEDDED_OWNER = "permit_master"


@dataclass(frozen=True, kw_only=True)
class SecretFiles:
    """The folder with one file for each secret, closed to everybody else."""

    folder: Path

    def make_missing(self) -> None:
        """Make the missing ones; the others stay as they are."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, make in _FIRST_VALUES.items():
            if not (self.folder / name).exists():
                write_private(self.folder / name, make())

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def read_json(self, name: str) -> dict[str, Any]:
        return json.loads(self.read(name))

    def source(self, name: str) -> str:
        """The file as a function's environment names it."""
        return f"file:{self.folder / name}"


def write_private(path: Path, text: str) -> None:
    """Write a whole file or none, for its owner alone."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _key() -> str:
    return secrets.token_hex(32)


def _passwords() -> str:
    return json.dumps({role: secrets.token_urlsafe(24) for role in LOGIN_ROLES})


def _owner() -> str:
    return json.dumps({"username": EMBEDDED_OWNER, "password": secrets.token_urlsafe(24)})


_FIRST_VALUES: Mapping[str, Callable[[], str]] = {
    "master-keys.json": lambda: json.dumps({"current": "1", "1": _key()}),
    "token-keys.json": lambda: json.dumps({"keys": []}),
    "token-jwks.json": lambda: json.dumps({"keys": []}),
    "throttle-key": _key,
    "answer-keys": _key,
    "role-passwords.json": _passwords,
    "owner.json": _owner,
    "superuser-password": lambda: secrets.token_urlsafe(24),
}
