"""Postgres's own TLS, as a direct connection meets it; the embedded Postgres is built without."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from permit.db import Database
from permit.errors import DatabaseUnavailable
from permit.settings import DatabaseSettings
from tests.support.iam_tokens import Identity
from tests.support.servers import (
    SUPERUSER,
    Server,
    behind_pgbouncer,
    is_pgbouncer_installed,
    server_folder,
)
from tests.support.tls import Authority

ROLE = Identity(access_key="ASIA", secret_key="s" * 40, session_token="t", user=SUPERUSER)
Opened = Callable[[Authority], Database]


@pytest.fixture(scope="module")
def debian() -> Iterator[Server]:
    """Lets in anybody over TLS: the proxy's double tests tokens."""
    if not is_pgbouncer_installed():
        pytest.skip("Debian's Postgres 15 is not installed")
    with server_folder() as folder, behind_pgbouncer(folder) as server:
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(f"hostssl all {SUPERUSER} 127.0.0.1/32 trust\n" + rules.read_text())
        yield server


@pytest.fixture
def opened(debian: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    for name, value in ROLE.environ.items():
        monkeypatch.setenv(name, value)
    made: list[Database] = []

    def open_database(trusted: Authority) -> Database:
        settings = {
            "database_host": "localhost",
            "database_port": debian.port,
            "database_name": "postgres",
            "database_user": ROLE.user,
            "database_ca": trusted.bundle,
            "aws_region": "eu-west-1",
        }
        made.append(Database(DatabaseSettings.model_validate(settings)))
        return made[-1]

    yield open_database
    for each in made:
        each.close()


def show(server: Server, authority: Authority, host: str, until: timedelta) -> None:
    """The server has this certificate from now on."""
    data = server.log.parent / "data"
    authority.certify(host, valid_until=until)
    [made] = authority.folder.glob(f"{host}-*.pem")
    pair = data / made.name
    pair.write_bytes(made.read_bytes())
    pair.chmod(0o600)
    shutil.chown(pair, data.owner(), data.group())
    with server.connect() as connection:
        for name, value in {"ssl_cert_file": pair, "ssl_key_file": pair, "ssl": "on"}.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        [(before,)] = connection.execute("SELECT pg_conf_load_time()").fetchall()
        connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 10
    while loaded_at(server) == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def loaded_at(server: Server) -> object:
    """Asked on a new connection, which has what the postmaster has."""
    with server.connect() as connection:
        [(moment,)] = connection.execute("SELECT pg_conf_load_time()").fetchall()
        return moment


def test_proven_server_is_spoken_to_over_tls(
    debian: Server, opened: Opened, tmp_path: Path
) -> None:
    """The name and the authority are right, and the server itself says that TLS is used."""
    authority = Authority.make(tmp_path / "authority")
    show(debian, authority, "localhost", timedelta(days=1))

    is_encrypted = opened(authority).fetch_value(
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", {}
    )

    assert is_encrypted


@pytest.mark.parametrize(
    ("host", "until", "is_trusted", "reason"),
    [
        ("elsewhere.example.com", timedelta(days=1), True, "tls_wrong_name"),
        ("localhost", timedelta(days=1), False, "tls_not_trusted"),
        ("localhost", timedelta(days=-1), True, "tls_not_trusted"),
    ],
    ids=["wrong name", "wrong authority", "expired"],
)
def test_unproven_server_is_refused(
    debian: Server,
    opened: Opened,
    tmp_path: Path,
    host: str,
    until: timedelta,
    is_trusted: bool,
    reason: str,
) -> None:
    """Although the server would let in anybody."""
    authority, another = (Authority.make(tmp_path / name) for name in ("one", "another"))
    show(debian, authority, host, until)

    with pytest.raises(DatabaseUnavailable) as refused:
        opened(authority if is_trusted else another).fetch_value("SELECT 1", {})

    assert reason == refused.value.reason
