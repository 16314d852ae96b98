"""A secret kept in a file that only its owner may read."""

import os
import tempfile
from pathlib import Path


class SecretFile:
    max_age = 60.0

    def __init__(self, path: Path) -> None:
        if not path.is_absolute():
            raise ValueError("file: needs an absolute path")
        self._path = path

    def read(self) -> str:
        value = self._path.read_text("utf-8").rstrip("\r\n")  # editors end a file with one
        if not value:
            raise ValueError("the file is empty")
        return value

    read_uncached = read

    def write(self, value: str) -> None:
        """Replace the file in one step, so that a reader sees the old value or the new one."""
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
        _sync_directory(self._path.parent)


def _sync_directory(path: Path) -> None:
    # Without this a crash may bring the old name back.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
