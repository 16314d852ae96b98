"""A database that is stopped, silent, busy or gone: what it costs a caller, and what it leaves."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from permit.db import Database
from permit.errors import DatabaseUnavailable
from permit.operator_access import Operator
from tests.support.deployment import Answer, Deployment
from tests.support.relay import Relay
from tests.support.stuck import stopped, within

Open = Callable[..., Database]
INSERT = "INSERT INTO permit.tenants (id, name) VALUES (%(id)s, 'Example')"


def select_one(database: Database, *, is_repeatable: bool = False) -> int:
    return database.fetch_value("SELECT 1", {}, is_repeatable=is_repeatable)


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_a_stopped_backend_costs_no_more_than_the_deadline(
    database: Database, is_repeatable: bool
) -> None:
    """statement_timeout is of no help against it; the client gives up by its own clock."""
    pid = database.fetch_value("SELECT pg_backend_pid()", {})
    database.allow(0.5)

    with stopped(pid), within(1.5), pytest.raises(DatabaseUnavailable):
        select_one(database, is_repeatable=is_repeatable)

    database.allow(10)
    assert 1 == select_one(database)


def test_a_deadline_in_a_transaction_ends_it(deployment: Deployment, database: Database) -> None:
    """Nothing of it stays, and rolling it back does not wait for the server either."""

    def work(tenant: UUID) -> None:
        with Operator(database=database, command="test").entered(tenant):
            database.execute(INSERT, {"id": tenant})
            database.allow(0.5)
            database.fetch_value("SELECT pg_sleep(5)", {})

    with within(3), pytest.raises(DatabaseUnavailable):
        work(UUID(int=1))

    assert [] == deployment.sql("SELECT 1 FROM permit.tenants")
    database.allow(10)
    assert 1 == select_one(database)


def silent_server(relay: Relay) -> None:
    """From now on connections are accepted and never answered."""
    relay.drop_connections()
    relay.is_silent = True


@pytest.mark.parametrize("addresses", [1, 3], ids=["one address", "three addresses"])
def test_a_silent_server_costs_no_more_than_the_deadline(
    opened: Open, relay: Relay, monkeypatch: pytest.MonkeyPatch, addresses: int
) -> None:
    """A proxy's name has an address in each zone: trying each would take as often as long."""
    silent_server(relay)
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: look_up(*a, **k) * addresses)
    database = opened()
    database.allow(2.5)

    with within(3), pytest.raises(DatabaseUnavailable):
        select_one(database, is_repeatable=True)


