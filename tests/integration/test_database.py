"""permit.db: connections that die, hang, grow old or come late, and what callers see of it."""

import socket
import time
from collections.abc import Callable
from threading import Thread
from uuid import UUID

import psycopg
import pytest

from permit import db
from permit.db import Database
from permit.errors import DatabaseUnavailable
from permit.operator_access import Operator
from tests.support.deployment import Deployment
from tests.support.relay import Relay

Open = Callable[..., Database]


def select_one(database: Database, *, is_repeatable: bool = False) -> int:
    return database.fetch_value("SELECT 1", {}, is_repeatable=is_repeatable)


def insert_tenant(database: Database, *, then: Callable[[], object]) -> None:
    """A transaction that writes, and then does something more."""
    tenant = UUID(int=1)
    with Operator(database=database, command="test").entered(tenant):
        database.execute(
            "INSERT INTO permit.tenants (id, name) VALUES (%(id)s, 'Example')", {"id": tenant}
        )
        then()


def test_a_connection_is_opened_late_and_kept(opened: Open, relay: Relay) -> None:
    """Nothing connects before the first statement; the next ones use the same connection."""
    database = opened()
    before = relay.connections

    for _ in range(3):
        select_one(database)

    assert (0, 1) == (before, relay.connections)


def test_a_connection_that_died_between_requests_is_replaced(
    database: Database, relay: Relay
) -> None:
    """It is noticed before anything is sent, so that even what may not be repeated succeeds."""
    relay.drop_connections()

    assert 1 == select_one(database)
    assert 2 == relay.connections


@pytest.mark.parametrize(
    ("attribute", "limit"), [("_used_at", db._IDLE_LIMIT), ("_opened_at", db._AGE_LIMIT)]
)
def test_an_idle_or_old_connection_is_replaced(
    database: Database, relay: Relay, attribute: str, limit: float
) -> None:
    """Lambda drops idle flows without a word, and the proxy ends every connection in time."""
    setattr(database, attribute, time.time() - limit + 30)
    select_one(database)
    before = relay.connections
    setattr(database, attribute, time.time() - limit - 1)
    select_one(database)

    assert (1, 2) == (before, relay.connections)


def test_what_may_be_repeated_survives_one_lost_connection(
    database: Database, relay: Relay
) -> None:
    """Lost with the statement under way: it is sent once more, on a new connection."""
    relay.cut_on = b"SELECT 1"

    assert 1 == select_one(database, is_repeatable=True)
    assert 2 == relay.connections
    assert 3 == relay.sent.count(b"SELECT 1")


@pytest.mark.parametrize(("is_repeatable", "times"), [(True, 2), (False, 1)])
def test_a_statement_is_sent_at_most_so_often(
    database: Database, relay: Relay, is_repeatable: bool, times: int
) -> None:
    """Repeated once, or never if that is not safe; then the caller is told."""
    relay.cut_on, relay.cuts_left = b"SELECT 1", 2
    before = relay.sent.count(b"SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        select_one(database, is_repeatable=is_repeatable)

    assert times == relay.sent.count(b"SELECT 1") - before
    relay.cuts_left = 0
    assert 1 == select_one(database)


@pytest.mark.parametrize("lost_before", [0, 1], ids=["at once", "after a lost connection"])
def test_a_server_that_takes_no_writes_is_left(
    database: Database, relay: Relay, lost_before: int
) -> None:
    """After a failover the old address is a reader's: 503, and another connection next time."""
    refuse = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction'; END $$"
    relay.cut_on, relay.cuts_left = b"DO $$", lost_before

    with pytest.raises(DatabaseUnavailable):
        database.fetch_value(refuse, {}, is_repeatable=True)

    assert 1 == select_one(database)
    assert lost_before + 2 == relay.connections


def test_a_lost_begin_is_repeated(database: Database, relay: Relay) -> None:
    """Nothing of the transaction has happened yet."""
    relay.cut_on = b"BEGIN"

    with database.transaction():
        assert 1 == select_one(database)

    assert 2 == relay.sent.count(b"BEGIN")


@pytest.mark.parametrize("lost_with", [b"SELECT 1", b"COMMIT"])
def test_nothing_after_begin_is_repeated(
    deployment: Deployment, database: Database, relay: Relay, lost_with: bytes
) -> None:
    """A lost transaction is lost as a whole; after COMMIT the outcome is unknown: no repeat."""
    relay.cut_on = lost_with
    before = relay.sent.count(lost_with)

    with pytest.raises(DatabaseUnavailable):
        insert_tenant(database, then=lambda: select_one(database, is_repeatable=True))

    assert 1 == relay.sent.count(lost_with) - before
    assert 1 == select_one(database)
    if lost_with == b"SELECT 1":
        assert [] == deployment.sql("SELECT 1 FROM permit.tenants")


def test_an_error_rolls_back_and_keeps_the_connection(
    deployment: Deployment, database: Database, relay: Relay
) -> None:
    """A caller's exception undoes what the transaction did; the next one starts clean."""
    with pytest.raises(ZeroDivisionError):
        insert_tenant(database, then=lambda: 1 / 0)
    with pytest.raises(psycopg.errors.DivisionByZero):
        insert_tenant(database, then=lambda: database.fetch_value("SELECT 1 / 0", {}))

    assert 1 == select_one(database)
    assert 1 == relay.connections
    assert [] == deployment.sql("SELECT 1 FROM permit.tenants")


def test_a_tenant_is_left_with_its_transaction(deployment: Deployment, database: Database) -> None:
    """The next connection, whichever it is, has entered no tenant."""
    tenant = UUID(deployment.vendor.tenant_id)
    count = "SELECT count(*) FROM permit.products"

    for _ in range(5):
        with Operator(database=database, command="test").entered(tenant):
            assert 1 == database.fetch_value(count, {})
        assert 0 == database.fetch_value(count, {})


def test_what_is_sent_pins_no_session(database: Database, relay: Relay) -> None:
    """Neither SET nor anything prepared, however often, and after an error too."""
    for _ in range(10):
        with Operator(database=database, command="test").entered(UUID(int=1)):
            select_one(database)
        with pytest.raises(psycopg.errors.DivisionByZero), database.transaction():
            database.fetch_value("SELECT 1 / 0", {})

    sent = bytes(relay.sent).upper()
    assert 0 == database.fetch_value("SELECT count(*) FROM pg_prepared_statements", {})
    for word in (b"SET ", b"SET_CONFIG", b"PREPARE", b"DEALLOCATE", b"DISCARD"):
        assert word not in sent


def test_a_session_starts_with_what_the_proxy_takes(opened: Open) -> None:
    """RDS Proxy refuses options, and most settings among the startup parameters."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        database = opened(listener.getsockname()[1])
        listener.settimeout(5)
        names: list[str] = []

        def take() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(8)  # SSLRequest
                client.sendall(b"N")
                words = client.recv(4096)[8:].split(b"\0")
                names.extend(word.decode() for word in words[::2] if word)

        thread = Thread(target=take)
        thread.start()
        with pytest.raises(DatabaseUnavailable):
            select_one(database)
        thread.join()

    assert {"user", "database"} < set(names)
    assert set(names) <= {"user", "database", "application_name", "client_encoding"}
