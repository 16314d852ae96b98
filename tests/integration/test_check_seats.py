"""Seats, one check after another: limits, overage, blocks, leaked keys, activation by hand."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.deployment import Deployment

HOUR = timedelta(hours=1)


def machine(number: int) -> str:
    return f"fingerprint-of-machine-{number}"


def verdicts(deployment: Deployment, licence: Any, numbers: range) -> list[tuple[str, bool]]:
    answers = [deployment.check(licence["key"], machine(number)) for number in numbers]
    return [(answer["code"], answer["valid"]) for answer in answers]


def devices(deployment: Deployment) -> int:
    return deployment.sql("SELECT count(*) FROM permit.devices")[0][0]


def test_a_new_device_takes_a_seat_and_keeps_it(deployment: Deployment) -> None:
    """A first check seats the device, and the second finds it seated."""
    licence = deployment.vendor.licence()

    first, second = (deployment.check(licence["key"]) for _ in range(2))

    assert ("VALID", "seated") == (first["code"], first["device"]["state"])
    assert first["device"] == second["device"]
    assert 1 == second["licence"]["devices_used"]


def test_seats_are_given_up_to_the_limit(deployment: Deployment) -> None:
    """The first ones are seated, one more is refused and leaves nothing behind."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2))

    codes = verdicts(deployment, licence, range(3))

    assert [("VALID", True), ("VALID", True), ("TOO_MANY_DEVICES", False)] == codes
    assert 2 == devices(deployment)


def test_a_refused_device_is_seated_once_a_seat_is_free(deployment: Deployment) -> None:
    """The refusal before leaves no trace."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))
    verdicts(deployment, licence, range(2))
    deployment.release(licence["key"], fingerprint=machine(0))

    answer = deployment.check(licence["key"], machine(1))

    assert ("VALID", 1) == (answer["code"], answer["licence"]["devices_used"])


@pytest.mark.parametrize(
    ("policy_limit", "own_limit", "limit"),
    [(2, None, 2), (2, 1, 1), (1, 2, 2), (1, "unlimited", None), (None, 1, 1), (2, 0, 0)],
)
def test_a_licence_s_own_limit_goes_first(
    deployment: Deployment, policy_limit: int | None, own_limit: Any, limit: int | None
) -> None:
    """Null inherits the policy's, a number replaces it, "unlimited" lifts it."""
    policy = deployment.vendor.policy(max_devices=policy_limit)
    licence = deployment.vendor.licence(policy, max_devices=own_limit)

    answers = [deployment.check(licence["key"], machine(number)) for number in range(4)]

    assert (4 if limit is None else limit) == sum(answer["valid"] for answer in answers)
    assert {limit} == {answer["licence"]["max_devices"] for answer in answers}


def test_a_lowered_limit_takes_hold_in_the_order_of_the_seats(deployment: Deployment) -> None:
    """The first devices stay valid; the others are refused, and keep seats for a raised limit."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=3))
    verdicts(deployment, licence, range(3))

    deployment.vendor.command("change-licence", licence, max_devices=1)
    lowered = verdicts(deployment, licence, range(3))
    deployment.vendor.command("change-licence", licence, max_devices=2)
    raised = verdicts(deployment, licence, range(3))

    assert [True, False, False] == [valid for _, valid in lowered]
    assert [True, True, False] == [valid for _, valid in raised]


def test_a_seat_taken_again_is_the_last_in_order(deployment: Deployment) -> None:
    """A device that gave its seat back comes last when it takes one again."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2))
    verdicts(deployment, licence, range(2))
    deployment.release(licence["key"], fingerprint=machine(0))
    verdicts(deployment, licence, range(1))

    deployment.vendor.command("change-licence", licence, max_devices=1)

    assert [False, True] == [valid for _, valid in verdicts(deployment, licence, range(2))]


def test_overage_is_tolerated_and_said_at_every_check(deployment: Deployment) -> None:
    """Beyond the limit and within the overage: valid, each time with the code that says so."""
    policy = deployment.vendor.policy(max_devices=1, overage=1)
    licence = deployment.vendor.licence(policy)

    first, second = (verdicts(deployment, licence, range(3)) for _ in range(2))

    expected = [("VALID", True), ("TOO_MANY_DEVICES", True), ("TOO_MANY_DEVICES", False)]
    assert (expected, expected) == (first, second)


