"""The two databases that tests run on: the embedded Postgres, and Postgres 15 behind PgBouncer.

PgBouncer in transaction mode is the nearest thing to RDS Proxy that runs anywhere: a client's
statements reach whichever server connection is free, so state kept in a session shows at once.
"""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from local.postgres.account import account_for
from local.postgres.embedded import running_postgres
from local.processes import Guarded
from permit.migrate import LOGIN_ROLES

SUPERUSER = "postgres"
PASSWORD = "tests-only"
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
# Every statement with its user and database; a test reads them (test_statements.py).
SETTINGS = {
    "log_statement": "all",
    "log_line_prefix": "%m [%p] user=%u,db=%d ",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
}
# Where there is a file system in memory: in it, a database is made in a twentieth of the time.
MEMORY = Path("/dev/shm")  # noqa: S108 (names in it are made by tempfile)
ROOM = 2 * 1024**3
_ENTRY = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ \S+ \[\d+\] user=(?P<user>\S*),db=(?P<database>\S*) "
    r"LOG:  (?:statement|execute [^:]+): (?P<text>.*)$"
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    user: str
    database: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where Postgres listens, and where the functions connect."""

    port: int
    function_port: int
    log: Path

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """As superuser, straight to Postgres."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def logged(self) -> int:
        """How much is in the log now: where `statements` may begin."""
        return self.log.stat().st_size

    def statements(self, since: int = 0) -> Iterator[Statement]:
        """What clients have sent until now, as the server saw it."""
        entry: re.Match[str] | None = None
        lines: list[str] = []
        with self.log.open(errors="replace") as log:
            log.seek(since)
            for line in log:
                if line.startswith("\t"):  # the statement goes on
                    lines.append(line)
                    continue
                if entry is not None:
                    yield _statement(entry, lines)
                entry, lines = _ENTRY.match(line), []
        if entry is not None:
            yield _statement(entry, lines)


def _statement(entry: re.Match[str], lines: list[str]) -> Statement:
    text = "\n".join([entry["text"], *lines])
    return Statement(user=entry["user"], database=entry["database"], text=text)


@contextmanager
def server_folder() -> Iterator[Path]:
    """For the data and the log of one server.

    Not below pytest's own folder: that is closed to other users by each pytest that starts.
    """
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    place = MEMORY if has_room else None
    with TemporaryDirectory(prefix="permit-tests-", dir=place) as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user than root
        yield folder


@contextmanager
def embedded(folder: Path) -> Generator[Server]:
    log = folder / "postgres.log"
    with running_postgres(folder / "data", log, PASSWORD) as postgres:
        server = Server(port=postgres.port, function_port=postgres.port, log=log)
        # Thousands of connections are made: a password's proof need not be slow (Postgres 16).
        _configure(server, {**SETTINGS, "scram_iterations": "1"})
        yield server


def is_pgbouncer_installed() -> bool:
    return POSTGRES_15.is_dir() and shutil.which("pgbouncer") is not None


@contextmanager
def behind_pgbouncer(folder: Path) -> Generator[Server]:
    account = account_for([POSTGRES_15])
    data, log, port, bouncer_port = folder / "data", folder / "postgres.log", *_free_ports(2)
    data.mkdir(mode=0o700)
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    account.own(folder, data, password_file)
    initdb = [
        *(str(POSTGRES_15 / "initdb"), f"--pgdata={data}", f"--username={SUPERUSER}"),
        *(f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
    ]
    _run_to_end(Guarded.start(initdb, account, output=subprocess.PIPE))
    postgres = [
        *(str(POSTGRES_15 / "postgres"), "-D", str(data), f"--port={port}"),
        *("--listen_addresses=127.0.0.1", "--unix_socket_directories=", "--max_connections=300"),
    ]
    bouncer = ["pgbouncer", str(_bouncer_settings(folder, port, bouncer_port))]
    account.own(*folder.glob("pgbouncer*"))
    server = Server(port=port, function_port=bouncer_port, log=log)
    with (
        log.open("ab") as output,
        _running(Guarded.start(postgres, account, output=output.fileno())),
        (folder / "bouncer.out").open("ab") as bouncer_output,
    ):
        _await_port(port)
        _configure(server, SETTINGS)
        with _running(Guarded.start(bouncer, account, output=bouncer_output.fileno())):
            _await_port(bouncer_port)
            yield server


def _bouncer_settings(folder: Path, port: int, bouncer_port: int) -> Path:
    users = folder / "pgbouncer-users.txt"
    users.write_text("".join(f'"{role}" "{PASSWORD}"\n' for role in LOGIN_ROLES))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"""
        [databases]
        * = host=127.0.0.1 port={port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {bouncer_port}
        unix_socket_dir =
        auth_type = scram-sha-256
        auth_file = {users}
        pool_mode = transaction
        default_pool_size = 8
        max_client_conn = 400
        server_reset_query =
        server_idle_timeout = 5
        """.replace("\n        ", "\n")
    )
    return settings


def _configure(server: Server, settings: Mapping[str, str]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = server.connect()
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with connection:
        for name, value in settings.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def _running(guarded: Guarded) -> Generator[None]:
    try:
        yield
    finally:
        guarded.stop()


def _run_to_end(guarded: Guarded) -> None:
    output, _ = guarded.process.communicate()
    guarded.stop()
    if guarded.process.returncode != 0:
        raise RuntimeError(output.decode(errors="replace"))


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
