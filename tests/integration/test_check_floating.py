"""Floating seats that come and go, and last_seen_at, which keeps them alive."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.proof_reading import claims_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
LAG = 5 * MINUTE  # how much earlier than the last check last_seen_at may be
FIRST = "fingerprint-of-the-first-machine"
SECOND = "fingerprint-of-the-second-machine"


def last_seen(deployment: Deployment) -> Any:
    return deployment.sql("SELECT last_seen_at FROM permit.devices")[0][0]


def test_a_floating_seat_goes_to_whoever_runs(deployment: Deployment) -> None:
    """A seat not used for seat_ttl serves another device, and is taken back when free again."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="PT1H"))
    deployment.check(licence["key"], FIRST)
    deployment.pass_time(HOUR + LAG - MINUTE)
    early = deployment.check(licence["key"], SECOND)
    deployment.pass_time(MINUTE)

    late = deployment.check(licence["key"], SECOND)
    lapsed = deployment.check(licence["key"], FIRST)
    deployment.pass_time(HOUR + LAG)
    back = deployment.check(licence["key"], FIRST)

    codes = [answer["code"] for answer in (early, late, lapsed, back)]
    assert ["TOO_MANY_DEVICES", "VALID", "TOO_MANY_DEVICES", "VALID"] == codes
    assert ("lapsed", "seated") == (lapsed["device"]["state"], back["device"]["state"])
    assert 1 == back["licence"]["devices_used"]


def test_a_floating_seat_in_use_does_not_lapse(deployment: Deployment) -> None:
    """Checking more often than seat_ttl keeps the seat, however long."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="PT1H"))
    for _ in range(5):
        assert deployment.check(licence["key"], FIRST)["valid"]
        deployment.pass_time(40 * MINUTE)

    newcomer = deployment.check(licence["key"], SECOND)

    assert "TOO_MANY_DEVICES" == newcomer["code"]


@pytest.mark.parametrize(
    ("terms", "not_due", "due"),
    [
        pytest.param({}, 4 * MINUTE, 5 * MINUTE, id="node-locked: 5 minutes"),
        pytest.param({"seat_ttl": "P1D"}, 4 * MINUTE, 5 * MINUTE, id="floating long: 5 minutes"),
        pytest.param({"seat_ttl": "PT8M"}, MINUTE, 2 * MINUTE, id="floating short: a quarter"),
    ],
)
def test_a_known_device_is_rewritten_only_when_due(
    deployment: Deployment, terms: Any, not_due: timedelta, due: timedelta
) -> None:
    """last_seen_at stays until it is older than min(5 min, seat_ttl / 4)."""
    licence = deployment.vendor.licence(deployment.vendor.policy(**terms))
    deployment.check(licence["key"])
    seated = last_seen(deployment)

    deployment.pass_time(not_due)
    deployment.check(licence["key"])
    soon = last_seen(deployment)
    deployment.pass_time(due - not_due)
    answer = deployment.check(licence["key"])

    assert seated == soon
    assert seated + due <= last_seen(deployment)
    assert answer["device"]["last_seen_at"] <= answer["checked_at"]


@pytest.mark.parametrize("command", ["suspend-licence", "revoke-licence", "rotate-licence-key"])
def test_a_licence_not_in_force_keeps_no_seat_alive(deployment: Deployment, command: str) -> None:
    """Checks go on while it is suspended or revoked, or with an old key, but the seat lapses."""
    licence = deployment.vendor.licence(deployment.vendor.policy(seat_ttl="PT1H"))
    path = f"/v1/licences/{licence['id']}"
    deployment.check(licence["key"])
    seated = last_seen(deployment)
    deployment.vendor.command(command, licence)

    seen = []
    for _ in range(2):
        deployment.pass_time(40 * MINUTE)
        deployment.check(licence["key"])
        [device] = deployment.vendor.call("GET", f"{path}/devices")["items"]
        used = deployment.vendor.call("GET", path)["devices_used"]
        seen.append((device["state"], used))

    assert seated == last_seen(deployment)
    assert [("seated", 1), ("lapsed", 0)] == seen


def test_the_check_without_a_device_is_noted_beside_the_licence(deployment: Deployment) -> None:
    """At most once in five minutes, and the licence's own row is left alone."""
    licence = deployment.vendor.licence(deployment.vendor.policy(device_required=False))
    noted = []
    for _ in range(3):
        deployment.check(licence["key"], None)
        noted += deployment.sql("SELECT last_checked_at FROM permit.licence_checks")
        deployment.pass_time(3 * MINUTE)

    first, second, third = noted

    assert first == second < third
    assert [(1,)] == deployment.sql("SELECT revision FROM permit.licences")


@pytest.mark.parametrize("seat_ttl", ["PT10S", "PT2M", "P1D", "P60D"])
def test_no_seat_is_lost_before_seat_ttl_has_passed(deployment: Deployment, seat_ttl: str) -> None:
    """Since the last check, although that wrote nothing; and no proof outlives the seat."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl=seat_ttl))
    ttl = deployment.sql("SELECT %s::interval", seat_ttl)[0][0]
    lag = min(LAG, ttl / 4)
    deployment.check(licence["key"], FIRST)
    seated = last_seen(deployment)
    deployment.pass_time(lag * 0.8)
    claims = claims_of(deployment.check(licence["key"], FIRST)["proof"])
    assert seated == last_seen(deployment)

    deployment.pass_time(ttl * 0.99)
    early = deployment.check(licence["key"], SECOND)
    deployment.pass_time(ttl * 0.01 + lag)
    late = deployment.check(licence["key"], SECOND)

    assert ["TOO_MANY_DEVICES", "VALID"] == [early["code"], late["code"]]
    assert claims["iat"] < claims["exp"] <= claims["iat"] + ttl.total_seconds()
    assert claims["exp"] < datetime.fromisoformat(late["checked_at"]).timestamp()


def test_a_floating_program_asks_in_a_third_of_seat_ttl(deployment: Deployment) -> None:
    """In the answer and in the proof."""
    licence = deployment.vendor.licence(deployment.vendor.policy(seat_ttl="PT30M"))

    answer = deployment.check(licence["key"])

    checked_at, next_check_at = (
        datetime.fromisoformat(answer[name]) for name in ("checked_at", "next_check_at")
    )
    assert 10 * MINUTE == next_check_at - checked_at
    assert int(next_check_at.timestamp()) == claims_of(answer["proof"])["nca"]


def test_a_short_lease_is_renewed_by_every_check_that_needs_it(deployment: Deployment) -> None:
    """Where the lease is much shorter than the seat, no check gives one that is nearly over."""
    policy = deployment.vendor.policy(seat_ttl="P1D", lease="PT40S")
    licence = deployment.vendor.licence(policy)
    left = []
    for _ in range(12):
        claims = claims_of(deployment.check(licence["key"])["proof"])
        left.append(claims["exp"] - claims["iat"])
        deployment.pass_time(timedelta(seconds=7))

    assert 29 <= min(left)
    assert max(left) <= 40
