"""GET /v1/health: its answer when all is well; when not, how fast and how little it answers."""

from datetime import UTC, datetime, timedelta

import pytest

from permit import VERSION
from permit.migrate import required_version
from tests.support.deployment import Answer, Deployment
from tests.support.relay import Relay
from tests.support.stuck import stopped, within

FAILED = {"status": "fail", "latency_ms": None}


def ask(deployment: Deployment) -> Answer:
    return deployment.send("health", milliseconds=5_000)


def test_all_is_well(deployment: Deployment) -> None:
    """200, with the code's version and each check's finding; nobody may keep the answer."""
    answer = ask(deployment)

    body = answer.body
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert "no-store" == answer.headers["cache-control"]
    assert {"status", "timestamp", "version", "checks"} == set(body)
    assert ("ok", VERSION) == (body["status"], body["version"])
    assert body["timestamp"].endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(body["timestamp"])
    assert abs(age) < timedelta(minutes=1)
    assert {"database", "schema"} == set(body["checks"])
    assert {"status": "ok", "version": required_version()} == body["checks"]["schema"]
    assert "ok" == body["checks"]["database"]["status"]
    assert 0 < body["checks"]["database"]["latency_ms"] < 5000


def test_a_schema_ahead_of_the_code_is_well(deployment: Deployment) -> None:
    """During a deployment the old code meets the new schema, and goes on."""
    deployment.sql(
        "INSERT INTO permit.schema_migrations (version, name, checksum) VALUES (9999, 'x', 'x')"
    )

    answer = ask(deployment)

    assert (200, 9999) == (answer.status, answer.body["checks"]["schema"]["version"])


def test_a_schema_behind_the_code_fails_by_name(deployment: Deployment) -> None:
    """503, and the check that failed is the schema's; the database is well."""
    deployment.sql("DELETE FROM permit.schema_migrations WHERE version = %s", required_version())

    answer = ask(deployment)

    assert (503, "fail") == (answer.status, answer.body["status"])
    assert "ok" == answer.body["checks"]["database"]["status"]
    behind = {"status": "fail", "version": required_version() - 1}
    assert behind == answer.body["checks"]["schema"]
    assert 0 < int(answer.headers["retry-after"])


@pytest.mark.parametrize(
    "damage",
    [
        "DROP SCHEMA permit CASCADE",
        "DROP FUNCTION permit.health()",
        "REVOKE EXECUTE ON FUNCTION permit.health() FROM permit_public",
        "REVOKE USAGE ON SCHEMA permit FROM permit_public",
    ],
)
def test_a_missing_schema_fails_by_name(deployment: Deployment, damage: str) -> None:
    """A database that nobody migrated is a finding, not a fault of the route."""
    deployment.sql(damage)

    answer = ask(deployment)

    assert (503, "fail") == (answer.status, answer.body["status"])
    assert {"status": "fail", "version": 0} == answer.body["checks"]["schema"]


def test_a_stopped_backend_is_found_within_three_seconds(deployment: Deployment) -> None:
    """The connection is open and silent: health still answers, and the next one is well."""
    ask(deployment)
    database = deployment.environment("health").database
    pid = database.fetch_value("SELECT pg_backend_pid()", {})

    with stopped(pid), within(3):
        answer = ask(deployment)

    assert (503, FAILED) == (answer.status, answer.body["checks"]["database"])
    assert 200 == ask(deployment).status


@pytest.fixture
def relayed(deployment: Deployment, relay: Relay) -> Deployment:
    deployment.environments["health"] = deployment.start(
        "health", PERMIT_DATABASE_PORT=str(relay.port)
    )
    return deployment


@pytest.mark.parametrize("was_connected", [True, False])
def test_a_silent_server_is_found_within_three_seconds(
    relayed: Deployment, relay: Relay, was_connected: bool
) -> None:
    """It accepts connections and never answers: after a dropped connection, or on the first."""
    if was_connected:
        ask(relayed)
        relay.drop_connections()
    relay.is_silent = True

    with within(3):
        answer = ask(relayed)

    assert (503, FAILED) == (answer.status, answer.body["checks"]["database"])


def test_a_server_that_is_gone_is_found_at_once(relayed: Deployment, relay: Relay) -> None:
    """It is found again as soon as it is back."""
    ask(relayed)
    relay.cut()

    with within(1):
        gone = ask(relayed)
    relay.restore()

    assert (503, FAILED) == (gone.status, gone.body["checks"]["database"])
    assert {"status": "fail", "version": None} == gone.body["checks"]["schema"]
    assert 200 == ask(relayed).status


def test_a_failure_tells_nothing_of_the_inside(relayed: Deployment, relay: Relay) -> None:
    """No host, no user, no database's name, no error: only the check that failed."""
    relay.cut()

    answer = ask(relayed)

    assert {"status", "timestamp", "version", "checks"} == set(answer.body)
    for inside in ("127.0.0.1", str(relay.port), "permit_public", relayed.database, "psycopg"):
        assert inside not in answer.text
    assert "refused" not in answer.text.lower()


def test_a_wrong_password_is_a_failure(deployment: Deployment) -> None:
    """A role that cannot sign in fails like a server that is down."""
    deployment.environments["health"] = deployment.start("health", PERMIT_DATABASE_PASSWORD="wrong")

    answer = ask(deployment)

    assert (503, FAILED) == (answer.status, answer.body["checks"]["database"])
