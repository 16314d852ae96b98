"""The one database connection of an execution environment: opened late, checked, bounded in time.

One environment serves one request at a time, so there is no pool. What is sent here goes through
RDS Proxy: nothing in it may pin a session (no SET, no named prepared statement, no DISCARD;
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html).
"""

import os
import select
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from permit.errors import DatabaseUnavailable
from permit.security import rds_token
from permit.settings import DatabaseSettings

Row = TypeVar("Row")
Result = TypeVar("Result")

_AMAZON_ROOTS = Path(__file__).parent / "certificates" / "amazon-roots.pem"

# Lambda drops idle flows silently, and the proxy ends every connection after a day.
_IDLE_LIMIT = 240.0
_AGE_LIMIT = 3600.0

# The request's own deadline covers a server that accepts and never answers; these bound the
# network in between. libpq allows no less than two seconds.
_NETWORK = {
    "connect_timeout": 2,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,
}

# Parts of libpq's messages, which have no codes. They name hosts and users: none is passed on.
_FAULTS = {
    "tls_wrong_name": "does not match host name",
    "tls_not_trusted": "certificate verify failed",
    "tls_missing": "server does not support SSL",
    "not_let_in": "authentication failed",
}

# Read-only: after a failover this server is a reader.
_UNAVAILABLE = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)


class BoundedConnection(psycopg.Connection[TupleRow]):
    """Gives up at the deadline whatever the server does: statement_timeout is the server's own."""

    deadline: float | None = None  # on the monotonic clock

    def wait(
        self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None
    ) -> Result:
        if self.deadline is not None:
            timeout = max(0.0, self.deadline - time.monotonic())
        return super().wait(gen, interval, timeout)


