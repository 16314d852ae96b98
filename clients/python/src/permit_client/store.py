"""Where the last verdict is written down: one file for a product, readable by its user alone.

Nothing here raises for a disk: each failure has a name, and the program goes on from memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from permit_client.digests import hmac_sha256, is_hmac_sha256, sha256
from permit_client.strict import Malformed, parse_object

if TYPE_CHECKING:
    from permit_client.interfaces import Change

FORMAT = 1
_LARGEST = 262_144
_LOCK_PATIENCE = 2.0

# What the file of a program can be. All but `ok` count as if there were none.
OK = "ok"
ABSENT = "absent"
DAMAGED = "damaged"
OTHER_DEVICE = "other_device"
NEWER = "newer"
UNREADABLE = "unreadable"


class Kept(NamedTuple):
    """What a store has."""

    status: str
    body: Optional[dict[str, Any]] = None
    written_at: float = 0.0
    """When, by the clock of the file system; seconds since 1970."""


class MemoryStore:
    """Keeps nothing beyond this process: for tests, and for containers without a disk."""

    def __init__(self) -> None:
        self._kept = Kept(ABSENT)

    def load(self) -> Kept:
        return self._kept

    def update(self, change: Change) -> Optional[str]:
        body = change(self._kept)
        if body is not None:
            self._kept = Kept(OK, body)
        return None

    def stamp(self) -> object:
        return None

    def discard(self) -> None:
        self._kept = Kept(ABSENT)


class FileStore:
    """A file in a folder of the user's own, sealed to product and device."""

    def __init__(self, folder: Union[str, os.PathLike[str]], product: str, device: str) -> None:
        self.path = os.path.join(os.fspath(folder), file_name(product))  # noqa: PTH118 (pathlib costs the start 10 ms)
        self._seal = Seal(product, device)

    def load(self) -> Kept:
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123
                data = file.read(_LARGEST + 1)
                written_at = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return Kept(ABSENT)
        except OSError:
            return Kept(UNREADABLE)
        return self._seal.open(data)._replace(written_at=written_at)

    def update(self, change: Change) -> Optional[str]:
        folder = os.path.dirname(self.path)  # noqa: PTH120
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
            with _Locked(f"{self.path}.lock"):
                kept = self.load()
                if kept.status == NEWER:
                    return NEWER  # a later version of the program needs it: leave it alone
                body = change(kept)
                if body is not None:
                    _replace(self.path, self._seal.close(body))
        except OSError as error:
            return _name(error)
        return None

    def stamp(self) -> object:
        try:
            found = os.stat(self.path)  # noqa: PTH116
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    def discard(self) -> None:
        if self.load().status != NEWER:
            _unlink(self.path)


class Seal:
    """Shows damage, and a file that was carried to another machine or product.

    Its key is made from what the machine knows, so it is no secret from the machine's owner: what
    keeps them from making up a licence is the vendor's signature on the proof inside.
    """

    def __init__(self, product: str, device: str) -> None:
        self._product = product
        self._device = device
        self._key = sha256(f"permit-store-{FORMAT}\0{product}\0{device}".encode())

    def close(self, body: dict[str, Any]) -> bytes:
        text = json.dumps(body, separators=(",", ":"), sort_keys=True)
        envelope = {
            "format": FORMAT,
            "device": _shown(self._device),
            "body": text,
            "mac": hmac_sha256(self._key, _bytes(text)).hex(),
        }
        return json.dumps(envelope, separators=(",", ":")).encode("ascii")

    def open(self, data: bytes) -> Kept:
        try:
            if len(data) > _LARGEST:
                raise Malformed("too large")
            envelope = parse_object(data)
            number, body, mac = envelope.get("format"), envelope.get("body"), envelope.get("mac")
            if type(number) is not int:  # True is 1 to Python
                raise Malformed("no version")
            if number > FORMAT:
                return Kept(NEWER)
            if number != FORMAT or not isinstance(body, str) or not isinstance(mac, str):
                raise Malformed("not an envelope")
            if envelope.get("device") != _shown(self._device):
                return Kept(OTHER_DEVICE)
            if not is_hmac_sha256(_read_mac(mac), self._key, _bytes(body)):
                raise Malformed("a wrong seal")
            return Kept(OK, parse_object(_bytes(body)))
        except Malformed:
            return Kept(DAMAGED)


def _read_mac(text: str) -> bytes:
    """Hexadecimal, in lower case."""
    try:
        mac = bytes.fromhex(text)
    except ValueError:
        return b""
    return mac if mac.hex() == text else b""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _shown(device: str) -> str:
    """Tells devices apart, and is not what the server knows them by."""
    return sha256(f"permit-store\0{device}".encode()).hex()[:16]


def file_name(product: str) -> str:
    """Two products never share a file, whatever characters their codes have."""
    readable = "".join(c if c.isascii() and c.isalnum() else "-" for c in product.lower())[:40]
    return f"{readable}-{sha256(product.encode()).hex()[:8]}.json"


def default_folder() -> str:
    """The platform's own place for what a program keeps for its user, and no other machine wants.

    Raises OSError where the user has no home.
    """
    environ = os.environ
    home = os.path.expanduser("~")  # noqa: PTH111
    if sys.platform == "win32":
        base = environ.get("LOCALAPPDATA") or f"{home}\\AppData\\Local"
        parts = [base, "permit"]
    elif sys.platform == "darwin":
        parts = [home, "Library", "Application Support", "permit"]
    else:
        base = environ.get("XDG_STATE_HOME", "")
        parts = [base if base.startswith("/") else f"{home}/.local/state", "permit"]
    if home == "~" or not os.path.isabs(parts[0]):  # noqa: PTH117
        raise FileNotFoundError("this user has no home folder")
    return os.path.join(*parts)  # noqa: PTH118


def _replace(path: str, data: bytes) -> None:
    """Whole or not at all, also when the power goes."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _rename(temporary, path)
    except BaseException:
        _unlink(temporary)
        raise
    _sync_folder(os.path.dirname(path))  # noqa: PTH120


def _rename(temporary: str, path: str, patience: int = 20) -> None:
    """Windows refuses it for as long as another process has the file open."""
    try:
        os.replace(temporary, path)  # noqa: PTH105
    except PermissionError:
        if sys.platform != "win32" or patience == 0:
            raise
        time.sleep(0.02)
        _rename(temporary, path, patience - 1)


def _sync_folder(folder: str) -> None:
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems cannot; the file itself is there
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    try:  # noqa: SIM105 (contextlib costs the start 1 ms)
        os.unlink(path)  # noqa: PTH108
    except OSError:
        pass


class _Locked:
    """One writer at a time. A lock that cannot be had in two seconds is done without.

    Each replacement is whole by itself: without the lock the worst is that a verdict which another
    process has just written down is asked for once more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: Optional[int] = None

    def __enter__(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return
        deadline = time.monotonic() + _LOCK_PATIENCE
        while not _try_lock(self._descriptor) and time.monotonic() < deadline:
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # which unlocks


if sys.platform == "win32":

    def _try_lock(descriptor: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _try_lock(descriptor: int) -> bool:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            import errno

            # A file system without locks: waiting would not help.
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR)
        return True


def _name(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG):
        return "disk_full"
    if error.errno == errno.EROFS:
        return "read_only"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "not_permitted"
    return "unwritable"
