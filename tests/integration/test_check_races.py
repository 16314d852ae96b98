"""Checks that race for one thing: the second one sees what the first has done."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from permit.db import Database
from permit.licences import devices
from permit.operator_access import Operator
from tests.support.deployment import FINGERPRINT, Deployment
from tests.support.racing import check_database, checking, held_up, race

OTHER = "fingerprint-of-another-machine"
HOUR = timedelta(hours=1)
PARTS = {"cpu": "a", "disk": "b"}


def machine(number: int) -> str:
    return f"fingerprint-of-machine-{number}"


def seated(deployment: Deployment) -> int:
    return deployment.sql("SELECT count(*) FROM permit.devices WHERE state = 'seated'")[0][0]


def test_fifty_new_devices_get_exactly_five_seats(deployment: Deployment) -> None:
    """However many ask at once, the limit is reached and never exceeded."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=5))

    outcomes = race(deployment, [checking(licence["key"], machine(n)) for n in range(50)])

    codes = Counter(outcome.verdict.code for outcome in outcomes)
    assert {"VALID": 5, "TOO_MANY_DEVICES": 45} == codes
    assert [(5,)] == deployment.sql("SELECT count(*) FROM permit.devices")


def test_fifty_checks_of_one_new_device_take_one_seat(deployment: Deployment) -> None:
    """All of them are valid, on the one seat of one device."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))

    outcomes = race(deployment, [checking(licence["key"], FINGERPRINT)] * 50)

    assert {"VALID": 50} == Counter(outcome.verdict.code for outcome in outcomes)
    assert 1 == len({outcome.facts and outcome.facts.device_id for outcome in outcomes})
    assert [(1,)] == deployment.sql("SELECT count(*) FROM permit.devices")


def test_overage_is_not_passed_either(deployment: Deployment) -> None:
    """Limit and overage together are reached, never exceeded; tolerated devices are told so."""
    policy = deployment.vendor.policy(max_devices=3, overage=2)
    licence = deployment.vendor.licence(policy)

    outcomes = race(deployment, [checking(licence["key"], machine(n)) for n in range(20)])

    codes = Counter((outcome.verdict.code, outcome.verdict.valid) for outcome in outcomes)
    assert 3 == codes["VALID", True]
    assert 2 == codes["TOO_MANY_DEVICES", True]
    assert 15 == codes["TOO_MANY_DEVICES", False]


@pytest.mark.parametrize("attempt", range(5))
def test_a_lapsed_seat_has_one_new_holder(deployment: Deployment, attempt: int) -> None:
    """Its former holder and newcomers ask at once for the one floating seat: one gets it."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="PT1H"))
    deployment.check(licence["key"], machine(0))
    deployment.pass_time(HOUR)

    outcomes = race(deployment, [checking(licence["key"], machine(n % 4)) for n in range(8)])

    holders = {o.facts.device_id for o in outcomes if o.verdict.valid and o.facts is not None}
    assert 1 == len(holders)
    assert 1 == seated(deployment)


def test_a_refresh_loses_to_a_newcomer_who_was_first(deployment: Deployment) -> None:
    """A holder that loses its seat while it refreshes it is refused: never two live seats."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="PT1H"))
    holder = deployment.check(licence["key"])["device"]
    deployment.pass_time(HOUR / 2)
    # Like a newcomer with a clock a moment later, past the end of the holder's seat.
    take_over = """
        WITH lapsed AS (UPDATE permit.devices SET state = 'lapsed' WHERE id = %s RETURNING *)
        INSERT INTO permit.devices
               (tenant_id, licence_id, fingerprint_hash, components, state, seated_at,
                first_seated_at, first_seen_at, last_seen_at)
        SELECT tenant_id, licence_id, sha256('newcomer'), '{}', 'seated', now.at, now.at, now.at,
               now.at
          FROM lapsed, permit.clock() AS now (at)
    """

    with held_up(
        deployment, take_over, holder["id"], run=checking(licence["key"], FINGERPRINT)
    ) as (refresh):
        pass

    assert "TOO_MANY_DEVICES" == refresh.result().verdict.code
    assert 1 == seated(deployment)


@pytest.mark.parametrize(
    ("state", "code"), [("blocked", "DEVICE_BLOCKED"), ("released", "VALID"), ("lapsed", "VALID")]
)
def test_a_refresh_sees_what_became_of_its_seat(
    deployment: Deployment, state: str, code: str
) -> None:
    """Blocked meanwhile is blocked; released or lapsed, the free seat is taken again at once."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))
    device = deployment.check(licence["key"])["device"]
    deployment.pass_time(HOUR)
    change = "UPDATE permit.devices SET state = %s WHERE id = %s"

    with held_up(
        deployment, change, state, device["id"], run=checking(licence["key"], FINGERPRINT)
    ) as refresh:
        pass

    outcome = refresh.result()
    assert code == outcome.verdict.code
    assert (1 if code == "VALID" else 0) == seated(deployment)
    last_seen_at = outcome.facts and outcome.facts.last_seen_at
    assert (code == "VALID") == (datetime.fromisoformat(device["last_seen_at"]) != last_seen_at)


