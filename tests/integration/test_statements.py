"""Every statement that is sent through the functions' roles: none pins an RDS Proxy session.

What is recognised, and that it is counted; conftest.py judges all that a session's tests have sent.
What pins a session for PostgreSQL:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

from collections import Counter

import pytest

from tests.support.deployment import Deployment
from tests.support.pinning import LONGEST, pinning_statements, pins, sent_by_functions
from tests.support.servers import Server


@pytest.mark.parametrize(
    "statement",
    [
        "SET statement_timeout = 1",
        "  set local permit.tenant = 'x'",
        "/* why */ SET search_path = permit",
        "-- why\nRESET ALL",
        "SELECT set_config('permit.tenant', $1, true)",
        "SELECT pg_catalog.set_config ($1, $2, false)",
        "SELECT 1; DISCARD ALL",
        "DEALLOCATE ALL",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1",
        "LISTEN events",
        "SELECT nextval('s')",
        "SELECT pg_advisory_lock(1)",
        "CREATE TEMP TABLE t ()",
        f"SELECT '{'x' * LONGEST}'",
    ],
)
def test_what_pins_is_recognised(statement: str) -> None:
    """Each kind that AWS documents is found, or the test below would prove nothing."""
    assert pins(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN",
        "COMMIT",
        "UPDATE permit.users SET role = $1",
        "INSERT INTO t VALUES ($1) ON CONFLICT (id) DO UPDATE SET a = 1",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT permit.enter_by_command($1, $2)",
    ],
)
def test_what_does_not_pin_is_let_through(statement: str) -> None:
    """Ordinary statements, transactions and calls of functions are what a proxy is for."""
    assert not pins(statement)


def test_no_statement_of_a_function_pins_a_session(deployment: Deployment, server: Server) -> None:
    """Nothing that any test has sent until now; and here it is known how much that is."""
    deployment.send("health")
    deployment.operator("rotate-token-key")
    licence = deployment.vendor.licence()
    user = {"email": deployment.vendor.email, "password": deployment.vendor.password}
    token = deployment.send("login", user).body["refresh_token"]
    deployment.send("login_refresh", {"refresh_token": token})
    deployment.send("login_logout", {"refresh_token": token})
    deployment.send("tenant_jwks", path=f"/v1/tenants/{deployment.vendor.tenant_id}/jwks.json")
    deployment.check(licence["key"])
    deployment.check(licence["key"])
    deployment.release(licence["key"], fingerprint="fingerprint-of-a-machine")
    deployment.invoke("sweep", {})

    sent = sent_by_functions(server)

    mine = Counter(each.user for each in sent if each.database == deployment.database)
    operator = mine.pop("permit_operator")
    # A database's first sweep folds the holders too, asks whether there are more, and for emails.
    expected = {"permit_public": 2, "permit_login": 4, "permit_check": 4, "permit_sweep": 5}
    assert expected == mine
    # Four commands that write: each at least BEGIN, the tenant's entry, its own, COMMIT.
    assert operator >= 16
    assert [] == pinning_statements(server)
