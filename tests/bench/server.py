"""The embedded Postgres as it is shipped: durable, and logging no statements."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import Server, embedded


@contextmanager
def durable() -> Generator[tuple[Server, Path]]:
    """The server, and the folder that it lives in until the end."""
    with tempfile.TemporaryDirectory(prefix="permit-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user than root
        with embedded(folder) as server:
            as_shipped(server)
            yield server, folder


def as_shipped(server: Server) -> None:
    """Takes back what was set for speed and for reading statements."""
    with server.connect() as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CHECKPOINT")
    with server.connect() as connection:
        for name, value in {"fsync": "on", "synchronous_commit": "on"}.items():
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row != (value,):
                raise RuntimeError(f"{name} is {row}, and the figures are to be durable")