def test_unlimited_seats_take_a_roll_out(deployment: Deployment) -> None:
    """Without a limit, a hundred and twenty new machines in an hour are not a leaked key."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=None))

    codes = verdicts(deployment, licence, range(120))

    assert {("VALID", True)} == {*codes}


NEWCOMERS = "The licence has met too many new devices within an hour."


@pytest.mark.parametrize(
    ("terms", "most"),
    [
        ({}, 100),
        ({"max_new_devices": 7}, 7),
        ({"max_new_devices": 0}, 0),
        ({"max_new_devices": 3, "max_devices": None}, 3),
    ],
    ids=["100", "said", "none", "without a limit of seats"],
)
def test_a_leaked_key_does_not_churn(deployment: Deployment, terms: Any, most: int) -> None:
    """Within an hour a licence takes only so many new devices, though their seats lapse."""
    policy = deployment.vendor.policy(**{"max_devices": 1, "seat_ttl": "PT8S", **terms})
    licence = deployment.vendor.licence(policy)
    for number in range(most):
        assert "VALID" == deployment.check(licence["key"], machine(number))["code"]
        deployment.pass_time(timedelta(seconds=10))

    newcomer = deployment.check(licence["key"], machine(most))
    known = deployment.check(licence["key"], machine(0)) if most else None
    deployment.pass_time(HOUR)
    later = deployment.check(licence["key"], machine(most))

    assert ("TOO_MANY_DEVICES", NEWCOMERS) == (newcomer["code"], newcomer["detail"])
    assert "devices" not in newcomer
    assert known is None or "VALID" == known["code"]
    assert ("VALID" if most else "TOO_MANY_DEVICES") == later["code"]


@pytest.mark.parametrize(
    "terms", [{"seat_ttl": "PT10M"}, {"max_releases": None}], ids=["floating", "node-locked"]
)
def test_containers_that_release_are_no_leak(deployment: Deployment, terms: Any) -> None:
    """101 one after the other, each giving its seat back: all are served."""
    policy = deployment.vendor.policy(max_devices=5, **terms)
    licence = deployment.vendor.licence(policy)

    codes = set[str]()
    for number in range(101):
        codes.add(deployment.check(licence["key"], machine(number))["code"])
        released = deployment.release(licence["key"], fingerprint=machine(number))
        assert ("RELEASED", 0) == (released["code"], released["devices_used"])

    assert {"VALID"} == codes


def test_devices_with_a_proof_that_runs_are_met(deployment: Deployment) -> None:
    """A seat that was given back and waits for its proof counts among the newcomers."""
    policy = deployment.vendor.policy(seat_ttl="P7D", max_new_devices=2)
    licence = deployment.vendor.licence(policy)

    found = list[tuple[str, int]]()
    for number in range(4):
        checked = deployment.check(licence["key"], machine(number))
        released = deployment.release(licence["key"], fingerprint=machine(number))
        found.append((checked["code"], released["devices_used"]))
    back = deployment.check(licence["key"], machine(0))
    deployment.pass_time(HOUR)
    later = deployment.check(licence["key"], machine(2))

    assert [("VALID", 1), ("VALID", 2), *[("TOO_MANY_DEVICES", 2)] * 2] == found
    assert ("VALID", "VALID") == (back["code"], later["code"])


def test_a_full_licence_says_that_it_is_full(deployment: Deployment) -> None:
    """Also where it has met its newcomers: then there is a device to release."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, max_new_devices=1))
    deployment.check(licence["key"], machine(0))

    refused = deployment.check(licence["key"], machine(1))

    assert "No seat is free for this device." == refused["detail"]
    assert 1 == len(refused["devices"])


def test_a_block_frees_the_seat_and_stays(deployment: Deployment) -> None:
    """The blocked device gets no seat again until it is unblocked; its seat serves another."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))
    device = deployment.check(licence["key"], machine(0))["device"]
    deployment.vendor.command("block-device", licence, device_id=device["id"])

    blocked = verdicts(deployment, licence, range(2))
    deployment.release(licence["key"], fingerprint=machine(1))
    deployment.vendor.command("unblock-device", licence, device_id=device["id"])
    unblocked = deployment.check(licence["key"], machine(0))

    assert [("DEVICE_BLOCKED", False), ("VALID", True)] == blocked
    assert ("VALID", device["id"]) == (unblocked["code"], unblocked["device"]["id"])


def test_a_device_activated_by_hand_keeps_its_right(deployment: Deployment) -> None:
    """It lapses and comes back by itself; once released it must be activated again."""
    policy = deployment.vendor.policy(activation="manual", max_devices=1, seat_ttl="PT1H")
    licence = deployment.vendor.licence(policy)
    before = deployment.check(licence["key"], machine(0))

    deployment.vendor.command("activate-device", licence, fingerprint=machine(0))
    seated = deployment.check(licence["key"], machine(0))
    deployment.pass_time(2 * HOUR)
    back = deployment.check(licence["key"], machine(0))
    deployment.release(licence["key"], fingerprint=machine(0))
    after = deployment.check(licence["key"], machine(0))

    codes = [answer["code"] for answer in (before, seated, back, after)]
    assert ["DEVICE_NOT_ACTIVATED", "VALID", "VALID", "DEVICE_NOT_ACTIVATED"] == codes
