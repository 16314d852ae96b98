"""Brings a database to the schema this code needs: roles, numbered migrations, doors.

Runs on a direct connection (DDL would pin a session of RDS Proxy) of a role that may create roles,
and does its work as permit_owner, which is no superuser, neither here nor on AWS.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from permit.db import BoundedConnection

_HERE = Path(__file__).parent
_MIGRATIONS = _HERE / "migrations"
_DOORS = _HERE / "doors"
_NO_TRANSACTION = "-- no transaction"
_RUN_LOCK = 0x5045524D4954  # "PERMIT": one run at a time
_LOCK_PAUSE = 0.25
_LOCK_ATTEMPTS = 20

LOGIN_ROLES = (
    "permit_check",
    "permit_login",
    "permit_public",
    "permit_vendor",
    "permit_operator",
    "permit_sweep",
)


class DatabaseNotReady(RuntimeError):
    """The database did not accept a connection within the time given."""


class MigrationChanged(RuntimeError):
    """A migration that was applied differs from the file that has its number now."""


SignIn = Callable[[], Mapping[str, Any]]
"""How to connect now: parameters of libpq, made anew for each attempt."""


@dataclass(frozen=True, kw_only=True)
class Script:
    name: str
    text: str
    checksum: str

    @property
    def version(self) -> int:
        return int(self.name[:4])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    version: int
    applied: list[str]


def required_version() -> int:
    """The schema version that this code needs: its newest migration."""
    return max(script.version for script in _scripts(_MIGRATIONS, "[0-9]*.sql"))


def migrations_hash() -> str:
    """A hash of all that a run applies. template.yaml has it, so that a change is deployed."""
    scripts = [
        *_scripts(_MIGRATIONS, "*.sql"),
        *_scripts(_DOORS, "*.sql"),
    ]
    named = "".join(f"{script.name} {script.checksum}\n" for script in scripts)
    return hashlib.sha256(named.encode()).hexdigest()


def connect(ways: Sequence[SignIn], *, wait_seconds: float) -> BoundedConnection:
    """A connection, as soon as there is one: a new cluster takes its time to answer.

    The ways of signing in are tried in turn. Raises DatabaseNotReady when the time is up, with the
    last reason of each.
    """
    give_up_at = time.monotonic() + wait_seconds
    pause = 0.25
    reasons: dict[int, str] = {}
    for attempt in count():
        way = attempt % len(ways)
        try:
            return BoundedConnection.connect(**ways[way](), autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            reasons[way] = str(error).strip()
        if way < len(ways) - 1:
            continue
        if time.monotonic() + pause > give_up_at:
            break
        time.sleep(pause)
        pause = min(pause * 2, 5.0)
    last = "; ".join(reasons.values())
    raise DatabaseNotReady(f"no connection within {wait_seconds:g} s: {last}")


def migrate(
    conninfo: Mapping[str, Any] | Sequence[SignIn],
    *,
    wait_seconds: float = 60,
    run_seconds: float | None = None,
    role_passwords: Mapping[str, str] | None = None,
) -> Outcome:
    """Applies what is missing, and nothing twice; after `run_seconds` it gives up.

    Raises DatabaseNotReady, MigrationChanged, or the psycopg.Error of the script that failed, with
    a note that names it; what had been applied before it stays.
    """
    ways = [lambda: conninfo] if isinstance(conninfo, Mapping) else conninfo
    with (
        connect(ways, wait_seconds=wait_seconds) as guard,
        connect(ways, wait_seconds=wait_seconds) as connection,
        _one_run_at_a_time(guard, run_seconds),
    ):
        if run_seconds is not None:
            _limit(connection, run_seconds)
        connection.execute("SET client_min_messages = 'warning'")
        connection.execute(_statements(_MIGRATIONS / "roles.sql"))
        for role, password in (role_passwords or {}).items():
            _set_password(connection, role, password)
        connection.execute("SET ROLE permit_owner")
        connection.execute("SET lock_timeout = '3s'")
        connection.execute("SET timezone = 'UTC'")
        _create_records(connection)
        applied = [*_apply_migrations(connection), *_apply_doors(connection)]
        return Outcome(version=_current_version(connection), applied=applied)


def _limit(connection: BoundedConnection, seconds: float) -> None:
    """The server ends what takes longer; if it does not answer, we stop waiting."""
    milliseconds = sql.Literal(int(seconds * 1000))
    connection.execute(sql.SQL("SET statement_timeout = {}").format(milliseconds))
    connection.deadline = time.monotonic() + seconds


@contextmanager
def _one_run_at_a_time(guard: psycopg.Connection[Any], seconds: float | None) -> Generator[None]:
    """A lock that ends with its transaction, on a connection of its own: scripts commit.

    CREATE INDEX CONCURRENTLY waits for every snapshot. So the lock is polled and not waited for,
    and without parameters, which would keep the statement's portal open.
    """
    give_up_at = None if seconds is None else time.monotonic() + seconds
    ask = sql.SQL("SELECT pg_try_advisory_xact_lock({})").format(sql.Literal(_RUN_LOCK))
    while True:
        with guard.transaction():
            if _is_granted(guard.execute(ask)):
                yield
                return
        if give_up_at is not None and time.monotonic() > give_up_at:
            raise DatabaseNotReady(f"another migration has been running for {seconds:g} s")
        time.sleep(_LOCK_PAUSE)


def _is_granted(cursor: psycopg.Cursor[Any]) -> bool:
    row = cursor.fetchone()
    return row is not None and row[0]


def _create_records(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        """
        CREATE TABLE IF NOT EXISTS permit.schema_migrations (
            version    integer     PRIMARY KEY,
            name       text        NOT NULL,
            checksum   text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE IF NOT EXISTS permit.schema_doors (
            name       text        PRIMARY KEY,
            checksum   text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )


def _apply_migrations(connection: psycopg.Connection[Any]) -> Iterator[str]:
    rows = connection.execute("SELECT version, checksum FROM permit.schema_migrations")
    recorded = dict(rows.fetchall())
    scripts = _scripts(_MIGRATIONS, "[0-9]*.sql")
    for script in scripts:
        if recorded.get(script.version, script.checksum) != script.checksum:
            raise MigrationChanged(
                f"{script.name} was applied with other contents; write a new migration instead"
            )
    for script in scripts:
        if script.version not in recorded:
            with _named(script):
                _apply_migration(connection, script)
            yield script.name


def _apply_migration(connection: psycopg.Connection[Any], script: Script) -> None:
    record = (
        "INSERT INTO permit.schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
        (script.version, script.name, script.checksum),
    )
    if script.text.startswith(_NO_TRANSACTION):
        # One statement a file: Postgres wraps several in a transaction of their own. It may wait:
        # nothing queues behind it, and giving up would leave an invalid index.
        connection.execute("SET lock_timeout = 0")
        connection.execute(_literal(script.text))
        connection.execute("SET lock_timeout = '3s'")
        connection.execute(*record)
        return

    def apply() -> None:
        with connection.transaction():
            connection.execute(_literal(script.text))
            connection.execute(*record)

    _with_lock_retries(apply)


def _apply_doors(connection: psycopg.Connection[Any]) -> list[str]:
    """Applies doors whose file has changed, in one transaction, because doors call each other.

    Applies all of them if the database has doors of another version (a file was renamed or removed,
    or this is a deployment after a rollback): those may have replaced functions of ours.
    """
    recorded = dict(connection.execute("SELECT name, checksum FROM permit.schema_doors").fetchall())
    scripts = _scripts(_DOORS, "*.sql")
    if not recorded.keys() <= {script.name for script in scripts}:
        recorded.clear()
    changed = [script for script in scripts if recorded.get(script.name) != script.checksum]

    def apply() -> None:
        with connection.transaction():
            for script in changed:
                with _named(script):
                    _apply_door(connection, script)
            connection.execute(
                "DELETE FROM permit.schema_doors WHERE NOT name = ANY (%s)",
                ([script.name for script in scripts],),
            )

    if changed:
        _with_lock_retries(apply)
    return [f"doors/{script.name}" for script in changed]


def _apply_door(connection: psycopg.Connection[Any], script: Script) -> None:
    connection.execute("SET LOCAL ROLE permit_doors")
    connection.execute(_literal(script.text))
    connection.execute("SET LOCAL ROLE permit_owner")
    connection.execute(
        """
        INSERT INTO permit.schema_doors (name, checksum) VALUES (%s, %s)
        ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now()
        """,
        (script.name, script.checksum),
    )


@contextmanager
def _named(script: Script) -> Generator[None]:
    try:
        yield
    except psycopg.Error as error:
        error.add_note(f"in {script.name}")
        raise


def _with_lock_retries(apply: Any) -> None:
    """A migration that waits behind a long query would make every query wait behind it."""
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            apply()
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == _LOCK_ATTEMPTS - 1:
                raise
            time.sleep(min(0.5 * 2**attempt, 10))


def _set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    if role not in LOGIN_ROLES:
        raise ValueError(f"{role} is no role of Permit's")
    # Sent as its SCRAM verifier, so that no log of statements ever holds the password.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
    )


def _current_version(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT max(version) FROM permit.schema_migrations").fetchone()
    return 0 if row is None else row[0]


def _scripts(folder: Path, pattern: str) -> list[Script]:
    return [
        Script(
            name=path.name,
            text=(text := path.read_text("utf-8")),
            checksum=hashlib.sha256(text.encode()).hexdigest(),
        )
        for path in sorted(folder.glob(pattern))
    ]


def _statements(path: Path) -> LiteralString:
    return _literal(path.read_text("utf-8"))


def _literal(text: str) -> LiteralString:
    # Our own files, shipped with this code, are as safe as literals in it.
    return cast("LiteralString", text)
