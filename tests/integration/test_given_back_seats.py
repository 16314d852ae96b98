"""A floating seat that its holder gives back waits for the last proof: no seat gives two."""

import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from permit.check import check as checks
from permit.check.check import CheckOutcome
from tests.support.deployment import Deployment
from tests.support.proof_reading import claims_of
from tests.support.racing import checking, race

MINUTE = timedelta(minutes=1)
SOON = 15 * MINUTE
FIRST = "fingerprint-of-the-first-machine"
SECOND = "fingerprint-of-the-second-machine"


def ends_at(answer: dict[str, Any]) -> datetime:
    """The end of the proof, in whole seconds."""
    return datetime.fromtimestamp(claims_of(answer["proof"])["exp"], UTC)


def used(deployment: Deployment, licence: dict[str, Any]) -> int:
    return deployment.vendor.call("GET", f"/v1/licences/{licence['id']}")["devices_used"]


def devices(deployment: Deployment, licence: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    path = f"/v1/licences/{licence['id']}/devices"
    return deployment.vendor.call("GET", path, query=query)["items"]


def released(deployment: Deployment, licence: dict[str, Any], fingerprint: str = FIRST) -> Any:
    return deployment.release(licence["key"], fingerprint=fingerprint)


def when_free(answer: dict[str, Any]) -> datetime:
    assert answer["seat_free_at"].endswith("Z")
    return datetime.fromisoformat(answer["seat_free_at"])


def pass_until(deployment: Deployment, instant: datetime) -> None:
    deployment.sql("UPDATE test_clock SET shift = shift + (%s - permit.clock())", instant)


def test_the_seat_is_taken_until_its_last_proof_ends(deployment: Deployment) -> None:
    """By each way of looking; and then it is free by each, with nothing marked in between."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="P30D"))
    proof = deployment.check(licence["key"], FIRST)

    answer = released(deployment, licence)
    again = released(deployment, licence)
    early = deployment.check(licence["key"], SECOND)
    by_hand = deployment.call(
        "POST",
        f"/v1/licences/{licence['id']}/devices",
        {"fingerprint": SECOND},
        token=deployment.vendor.token,
    )
    [listed] = devices(deployment, licence, state="seated")
    during = used(deployment, licence)
    pass_until(deployment, when_free(answer))
    after = (used(deployment, licence), [each["state"] for each in devices(deployment, licence)])
    late = deployment.check(licence["key"], SECOND)

    assert timedelta(0) <= when_free(answer) - ends_at(proof) < timedelta(seconds=1)
    assert (True, "RELEASED", 1) == (answer["released"], answer["code"], answer["devices_used"])
    assert answer | {"released": False, "code": "NOT_ACTIVATED"} == again
    assert ("TOO_MANY_DEVICES", 1) == (early["code"], early["licence"]["devices_used"])
    assert [listed["id"]] == [each["id"] for each in early["devices"]]
    assert (409, "too_many_devices") == (by_hand.status, by_hand.body["code"])
    assert answer["seat_free_at"] == listed["seat_free_at"]
    assert 1 == during
    assert (0, ["released"]) == after
    assert "VALID" == late["code"]


def test_a_seat_whose_proof_ends_soon_is_free_at_once(deployment: Deployment) -> None:
    """Within fifteen minutes."""
    policy = deployment.vendor.policy(max_devices=1, seat_ttl="P1D", lease="PT20M")
    licence = deployment.vendor.licence(policy)
    deployment.check(licence["key"], FIRST)
    kept = released(deployment, licence)
    deployment.check(licence["key"], FIRST)
    deployment.pass_time(5 * MINUTE)

    freed = released(deployment, licence)
    next_one = deployment.check(licence["key"], SECOND)

    assert kept["seat_free_at"] is not None
    assert (True, 0, None) == tuple(
        freed[name] for name in ("released", "devices_used", "seat_free_at")
    )
    assert "VALID" == next_one["code"]


def test_the_same_device_comes_back(deployment: Deployment) -> None:
    """Before its seat is free it is still its own; and then it is not given back any more."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="P1D"))
    first = deployment.check(licence["key"], FIRST)
    free_at = when_free(released(deployment, licence))

    refused = deployment.check(licence["key"], FIRST, entitlements=["no such"])
    [still] = devices(deployment, licence)
    back = deployment.check(licence["key"], FIRST)
    [device] = devices(deployment, licence)
    pass_until(deployment, free_at)
    other = deployment.check(licence["key"], SECOND)

    assert ("ENTITLEMENTS_MISSING", free_at) == (refused["code"], when_free(still))
    assert ("VALID", first["device"]["id"]) == (back["code"], back["device"]["id"])
    assert ("seated", None) == (device["state"], device["seat_free_at"])
    assert "TOO_MANY_DEVICES" == other["code"]


def test_the_vendor_s_own_ways_take_hold_at_once(deployment: Deployment) -> None:
    """A release or a block frees the seat now; activated by hand, it is not given back any more."""
    vendor = deployment.vendor
    policy = vendor.policy(max_devices=1, seat_ttl="P1D")
    for action in ("release-device", "block-device"):
        licence = vendor.licence(policy)
        device = deployment.check(licence["key"], FIRST)["device"]
        released(deployment, licence)
        vendor.command(action, licence, device_id=device["id"])
        assert 0 == used(deployment, licence)
        assert [None] == [each["seat_free_at"] for each in devices(deployment, licence)]
        assert "VALID" == deployment.check(licence["key"], SECOND)["code"]

    licence = vendor.licence(policy)
    deployment.check(licence["key"], FIRST)
    free_at = when_free(released(deployment, licence))
    vendor.command("activate-device", licence, fingerprint=FIRST)
    pass_until(deployment, free_at)

    assert [("seated", None)] == [
        (each["state"], each["seat_free_at"]) for each in devices(deployment, licence)
    ]


@pytest.mark.parametrize(
    "change", [{"lease": "PT1M"}, {"seat_ttl": "PT10S"}, {"lease": "PT1M", "seat_ttl": "PT1M"}]
)
def test_a_shorter_policy_forgets_no_proof(deployment: Deployment, change: Any) -> None:
    """What was handed out before the change still counts, given back or not."""
    vendor = deployment.vendor
    policy = vendor.policy(max_devices=1, seat_ttl="P1D")
    for gives_back in (True, False):
        licence = vendor.licence(policy)
        proof = deployment.check(licence["key"], FIRST)
        vendor.call("PATCH", f"/v1/policies/{policy}", change)
        if gives_back:
            assert ends_at(proof) <= when_free(released(deployment, licence))
        deployment.pass_time(timedelta(hours=23))
        early = deployment.check(licence["key"], SECOND)
        deployment.pass_time(timedelta(hours=2))
        late = deployment.check(licence["key"], SECOND)
        vendor.call("PATCH", f"/v1/policies/{policy}", {"lease": "P7D", "seat_ttl": "P1D"})

        assert ["TOO_MANY_DEVICES", "VALID"] == [early["code"], late["code"]]


def test_a_longer_lease_is_noted_when_it_is_given(deployment: Deployment) -> None:
    """A check that would else write nothing says in the row that its proof ends later."""
    vendor = deployment.vendor
    policy = vendor.policy(max_devices=1, seat_ttl="P30D", lease="PT20M")
    licence = vendor.licence(policy)
    deployment.check(licence["key"], FIRST)
    vendor.call("PATCH", f"/v1/policies/{policy}", {"lease": "P9D"})

    proof = deployment.check(licence["key"], FIRST)
    answer = released(deployment, licence)

    assert ends_at(proof) - datetime.fromisoformat(proof["checked_at"]) > timedelta(days=8)
    assert ends_at(proof) <= when_free(answer)


def test_a_row_of_the_release_before_waits_the_longest(deployment: Deployment) -> None:
    """It does not say when its last proof ends: at most with the lease after its last check."""
    policy = deployment.vendor.policy(max_devices=1, seat_ttl="P30D", lease="PT1H")
    licence = deployment.vendor.licence(policy)
    proof = deployment.check(licence["key"], FIRST)
    deployment.sql("UPDATE permit.devices SET leased_until = NULL")

    answer = released(deployment, licence)

    assert ends_at(proof) <= when_free(answer) <= ends_at(proof) + 6 * MINUTE


def test_the_sweep_marks_what_is_free(deployment: Deployment) -> None:
    """As released, and not a moment before."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, seat_ttl="P1D"))
    deployment.check(licence["key"], FIRST)
    free_at = when_free(released(deployment, licence))

    early = deployment.invoke("sweep", {})
    pass_until(deployment, free_at)
    late = deployment.invoke("sweep", {})

    assert [(0, 1), (1, 0)] == [(e["seats_lapsed"], e["seats_taken"]) for e in (early, late)]
    assert [("released",)] == deployment.sql("SELECT state FROM permit.devices")


def test_releases_and_checks_that_race_lose_no_proof(deployment: Deployment) -> None:
    """Whatever comes first: a seat that ends up given back waits for the longest proof."""
    policy = deployment.vendor.policy(max_devices=1, seat_ttl="P1D", lease="PT1H")
    licence = deployment.vendor.licence(policy)
    deployment.check(licence["key"], FIRST)
    check, fingerprint_hash = checking(licence["key"], FIRST), sha256(FIRST.encode()).digest()
    ends: list[datetime] = []
    for _ in range(15):
        deployment.pass_time(6 * MINUTE)  # a check has something to write
        outcomes = race(
            deployment,
            [
                check,
                lambda database: checks.release(database, licence["key"], fingerprint_hash, None),
                check,
            ],
        )
        ends += [
            each.facts.lease_until
            for each in outcomes
            if isinstance(each, CheckOutcome) and each.facts is not None
        ]
        [device] = devices(deployment, licence)
        assert device["seat_free_at"] is None or max(ends) <= when_free(device)

    assert 30 == len(ends)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("seat_ttl", "lease"),
    [("P30D", "P7D"), ("PT2H", "P7D"), ("P7D", "PT40M"), ("PT20M", "PT20M"), ("PT10S", "P1D")],
)
def test_no_more_proofs_than_seats(
    deployment: Deployment, seat_ttl: str, lease: str, seed: int
) -> None:
    """Of those that are good for longer than 15 minutes, however seats come and go.

    Machines check, release, and come again with other fingerprints and the same parts.
    """
    dice = random.Random(f"{seat_ttl} {lease} {seed}")  # noqa: S311 (it only has to repeat)
    policy = deployment.vendor.policy(
        max_devices=2, overage=1, seat_ttl=seat_ttl, lease=lease, matching="any"
    )
    licence = deployment.vendor.licence(policy)
    shortest = deployment.sql(
        "SELECT least(%s::interval, %s::interval, '3 hours')", seat_ttl, lease
    )[0][0]
    held: dict[str, datetime] = {}  # by fingerprint, the end of its longest proof
    most = 0
    for _ in range(40):
        machine = dice.randrange(6)
        fingerprint = f"fingerprint-of-machine-{machine}-{dice.randrange(2)}"
        answer = deployment.check(
            licence["key"], fingerprint, device={"components": {"board": f"board-{machine}"}}
        )
        now = datetime.fromisoformat(answer["checked_at"])
        if answer["valid"]:
            held[fingerprint] = max(ends_at(answer), held.get(fingerprint, now))
        good = sum(end > now + SOON for end in held.values())
        assert good <= 3, held
        most = max(most, good)
        if dice.random() < 0.7:
            released(deployment, licence, dice.choice([fingerprint, *held]))
        deployment.pass_time(shortest * dice.choice([0, 0, 0.01, 0.1, 0.3, 1.1]))

    assert most == (0 if shortest <= SOON else 3)
