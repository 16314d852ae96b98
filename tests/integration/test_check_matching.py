"""Machines that change: recognised by their components, re-bound, and counted as swaps."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.deployment import Deployment

FIRST = "fingerprint-of-the-first-machine"
CHANGED = "fingerprint-after-a-repair"
AGAIN = "fingerprint-after-another-repair"
MONTH = timedelta(days=30)
MINUTE = timedelta(minutes=1)


def parts(text: str) -> dict[str, str]:
    """'a1 b2' is part a with hash 1 and part b with hash 2."""
    return {part[0]: f"hash-{part[1:]}" for part in text.split()}


def check(deployment: Deployment, licence: Any, fingerprint: str, text: str | None) -> Any:
    device = {} if text is None else {"components": parts(text)}
    return deployment.check(licence["key"], fingerprint, device=device)


# matching, stored, sent, is it the same machine?
TABLE = [
    ("exact", "a1 b1", "a1 b1", False),
    ("any", "a1 b1 c1", "a1 b2 c2", True),
    ("any", "a1 b1", "a2 b2", False),
    ("any", "a1", "b1", False),  # equal hashes under different names are not equal
    ("two", "a1 b1 c1", "a1 b1 c2", True),
    ("two", "a1 b1 c1", "a1 b2 c2", False),
    ("two", "a1", "a1", False),
    ("most", "a1 b1 c1 d1", "a1 b1 c2 d2", True),
    ("most", "a1 b1 c1 d1", "a1 b2 c2 d2", False),
    ("most", "a1 b1 c1", "a1 b1 c2", True),
    ("most", "a1 b1 c1", "a1 b2 c2", False),
    ("most", "a1", "a1 b1", True),  # n is the larger of what is stored and what is sent
    ("most", "a1", "a1 b1 c1", False),
    ("most", "a1 b1 c1", "a1", False),
    ("all", "a1 b1", "a1 b1", True),
    ("all", "a1 b1", "a1 b1 c1", False),
    ("all", "a1 b1 c1", "a1 b1", False),
    ("all", "a1 b1", "a1 b2", False),
    ("any", "", "", False),
    ("most", "", "", False),
    ("all", "", "", False),
    ("all", "", "a1", False),
]


@pytest.mark.parametrize(
    ("matching", "stored", "sent", "is_same"),
    TABLE,
    ids=[f"{matching}: {stored or '-'} / {sent or '-'}" for matching, stored, sent, _ in TABLE],
)
def test_a_changed_machine_is_recognised(
    deployment: Deployment, matching: str, stored: str, sent: str, is_same: bool
) -> None:
    """With one seat the changed machine keeps it exactly where enough of its parts are equal."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching=matching, max_devices=1))
    before = check(deployment, licence, FIRST, stored)["device"]

    after = check(deployment, licence, CHANGED, sent)

    assert ("VALID" if is_same else "TOO_MANY_DEVICES") == after["code"]
    assert (before["id"] if is_same else None) == (after["device"] and after["device"]["id"])


@pytest.mark.parametrize("stored", [None, "a1"])
def test_without_components_nothing_is_recognised(
    deployment: Deployment, stored: str | None
) -> None:
    """A machine that sends none is known by its fingerprint alone."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any", max_devices=1))
    check(deployment, licence, FIRST, stored)

    assert "TOO_MANY_DEVICES" == check(deployment, licence, CHANGED, None)["code"]


def test_the_most_alike_is_chosen_and_of_those_the_latest_seen(deployment: Deployment) -> None:
    """More equal parts win; of two as much alike, the one that was seen last."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any"))
    machines = {f"fingerprint-of-machine-{name}": name for name in ("old", "twin", "stranger")}
    ids = {
        name: check(deployment, licence, fingerprint, None)["device"]["id"]
        for fingerprint, name in machines.items()
    }
    for fingerprint, text in zip(machines, ("a1 b1", "a1 b1", "c1 d1 e1"), strict=True):
        deployment.pass_time(6 * MINUTE)  # due: the parts that it sends are kept
        check(deployment, licence, fingerprint, text)

    tie = check(deployment, licence, CHANGED, "a1 b1 c1")["device"]["id"]
    most = check(deployment, licence, AGAIN, "a1 d1 e1")["device"]["id"]

    assert 3 == len({*ids.values()})
    assert (ids["twin"], ids["stranger"]) == (tie, most)