def test_the_next_address_is_tried(
    opened: Open, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still works when one zone is down."""
    addresses = [(2, 1, 6, "", (address, relay.port)) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: addresses)

    assert 1 == select_one(opened())


def test_a_name_that_is_unknown_is_unavailable(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver's failure is the database's, as far as a caller is concerned."""

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(DatabaseUnavailable):
        select_one(opened())


def test_a_closed_port_is_unavailable_at_once(opened: Open, relay: Relay) -> None:
    """The first statement after it is open again succeeds."""
    database = opened()
    relay.cut()

    with within(1), pytest.raises(DatabaseUnavailable):
        select_one(database, is_repeatable=True)

    relay.restore()
    assert 1 == select_one(database)


@pytest.fixture
def checks(deployment: Deployment, relay: Relay) -> Deployment:
    """The check's function connects through the relay."""
    deployment.environments["licence_check"] = deployment.start(
        "licence_check", PERMIT_DATABASE_PORT=str(relay.port)
    )
    return deployment


def send_check(deployment: Deployment, key: str) -> Answer:
    device = {"fingerprint": "fingerprint-of-a-machine"}
    return deployment.send("licence_check", {"key": key, "device": device})


def is_brief_refusal(answer: Answer) -> bool:
    return (
        answer.status == 503
        and answer.body["code"] == "service_unavailable"
        and int(answer.headers["retry-after"]) > 0
    )


@contextmanager
def locked_licences(deployment: Deployment) -> Iterator[psycopg.Connection[Any]]:
    """Another connection holds every licence's lock until it commits or the block ends."""
    with deployment.server.connect(deployment.database) as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT 1 FROM permit.licences FOR UPDATE")
        yield holder


def await_waiting_check(deployment: Deployment) -> None:
    waiting = """
        SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'permit_check'
           AND wait_event_type = 'Lock'
    """
    deadline = time.monotonic() + 20
    while not deployment.sql(waiting):
        assert time.monotonic() < deadline
        time.sleep(0.01)


TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND usename = 'permit_check'
"""
SEATS = "SELECT count(*), count(*) FILTER (WHERE state = 'seated') FROM permit.devices"


@pytest.mark.parametrize("stays_away", [True, False], ids=["gone", "restarted"])
def test_a_database_that_goes_during_a_check_leaves_no_seat_half_taken(
    checks: Deployment, relay: Relay, stays_away: bool
) -> None:
    """503 with Retry-After, or a second try that succeeds; in the end there is one seat, whole."""
    licence = checks.vendor.licence(checks.vendor.policy(max_devices=1))

    def take_away(holder: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        await_waiting_check(checks)
        if stays_away:
            relay.cut()
        checks.sql(TERMINATE)
        holder.execute("COMMIT")
        return checks.sql(SEATS)

    with locked_licences(checks) as holder, ThreadPoolExecutor(1) as threads:
        taken_away = threads.submit(take_away, holder)
        answer = send_check(checks, licence["key"])
        seats = taken_away.result(30)

    if stays_away:
        assert is_brief_refusal(answer)
        assert [(0, 0)] == seats
        relay.restore()
    else:
        assert 200 == answer.status
    after = send_check(checks, licence["key"]).body
    assert ("VALID", 1) == (after["code"], after["licence"]["devices_used"])
    assert [(1, 1)] == checks.sql(SEATS)


def test_a_check_does_not_wait_long_for_a_lock(checks: Deployment, relay: Relay) -> None:
    """While somebody holds a licence's lock, others are refused, not stuck; then they recover."""
    licence = checks.vendor.licence()
    # Set for this one database, so that the test need not wait for the role's three seconds.
    checks.sql(f"ALTER ROLE permit_check IN DATABASE {checks.database} SET lock_timeout = '200ms'")

    with locked_licences(checks), within(2):
        refused = send_check(checks, licence["key"])

    assert is_brief_refusal(refused)
    assert "VALID" == send_check(checks, licence["key"]).body["code"]
    assert 1 == relay.connections


def test_a_lambda_that_runs_out_of_time_answers_first(checks: Deployment) -> None:
    """The database gets what remains less a second, in which there is time to say so."""
    licence = checks.vendor.licence()
    send_check(checks, licence["key"])
    device = {"fingerprint": "another-fingerprint-of-a-machine"}

    with locked_licences(checks), within(1.5):
        refused = checks.send(
            "licence_check", {"key": licence["key"], "device": device}, milliseconds=1500
        )

    assert is_brief_refusal(refused)


@pytest.mark.parametrize("event", ["login", "login_refresh", "login_logout", "tenant_jwks"])
def test_every_function_refuses_alike(deployment: Deployment, relay: Relay, event: str) -> None:
    """Without its database each route answers 503 as a problem; afterwards it works at once."""
    deployment.operator("rotate-token-key")
    function = "jwks" if event == "tenant_jwks" else "login"
    deployment.environments[function] = deployment.start(
        function, PERMIT_DATABASE_PORT=str(relay.port)
    )
    body = None if event == "tenant_jwks" else {"refresh_token": "x"}
    body = {"email": "a@example.com", "password": "x"} if event == "login" else body
    before = deployment.send(event, body)
    relay.cut()

    refused = deployment.send(event, body)

    relay.restore()
    after = deployment.send(event, body)
    assert is_brief_refusal(refused)
    assert before.status == after.status != 503
