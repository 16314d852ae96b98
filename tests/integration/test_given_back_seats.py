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


def begin_to_float(deployment: Deployment, licence: dict[str, Any], how: str, **terms: Any) -> None:
    """The policy is changed, or the licence moves to one like it."""
    vendor = deployment.vendor
    if how == "change":
        policy = vendor.call("GET", f"/v1/licences/{licence['id']}")["policy_id"]
        vendor.call("PATCH", f"/v1/policies/{policy}", terms)
    else:
        body = {"policy_id": vendor.policy(**{"max_devices": 1, **terms})}
        vendor.call("PATCH", f"/v1/licences/{licence['id']}", body)


@pytest.mark.parametrize("how", ["change", "move"])
@pytest.mark.parametrize("gives_back", [True, False], ids=["given back", "lapsed"])
def test_a_seat_that_begins_to_float_waits_for_its_proof(
    deployment: Deployment, how: str, gives_back: bool
) -> None:
    """Of the node-locked time; and of a check that wrote nothing, which gave it a little later."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))
    deployment.check(licence["key"], FIRST)
    deployment.pass_time(4 * MINUTE)
    end = ends_at(deployment.check(licence["key"], FIRST))

    begin_to_float(deployment, licence, how, seat_ttl="PT10M", lease="PT10M")
    answer = released(deployment, licence) if gives_back else None
    deployment.pass_time(timedelta(days=6))
    early = deployment.check(licence["key"], SECOND)
    pass_until(deployment, end - timedelta(seconds=5))
    just_before = deployment.check(licence["key"], SECOND)
    pass_until(deployment, end + 2 * MINUTE)
    late = deployment.check(licence["key"], SECOND)

    assert answer is None or timedelta(0) <= when_free(answer) - end < 2 * MINUTE
    assert ["TOO_MANY_DEVICES", "TOO_MANY_DEVICES", "VALID"] == [
        each["code"] for each in (early, just_before, late)
    ]


def test_a_node_locked_check_writes_no_oftener(deployment: Deployment) -> None:
    """Once in five minutes, though every proof ends later."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1))
    found = list[Any]()
    for _ in range(8):
        end = ends_at(deployment.check(licence["key"], FIRST))
        [(row, until)] = deployment.sql("SELECT xmin::text, leased_until FROM permit.devices")
        assert end <= until <= end + 6 * MINUTE
        found.append(row)
        deployment.pass_time(MINUTE + timedelta(seconds=5))

    assert 2 == len({*found})
    assert 5 == found.count(found[0])


def test_a_changed_machine_keeps_its_lease_where_nothing_floats(deployment: Deployment) -> None:
    """max_releases bounds it there, so its proofs are as long as before."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, matching="any"))
    parts = {"components": {"board": "a"}}
    deployment.check(licence["key"], FIRST, device=parts)

    changed = deployment.check(licence["key"], SECOND, device=parts)

    lasts = ends_at(changed) - datetime.fromisoformat(changed["checked_at"])
    assert ("VALID", 6) == (changed["code"], lasts.days)


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept"])
@pytest.mark.parametrize("how", ["change", "move"])
@pytest.mark.parametrize("seat_ttl", [None, "P30D"])
def test_a_seat_that_has_lapsed_does_not_come_back(
    deployment: Deployment, seat_ttl: str | None, how: str, is_swept: bool
) -> None:
    """By whatever the seats of the licence no longer lapse, and whether the sweep was there."""
    vendor = deployment.vendor
    policy = vendor.policy(max_devices=1, seat_ttl="PT10M", lease="PT10M")
    licence = vendor.licence(policy)
    deployment.check(licence["key"], FIRST)
    deployment.pass_time(timedelta(days=2))
    if is_swept:
        deployment.invoke("sweep", {})
    trial = {"seat_ttl": seat_ttl, "dry_run": True}
    reach = vendor.call("PATCH", f"/v1/policies/{policy}", trial)

    begin_to_float(deployment, licence, how, seat_ttl=seat_ttl)
    [device] = devices(deployment, licence)
    before = used(deployment, licence)
    newcomer = deployment.check(licence["key"], SECOND)
    deployment.pass_time(timedelta(days=2))
    later = deployment.check(licence["key"], FIRST)

    assert (0, "lapsed", 0) == (reach["seats"], device["state"], before)
    assert ("VALID", "TOO_MANY_DEVICES") == (newcomer["code"], later["code"])


@pytest.mark.parametrize("seat_ttl", [None, "P30D"])
def test_a_longer_seat_ttl_counts_from_the_next_check(
    deployment: Deployment, seat_ttl: str | None
) -> None:
    """Also where that check would else write nothing."""
    policy = deployment.vendor.policy(max_devices=1, seat_ttl="PT1H", lease="PT10M")
    licence = deployment.vendor.licence(policy)
    deployment.check(licence["key"], FIRST)
    deployment.vendor.call("PATCH", f"/v1/policies/{policy}", {"seat_ttl": seat_ttl})
    deployment.check(licence["key"], FIRST)
    deployment.pass_time(timedelta(days=2))

    assert "TOO_MANY_DEVICES" == deployment.check(licence["key"], SECOND)["code"]
