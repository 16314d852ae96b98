"""A secret kept in a file that only its owner may read."""

import fcntl
import os
import tempfile
from pathlib import Path


class ChangedMeanwhile(OSError):
    """Somebody else changed the secret after it was read for a change."""

    def __init__(self) -> None:
        super().__init__("it was changed by another at the same time")


class SecretFile:
    max_age = 60.0

    def __init__(self, path: Path) -> None:
        if not path.is_absolute():
            raise ValueError("file: needs an absolute path")
        self._path = path
        self._changed_from: str | None = None

    def read(self) -> str:
        value = self._path.read_text("utf-8").rstrip("\r\n")  # editors end a file with a newline
        if not value:
            raise ValueError("the file is empty")
        return value

    def read_uncached(self) -> str:
        self._changed_from = self.read()
        return self._changed_from

    def write(self, value: str) -> None:
        """Replaces what was read for the change. Raises ChangedMeanwhile if somebody else has."""
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self._changed_from is not None and self.read() != self._changed_from:
                raise ChangedMeanwhile
            self._replace(value)
            os.fsync(descriptor)  # without this a crash may bring the old file back
        finally:
            os.close(descriptor)

    def _replace(self, value: str) -> None:
        """In one step, so that a reader sees the old value or the new one."""
        # mkstemp makes the file with mode 0600.
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        successor = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            successor.replace(self._path)
        except BaseException:
            successor.unlink()
            raise
        self._changed_from = None
