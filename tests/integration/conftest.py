"""A server a session, a migrated template once, and a database of its own for every test."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from permit.db import Database
from permit.migrate import LOGIN_ROLES, migrate
from permit.settings import DatabaseSettings
from tests.support.deployment import Deployment
from tests.support.relay import Relay, relay_to
from tests.support.servers import (
    PASSWORD,
    Server,
    behind_pgbouncer,
    embedded,
    is_pgbouncer_installed,
)

_numbers = count()
_TEMPLATE = "permit_template"
# The database's one clock, moved by tests and by nothing else.
TEST_CLOCK = """
    CREATE TABLE public.test_clock (shift interval NOT NULL);
    INSERT INTO public.test_clock VALUES ('0');
    CREATE OR REPLACE FUNCTION permit.clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE SECURITY DEFINER
    RETURN pg_catalog.clock_timestamp() + (SELECT shift FROM public.test_clock);
    ALTER FUNCTION permit.clock() OWNER TO postgres;
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """test_statements.py judges what all the others have sent, so it comes after them."""
    items.sort(key=lambda item: item.path.name == "test_statements.py")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with _server_folder() as folder:
        if os.environ.get("PERMIT_TEST_DATABASE") == "pgbouncer":
            if not is_pgbouncer_installed():
                pytest.skip("PgBouncer or Postgres 15 is not installed")
            with behind_pgbouncer(folder) as server:
                yield server
        else:
            with embedded(folder) as server:
                yield server


@contextmanager
def _server_folder() -> Iterator[Path]:
    """Not below pytest's own: that is closed to other users by each pytest that starts."""
    with TemporaryDirectory(prefix="permit-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user than root
        yield folder


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE test_owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {_TEMPLATE} OWNER test_owner")
    migrate(owner_conninfo(server, _TEMPLATE), role_passwords=dict.fromkeys(LOGIN_ROLES, PASSWORD))
    with server.connect(_TEMPLATE) as connection:
        connection.execute(TEST_CLOCK)
    return _TEMPLATE


@pytest.fixture
def deployment(server: Server, template: str, tmp_path: Path) -> Iterator[Deployment]:
    name = f"test_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    deployment = Deployment(server=server, database=name, folder=tmp_path)
    deployment.write_secrets()
    yield deployment
    deployment.close()
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty(server: Server, template: str) -> Iterator[dict[str, Any]]:
    """Where to connect to a database of one's own that nothing was done to."""
    name = f"empty_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER test_owner")
    yield owner_conninfo(server, name)
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