def test_the_fingerprint_goes_before_the_components(deployment: Deployment) -> None:
    """A known fingerprint is that device, whatever parts it sends."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any"))
    first = check(deployment, licence, FIRST, "a1")["device"]["id"]
    check(deployment, licence, CHANGED, "b1")

    assert first == check(deployment, licence, FIRST, "b1")["device"]["id"]


def test_a_machine_may_change_bit_by_bit(deployment: Deployment) -> None:
    """Each re-bind keeps the new parts, so the next one is measured against those."""
    policy = deployment.vendor.policy(matching="most", max_devices=1)
    licence = deployment.vendor.licence(policy)

    answers = [
        check(deployment, licence, fingerprint, text)
        for fingerprint, text in ((FIRST, "a1 b1"), (CHANGED, "a1 b2"), (AGAIN, "a2 b2"))
    ]

    assert {"VALID"} == {answer["code"] for answer in answers}
    assert 1 == len({answer["device"]["id"] for answer in answers})


def test_a_fingerprint_that_was_left_never_matches_again(deployment: Deployment) -> None:
    """Not by itself, not by its parts: two machines cannot share a seat by taking turns."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any", max_devices=1))
    check(deployment, licence, FIRST, "a1")
    check(deployment, licence, CHANGED, "a1")

    by_parts = check(deployment, licence, FIRST, "a1")
    by_itself = check(deployment, licence, FIRST, None)
    still = check(deployment, licence, CHANGED, "a1")

    codes = [answer["code"] for answer in (by_parts, by_itself, still)]
    assert ["TOO_MANY_DEVICES", "TOO_MANY_DEVICES", "VALID"] == codes


def test_a_fingerprint_may_be_left_more_than_once(deployment: Deployment) -> None:
    """One that came back as a new device changes like any other."""
    policy = deployment.vendor.policy(matching="any", max_devices=2, max_releases=None)
    licence = deployment.vendor.licence(policy)
    check(deployment, licence, FIRST, "a1")
    check(deployment, licence, CHANGED, "a1")
    new = check(deployment, licence, FIRST, "b1")

    changed = check(deployment, licence, AGAIN, "b1")

    assert ("VALID", new["device"]["id"]) == (changed["code"], changed["device"]["id"])


def test_a_block_is_not_shaken_off_by_changing_parts(deployment: Deployment) -> None:
    """A blocked machine is recognised, stays blocked, and going back does not help either."""
    policy = deployment.vendor.policy(matching="any", max_releases=0)
    licence = deployment.vendor.licence(policy)
    device = check(deployment, licence, FIRST, "a1")["device"]
    deployment.vendor.command("block-device", licence, device_id=device["id"])

    changed = check(deployment, licence, CHANGED, "a1")
    back = check(deployment, licence, FIRST, None)
    again = check(deployment, licence, AGAIN, "a1")

    assert {"DEVICE_BLOCKED"} == {answer["code"] for answer in (changed, back, again)}
    assert (device["id"], "blocked") == (again["device"]["id"], again["device"]["state"])
    assert [(1, 0)] == deployment.sql(
        "SELECT (SELECT count(*) FROM permit.devices), (SELECT count(*) FROM permit.swaps)"
    )


def test_a_block_holds_for_a_fingerprint_left_twice(deployment: Deployment) -> None:
    """The device that left it last decides."""
    licence = deployment.vendor.licence(deployment.vendor.policy(matching="any", max_devices=9))
    check(deployment, licence, FIRST, "a1")
    check(deployment, licence, CHANGED, "a1")
    second = check(deployment, licence, FIRST, "b1")["device"]
    deployment.vendor.command("block-device", licence, device_id=second["id"])
    check(deployment, licence, AGAIN, "b1")

    assert "DEVICE_BLOCKED" == check(deployment, licence, FIRST, None)["code"]


def test_re_binds_are_counted_with_the_releases(deployment: Deployment) -> None:
    """When they are used up a changed machine is a new one, until a month has passed."""
    policy = deployment.vendor.policy(matching="any", max_devices=1, max_releases=2)
    licence = deployment.vendor.licence(policy)
    check(deployment, licence, FIRST, "a1")
    deployment.release(licence["key"], fingerprint=FIRST)
    check(deployment, licence, FIRST, "a1")
    second = check(deployment, licence, CHANGED, "a1")

    third = check(deployment, licence, AGAIN, "a1")
    refused = deployment.release(licence["key"], fingerprint=CHANGED)
    deployment.pass_time(MONTH)
    later = check(deployment, licence, AGAIN, "a1")

    codes = [second["code"], third["code"], refused["code"], later["code"]]
    assert ["VALID", "TOO_MANY_DEVICES", "RELEASE_LIMIT", "VALID"] == codes


def test_floating_licences_re_bind_freely(deployment: Deployment) -> None:
    """Their seats come and go by themselves: there is nothing to count."""
    policy = deployment.vendor.policy(
        matching="any", max_devices=1, max_releases=0, seat_ttl="PT1H"
    )
    licence = deployment.vendor.licence(policy)

    answers = [check(deployment, licence, f"{FIRST}-{turn}", "a1") for turn in range(5)]

    assert {"VALID"} == {answer["code"] for answer in answers}
    assert 1 == len({answer["device"]["id"] for answer in answers})


def test_a_machine_of_another_licence_is_not_recognised(deployment: Deployment) -> None:
    """Parts are compared within one licence."""
    policy = deployment.vendor.policy(matching="any", max_devices=1)
    first, second = (deployment.vendor.licence(policy) for _ in range(2))
    own = check(deployment, first, FIRST, "a1")["device"]["id"]

    other = check(deployment, second, CHANGED, "a1")

    assert "VALID" == other["code"]
    assert own != other["device"]["id"]
