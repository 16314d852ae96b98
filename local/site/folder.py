"""The folder .permit: what stays between runs, and the lock of the run that uses it."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from local.functions.variables import Site
from local.postgres.database import Database
from local.processes import PROJECT
from local.refusal import CannotRun
from local.site.secret_files import SecretFiles, write_private


class Folder:
    """Paths in .permit; PERMIT_FOLDER names another."""

    def __init__(self) -> None:
        self.path = Path(os.environ.get("PERMIT_FOLDER") or PROJECT / ".permit").resolve()
        self.secrets = SecretFiles(folder=self.path / "secrets")
        self._running = self.path / "running.json"

    def demo(self, database: Database) -> Path:
        """The file of this database's demo: its password is stored nowhere else."""
        if database.server is not None:
            return self.path / "demo.json"
        name, host = quote(database.name, safe=""), quote(database.host, safe=":")
        return self.path / f"demo-{name}@{host}:{database.port}.json"

    def has_demo(self) -> bool:
        """Whether `make run` has made one, for any database."""
        return any(self.path.glob("demo*.json"))

    @contextmanager
    def lock(self) -> Generator[None]:
        """Lock the folder; the system unlocks it however this process ends."""
        # Postgres's own user must pass through it; everything in it is closed.
        try:
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            file = (self.path / "lock").open("w")
        except OSError as error:
            raise CannotRun(f"{self.path} cannot be used: {error.strerror}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CannotRun(f"{self.path} is in use by another `make run`") from None
            yield

    def note_running(self, site: Site) -> None:
        """Tell `make operator` where the database is, while the lock is held."""
        about = site.database
        facts = {"base_url": site.base_url, "host": about.host, "port": about.port}
        write_private(self._running, json.dumps(facts | {"name": about.name, "owner": about.owner}))

    def running(self) -> Site | None:
        """The service that holds the lock, if any."""
        try:
            with self.lock():
                return None
        except CannotRun:
            facts = json.loads(self._running.read_text(encoding="utf-8"))
        base_url = facts.pop("base_url")
        return Site(base_url=base_url, database=Database(**facts), secrets=self.secrets)