class Database:
    """What queries run on. Every failure of the database itself is DatabaseUnavailable."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: BoundedConnection | None = None
        self._opened_at = self._used_at = 0.0
        self._deadline: float | None = None
        self._in_transaction = False
        self.command: str | None = None
        """The operator's command, as the audit log names it."""

    def allow(self, seconds: float) -> None:
        """From now on, this request may spend so many seconds in the database."""
        self._deadline = time.monotonic() + seconds

    def fetch_one(
        self,
        row_type: type[Row],
        statement: LiteralString,
        parameters: Mapping[str, Any],
        *,
        is_repeatable: bool = False,
    ) -> Row | None:
        """The first row, or None. A repeatable statement survives one lost connection."""
        return self._run(
            lambda connection: (
                connection.cursor(row_factory=class_row(row_type))
                .execute(statement, parameters)
                .fetchone()
            ),
            is_repeatable=is_repeatable,
        )

    def fetch_all(
        self,
        row_type: type[Row],
        statement: LiteralString,
        parameters: Mapping[str, Any],
        *,
        is_repeatable: bool = False,
    ) -> list[Row]:
        return self._run(
            lambda connection: (
                connection.cursor(row_factory=class_row(row_type))
                .execute(statement, parameters)
                .fetchall()
            ),
            is_repeatable=is_repeatable,
        )

    def fetch_value(
        self,
        statement: LiteralString,
        parameters: Mapping[str, Any],
        *,
        is_repeatable: bool = False,
    ) -> Any:
        """The first column of the first row; None without a row."""
        row = self._run(
            lambda connection: connection.execute(statement, parameters).fetchone(),
            is_repeatable=is_repeatable,
        )
        return None if row is None else row[0]

    def execute(self, statement: LiteralString, parameters: Mapping[str, Any]) -> int:
        """How many rows the statement changed."""
        return self._run(
            lambda connection: connection.execute(statement, parameters).rowcount,
            is_repeatable=False,
        )

    @contextmanager
    def transaction(self) -> Generator[None]:
        """BEGIN to COMMIT. BEGIN survives one lost connection, nothing after it does."""
        self._run(lambda connection: connection.execute("BEGIN"), is_repeatable=True)
        self._in_transaction = True
        try:
            yield
            self._run(lambda connection: connection.execute("COMMIT"), is_repeatable=False)
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_transaction = False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, work: Callable[[BoundedConnection], Result], *, is_repeatable: bool) -> Result:
        connection = self._usable_connection()
        try:
            return work(connection)
        except _UNAVAILABLE as error:
            was_lost = connection.closed
            if self._is_late() or not was_lost:
                # Late: the answer may still be on its way. A refused lock or a statement's own
                # timeout leaves the connection usable.
                if self._is_late() or isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                    self.close()
                raise _unavailable(error) from error
            self._connection = None
            if not is_repeatable or self._in_transaction:
                raise _unavailable(error) from error
        connection = self._usable_connection()
        try:
            return work(connection)
        except _UNAVAILABLE as error:
            self.close()
            raise _unavailable(error) from error

    def _usable_connection(self) -> BoundedConnection:
        now = time.time()
        if not self._in_transaction and not self._is_fresh(now):
            self.close()
        if self._connection is None:
            if self._in_transaction:
                raise DatabaseUnavailable("connection lost inside a transaction")
            self._connection = self._connect()
            self._opened_at = now
        self._used_at = now
        self._connection.deadline = self._deadline
        return self._connection

    def _is_fresh(self, now: float) -> bool:
        """Whether the connection may be used again. An idle socket that is readable was closed."""
        connection = self._connection
        if connection is None or connection.closed:
            return False
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        if now - self._used_at > _IDLE_LIMIT or now - self._opened_at > _AGE_LIMIT:
            return False
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    def _connect(self) -> BoundedConnection:
        """To the first address that answers; psycopg alone would try each, past the deadline."""
        failure = DatabaseUnavailable("no time left to connect")
        for address in self._addresses():
            if not self._has_time(_NETWORK["connect_timeout"]):
                break
            try:
                return self._connect_to(address)
            except psycopg.OperationalError as error:
                failure = _unavailable(error)
        raise failure

    def _addresses(self) -> list[str]:
        settings = self._settings
        try:
            found = socket.getaddrinfo(
                settings.database_host, settings.database_port, type=socket.SOCK_STREAM
            )
        except OSError as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        return [str(address[0]) for *_, address in found]

    def _connect_to(self, address: str) -> BoundedConnection:
        settings = self._settings
        connection = BoundedConnection.connect(
            host=settings.database_host,
            hostaddr=address,
            port=settings.database_port,
            dbname=settings.database_name,
            user=settings.database_user,
            application_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "permit"),
            autocommit=True,
            prepare_threshold=None,
            **_NETWORK,
            **self._credentials(),
        )
        set_json_loads(from_json, connection)  # twice as fast as Python's own
        return connection

    def _credentials(self) -> dict[str, Any]:
        """A password where one is set; else an IAM token, good for this one connection."""
        settings = self._settings
        if settings.database_password is not None:
            return {"password": settings.database_password.read()}
        return {
            "password": rds_token.sign(
                host=settings.database_host,
                port=settings.database_port,
                user=settings.database_user,
                region=settings.aws_region or "",
                credentials=rds_token.Credentials.from_environment(os.environ),
                now=datetime.now(UTC),
            ),
            "sslmode": "verify-full",
            "sslrootcert": str(settings.database_ca or _AMAZON_ROOTS),
        }

    def _roll_back(self) -> None:
        if self._connection is None or self._connection.closed:
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()  # the server rolls back what its client left

    def _is_late(self) -> bool:
        return not self._has_time(0)

    def _has_time(self, seconds: float) -> bool:
        return self._deadline is None or time.monotonic() + seconds < self._deadline


def _unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    """With a reason for the log: Postgres's code, or how the connection failed."""
    text = str(error)
    for reason, sign in _FAULTS.items():
        if sign in text:
            return DatabaseUnavailable(reason)
    return DatabaseUnavailable(error.sqlstate or type(error).__name__)
