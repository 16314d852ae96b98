"""A server for each worker, migrated once, and a database of its own for every test."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from permit.db import Database
from permit.migrate import LOGIN_ROLES, migrate
from permit.settings import DatabaseSettings
from tests.support.deployment import Deployment
from tests.support.pinning import pinning_statements
from tests.support.relay import Relay, relay_to
from tests.support.servers import (
    PASSWORD,
    Server,
    behind_pgbouncer,
    embedded,
    is_pgbouncer_installed,
    server_folder,
)

_numbers = count()
_TEMPLATE = "permit_template"
END_ITS_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
# The database's one clock, moved by tests and by nothing else.
TEST_CLOCK = """
    CREATE TABLE public.test_clock (shift interval NOT NULL);
    INSERT INTO public.test_clock VALUES ('0');
    CREATE OR REPLACE FUNCTION permit.clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE SECURITY DEFINER
    RETURN pg_catalog.clock_timestamp() + (SELECT shift FROM public.test_clock);
    ALTER FUNCTION permit.clock() OWNER TO postgres;
"""


# The longest files begin first: each file runs on one worker.
LONGEST = {"test_fuzz.py": -2, "test_run.py": -1}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.get(item.path.name, 0))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """After its last test, every statement that the tests sent to it is checked."""
    is_pooled = os.environ.get("PERMIT_TEST_DATABASE") == "pgbouncer"
    if is_pooled and not is_pgbouncer_installed():
        pytest.skip("PgBouncer or Postgres 15 is not installed")
    with server_folder() as folder, (behind_pgbouncer if is_pooled else embedded)(folder) as server:
        yield server
        assert [] == pinning_statements(server)


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE test_owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {_TEMPLATE} OWNER test_owner")
    migrate(owner_conninfo(server, _TEMPLATE), role_passwords=dict.fromkeys(LOGIN_ROLES, PASSWORD))
    with server.connect(_TEMPLATE) as connection:
        connection.execute(TEST_CLOCK)
    return _TEMPLATE


@dataclass(frozen=True, kw_only=True)
class Databases:
    """Makes a database for each test, and drops it when the next one is made.

    Its last connections have ended by then; for one that has not, DROP DATABASE waits 100 ms.
    """

    server: Server
    left: list[str] = field(default_factory=list)

    @contextmanager
    def make(self, options: str) -> Generator[str]:
        name = f"test_{next(_numbers)}"
        with self.server.connect() as connection:
            while self.left:
                connection.execute(f"DROP DATABASE {self.left.pop()} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name} {options}")
        yield name
        with self.server.connect() as connection:
            connection.execute(END_ITS_CONNECTIONS, [name])
        self.left.append(name)


@pytest.fixture(scope="session")
def databases(server: Server) -> Databases:
    return Databases(server=server)


@pytest.fixture
def deployment(databases: Databases, template: str, tmp_path: Path) -> Iterator[Deployment]:
    with databases.make(f"TEMPLATE {template}") as name:
        deployment = Deployment(server=databases.server, database=name, folder=tmp_path)
        deployment.write_secrets()
        yield deployment
        deployment.close()


@pytest.fixture
def empty(databases: Databases, template: str) -> Iterator[dict[str, Any]]:
    """Where to connect to a new, untouched database."""
    with databases.make("OWNER test_owner") as name:
        yield owner_conninfo(databases.server, name)


@pytest.fixture
def relay(deployment: Deployment) -> Iterator[Relay]:
    """A network between functions and their database."""
    with relay_to(deployment.server.function_port) as relay:
        yield relay


@pytest.fixture
def opened(deployment: Deployment, relay: Relay) -> Iterator[Callable[..., Database]]:
    """Makes a Database that connects through the relay, as the operator's function does."""
    made: list[Database] = []

    def open_database(port: int | None = None) -> Database:
        environ = deployment.environ("operator")
        environ["PERMIT_DATABASE_PORT"] = str(port or relay.port)
        made.append(Database(DatabaseSettings.from_environment(environ)))
        return made[-1]

    yield open_database
    for each in made:
        each.close()


@pytest.fixture
def database(opened: Callable[..., Database]) -> Database:
    """With an open connection."""
    database = opened()
    database.fetch_value("SELECT 1", {})
    return database


def owner_conninfo(server: Server, database: str) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "user": "test_owner",
        "password": PASSWORD,
        "dbname": database,
    }
