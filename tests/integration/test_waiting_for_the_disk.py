"""What is lost if Postgres crashes: at most when a device was last seen, never a seat or a term."""

import hashlib
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from permit.security import licence_keys
from tests.support.deployment import FINGERPRINT, Deployment

CHECK = "SELECT permit.check_key(%(key)s, %(fingerprint)s, NULL, NULL, NULL, NULL)"
CLAIM = """
    SELECT answer FROM permit.claim_seat_by_key(
        %(key)s, %(fingerprint)s, NULL, NULL, NULL, NULL, %(licence)s, %(policy)s, NULL)
"""
SETTING = "SELECT current_setting('synchronous_commit')"


def waits(connection: psycopg.Connection, *calls: tuple[str, dict[str, Any]]) -> bool:
    """Whether the commit of a transaction with these calls waits for the disk."""
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        for statement, parameters in calls:
            connection.execute(statement, parameters)
        [setting] = connection.execute(SETTING).fetchone() or [None]
    return setting == "on"


def facts(connection: psycopg.Connection, sent: dict[str, Any]) -> dict[str, Any]:
    [answer] = connection.execute(CHECK, sent).fetchone() or [None]
    assert answer is not None
    return answer


def sent(key: str, fingerprint: str | None = FINGERPRINT) -> dict[str, Any]:
    canonical = licence_keys.canonical(key)
    assert canonical is not None
    hashed = None if fingerprint is None else hashlib.sha256(fingerprint.encode()).digest()
    return {"key": licence_keys.digest(canonical), "fingerprint": hashed}


@pytest.mark.parametrize("fingerprint", [FINGERPRINT, None], ids=["device", "no device"])
def test_a_refresh_does_not_wait(deployment: Deployment, fingerprint: str | None) -> None:
    """The check that rewrites last_seen_at does not wait; the next transaction does again."""
    vendor = deployment.vendor
    key = vendor.licence(vendor.policy(device_required=False))["key"]
    deployment.check(key, fingerprint)
    deployment.pass_time(timedelta(hours=1))
    with deployment.server.connect(deployment.database) as connection:
        connection.execute("SET synchronous_commit = on")
        assert not waits(connection, (CHECK, sent(key, fingerprint)))
        assert ("on",) == connection.execute(SETTING).fetchone()


def test_a_check_that_rewrites_nothing_changes_nothing(deployment: Deployment) -> None:
    """Not even for what the same transaction might do after it."""
    key = deployment.vendor.licence()["key"]
    deployment.check(key)
    with deployment.server.connect(deployment.database) as connection:
        assert waits(connection, (CHECK, sent(key)))


@pytest.mark.parametrize("starts", ["on_issue", "on_first_check"])
@pytest.mark.parametrize("fingerprint", [FINGERPRINT, None], ids=["device", "no device"])
def test_a_seat_and_a_term_wait(
    deployment: Deployment, fingerprint: str | None, starts: str
) -> None:
    """A claim waits, though it ends in a check that notes when the licence was seen."""
    vendor = deployment.vendor
    policy = vendor.policy(device_required=False, starts=starts, duration="P1Y")
    key = sent(vendor.licence(policy)["key"], fingerprint)
    with deployment.server.connect(deployment.database) as connection:
        found = facts(connection, key)
        revisions = {
            "licence": found["licence_revision"],
            "policy": found["policy_facts"]["policy_revision"],
        }
        deployment.pass_time(timedelta(hours=1))  # what was noted a moment ago is due again

        assert waits(connection, (CLAIM, {**key, **revisions}))

        seen = facts(connection, key)
        assert seen["starts_at"] is not None
        assert (None if fingerprint is None else "seated") == seen["device_state"]