def test_the_first_check_begins_one_term(deployment: Deployment) -> None:
    """Twenty first checks at once all answer with the same end."""
    policy = deployment.vendor.policy(starts="on_first_check", duration="P1M", max_devices=None)
    licence = deployment.vendor.licence(policy)

    outcomes = race(deployment, [checking(licence["key"], machine(n)) for n in range(20)])

    ends = {outcome.facts and outcome.facts.expires_at for outcome in outcomes}
    assert ends == {row[0] for row in deployment.sql("SELECT expires_at FROM permit.licences")}
    assert {"VALID"} == {outcome.verdict.code for outcome in outcomes}
    assert [(2,)] == deployment.sql("SELECT revision FROM permit.licences")


@pytest.mark.parametrize("scope", ["policy", "product"])
def test_one_trial_a_machine_even_if_both_are_asked_at_once(
    deployment: Deployment, scope: str
) -> None:
    """Two licences, one machine, in parallel: it is seated under one of them."""
    vendor = deployment.vendor
    policies = [vendor.policy(unique=scope)] * 2 if scope == "policy" else (
        vendor.policy(unique=scope) for _ in range(2)
    )  # fmt: skip
    keys = [vendor.licence(policy)["key"] for policy in policies]

    outcomes = race(deployment, [checking(key, FINGERPRINT) for key in keys * 8])

    codes = Counter(outcome.verdict.code for outcome in outcomes)
    assert {"VALID": 8, "DEVICE_ALREADY_USED": 8} == codes
    assert 1 == seated(deployment)


@pytest.mark.parametrize(
    ("change", "code"),
    [("revoked_at", "REVOKED"), ("suspended_at", "SUSPENDED"), ("expires_at", "EXPIRED")],
)
def test_a_claim_sees_what_became_of_its_licence(
    deployment: Deployment, change: str, code: str
) -> None:
    """A claim that waited for the lock while the licence ended gets no seat and the new verdict."""
    licence = deployment.vendor.licence()
    statement = f"UPDATE permit.licences SET {change} = permit.clock() WHERE id = %s"

    with held_up(
        deployment, statement, licence["id"], run=checking(licence["key"], FINGERPRINT)
    ) as claim:
        pass

    assert code == claim.result().verdict.code
    assert 0 == seated(deployment)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("activation = 'manual'", "DEVICE_NOT_ACTIVATED"),
        ("on_expiry = 'block'", "EXPIRED"),
        ("max_devices = 0", "TOO_MANY_DEVICES"),
    ],
)
def test_a_claim_sees_what_became_of_its_policy(
    deployment: Deployment, change: str, code: str
) -> None:
    """A claim is judged by the rules that were tightened while it waited."""
    licence = deployment.vendor.licence(
        deployment.vendor.policy(on_expiry="allow"),
        starts_at="2020-01-01T00:00:00Z",
        expires_at="2021-01-01T00:00:00Z",
    )
    lock = f"""
        WITH locked AS (SELECT FROM permit.licences WHERE id = %s FOR NO KEY UPDATE)
        UPDATE permit.policies SET {change} FROM locked
    """

    with held_up(
        deployment, lock, licence["id"], run=checking(licence["key"], FINGERPRINT)
    ) as claim:
        pass

    assert code == claim.result().verdict.code
    assert 0 == seated(deployment)


def test_a_block_and_a_check_never_leave_a_blocked_device_seated(deployment: Deployment) -> None:
    """Whichever comes first, the device ends blocked and holds no seat."""
    licence = deployment.vendor.licence()
    device_id = UUID(deployment.check(licence["key"])["device"]["id"])
    deployment.release(licence["key"], device_id=str(device_id))
    tenant_id, licence_id = UUID(deployment.vendor.tenant_id), UUID(licence["id"])

    def block(_: Database) -> Any:
        with (
            check_database(deployment, "operator") as database,
            Operator(database=database, command="test").entered(tenant_id),
        ):
            devices.block_device(database, tenant_id, licence_id, device_id)

    race(deployment, [block, *[checking(licence["key"], FINGERPRINT)] * 8])

    assert [("blocked",)] == deployment.sql("SELECT state FROM permit.devices")
    assert "DEVICE_BLOCKED" == deployment.check(licence["key"])["code"]


def test_a_changed_machine_is_counted_once(deployment: Deployment) -> None:
    """Its checks race under the new fingerprint: one re-bind, one swap, one device."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any", max_devices=1))
    deployment.check(licence["key"], OTHER, device={"components": PARTS})

    outcomes = race(
        deployment, [checking(licence["key"], FINGERPRINT, components=PARTS) for _ in range(8)]
    )

    assert {"VALID"} == {outcome.verdict.code for outcome in outcomes}
    assert [(1, 1)] == deployment.sql(
        "SELECT (SELECT count(*) FROM permit.devices), (SELECT count(*) FROM permit.swaps)"
    )
