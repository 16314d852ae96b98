"""The database of this machine: DATABASE_URL's, or an embedded one with an owner as RDS has."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from local.postgres.embedded import Postgres, running_postgres
from local.refusal import CannotRun
from local.site.secret_files import SecretFiles

NAME = "permit"
OLDEST_VERSION = 15
RIGHTS = """
    SELECT rolsuper OR rolcreaterole                                   AS may_create_roles,
           has_database_privilege(current_database(), 'CREATE')        AS may_create_schemas
      FROM pg_roles
     WHERE rolname = current_user
"""


@dataclass(frozen=True, kw_only=True)
class Database:
    """Its address for the functions, and the owner's credentials in RDS's format."""

    host: str
    port: int
    name: str
    owner: str
    server: Postgres | None = None


@contextmanager
def embedded_database(folder: Path, secrets: SecretFiles) -> Generator[Database]:
    """Run Postgres on .permit/postgres, with the database and its owner."""
    password = secrets.read("superuser-password")
    with running_postgres(folder / "postgres", folder / "postgres.log", password) as server:
        owner = secrets.read("owner.json")
        _make_owner_and_database(server, json.loads(owner))
        yield Database(host="127.0.0.1", port=server.port, name=NAME, owner=owner, server=server)


def given_database(url: str) -> Database:
    """The database of DATABASE_URL, after a check that migrations can work in it."""
    with connect_given(url) as connection:
        about = connection.info
        if about.server_version < OLDEST_VERSION * 10_000:
            version = about.server_version // 10_000
            raise CannotRun(f"DATABASE_URL: Postgres {version} is older than {OLDEST_VERSION}")
        may_create_roles, may_create_schemas = connection.execute(RIGHTS).fetchone() or (None, None)
        if not may_create_roles:
            raise CannotRun(f"DATABASE_URL: role {about.user} needs CREATEROLE")
        if not may_create_schemas:
            raise CannotRun(f"DATABASE_URL: role {about.user} may not create in {about.dbname}")
        owner = json.dumps({"username": about.user, "password": about.password})
        return Database(host=about.host, port=about.port, name=about.dbname, owner=owner)


def connect_given(url: str) -> psycopg.Connection:
    """A connection to DATABASE_URL; the refusal never shows its password."""
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.ProgrammingError:
        raise CannotRun("DATABASE_URL is not like postgresql://user:password@host/name") from None
    except psycopg.OperationalError as error:
        raise CannotRun(f"DATABASE_URL: {error}") from None


def _make_owner_and_database(server: Postgres, owner: dict[str, str]) -> None:
    name = sql.Identifier(owner["username"])
    with server.connect() as connection:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [owner["username"]])
        if not found.fetchone():
            # Only what RDS's master user may do, too.
            attributes = sql.SQL("LOGIN NOSUPERUSER CREATEROLE CREATEDB")
            connection.execute(sql.SQL("CREATE ROLE {} {}").format(name, attributes))
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(owner["password"]))
        )
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
        if not found.fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(NAME), name)
            )
