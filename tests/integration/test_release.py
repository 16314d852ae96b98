"""POST /v1/licences/release: the key's holder gives a seat back, so often and no oftener."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.deployment import FINGERPRINT, Deployment

OTHER = "fingerprint-of-another-machine"
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def answer(code: str, *, used: int | None, at: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "released": code == "RELEASED",
        "code": code,
        "devices_used": used,
        "available_at": at,
        "seat_free_at": None,
        **more,
    }


def swaps(deployment: Deployment) -> int:
    return deployment.sql("SELECT count(*) FROM permit.swaps")[0][0]


def state(deployment: Deployment) -> str:
    return deployment.sql("SELECT state FROM permit.devices")[0][0]


@pytest.mark.parametrize("by", ["id", "fingerprint"])
def test_a_seat_is_given_back_once(deployment: Deployment, by: str) -> None:
    """By id or by fingerprint; a second time there is nothing to give back, and nothing counted."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2))
    device = deployment.check(licence["key"])["device"]
    deployment.check(licence["key"], OTHER)
    named = {"device_id": device["id"]} if by == "id" else {"fingerprint": FINGERPRINT}

    first, second = (deployment.release(licence["key"], **named) for _ in range(2))

    assert answer("RELEASED", used=1) == first
    assert answer("NOT_ACTIVATED", used=1) == second
    assert 1 == swaps(deployment)


def test_an_unknown_key_tells_nothing(deployment: Deployment) -> None:
    """Neither an unknown key nor a mistyped one says whether the device exists."""
    deployment.check(deployment.vendor.licence()["key"])

    for key, mistyped in (("012345-6789AB-CDEFGH-JKMNPQ-RSTVTR", False), ("no key at all", True)):
        released = deployment.release(key, fingerprint=FINGERPRINT)
        assert answer("NOT_FOUND", used=None, mistyped=mistyped) == released
    assert "seated" == state(deployment)


NEVER_SEEN = [{"fingerprint": OTHER}, {"device_id": str(UUID(int=1))}]


@pytest.mark.parametrize("named", NEVER_SEEN, ids=str)
def test_a_device_that_was_never_activated(deployment: Deployment, named: Any) -> None:
    """An unknown device is NOT_ACTIVATED, and is not stored by asking."""
    licence = deployment.vendor.licence()
    deployment.check(licence["key"])

    assert answer("NOT_ACTIVATED", used=1) == deployment.release(licence["key"], **named)
    assert [(1,)] == deployment.sql("SELECT count(*) FROM permit.devices")


@pytest.mark.parametrize("by", ["id", "fingerprint"])
def test_a_key_releases_its_own_devices_only(deployment: Deployment, by: str) -> None:
    """Another licence's device cannot be released, not even by its id."""
    own, foreign = deployment.vendor.licence(), deployment.vendor.licence()
    device = deployment.check(foreign["key"])["device"]
    named = {"device_id": device["id"]} if by == "id" else {"fingerprint": FINGERPRINT}

    assert answer("NOT_ACTIVATED", used=0) == deployment.release(own["key"], **named)
    assert "seated" == state(deployment)


def test_a_replaced_key_releases_nothing(deployment: Deployment) -> None:
    """Somebody with only the old key cannot change the seats any more; in its overlap they can."""
    licence = deployment.vendor.licence()
    deployment.check(licence["key"])
    deployment.vendor.command("rotate-licence-key", licence, overlap="PT1H")

    deployment.pass_time(timedelta(hours=1))
    after = deployment.release(licence["key"], fingerprint=FINGERPRINT)
    deployment.pass_time(-timedelta(hours=1))
    within = deployment.release(licence["key"], fingerprint=FINGERPRINT)

    assert ["NOT_FOUND", "RELEASED"] == [after["code"], within["code"]]


def test_a_blocked_device_stays_blocked(deployment: Deployment) -> None:
    """HTTP 200, and nothing changes: a release does not lift what the vendor did."""
    licence = deployment.vendor.licence()
    device = deployment.check(licence["key"])["device"]
    deployment.vendor.command("block-device", licence, device_id=device["id"])

    released = deployment.release(licence["key"], device_id=device["id"])

    assert answer("NOT_ACTIVATED", used=0) == released
    assert "blocked" == state(deployment)
    assert 0 == swaps(deployment)


def test_a_lapsed_seat_is_not_there_to_give_back(deployment: Deployment) -> None:
    """A floating seat that ran out costs nothing and is not counted."""
    licence = deployment.vendor.licence(deployment.vendor.policy(seat_ttl="PT1H"))
    deployment.check(licence["key"])
    deployment.pass_time(timedelta(hours=1, minutes=5))

    released = deployment.release(licence["key"], fingerprint=FINGERPRINT)

    assert answer("NOT_ACTIVATED", used=0) == released


def test_releases_are_limited_in_any_thirty_days(deployment: Deployment) -> None:
    """The third within thirty days is refused, and says when the first of them is forgotten."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_releases=2))
    codes = []
    for _ in range(2):
        deployment.check(licence["key"])
        codes.append(deployment.release(licence["key"], fingerprint=FINGERPRINT)["code"])
        deployment.pass_time(DAY)
    device = deployment.check(licence["key"])["device"]
    first_swap = deployment.sql("SELECT min(swapped_at) FROM permit.swaps")[0][0]

    refused = deployment.release(licence["key"], fingerprint=FINGERPRINT)
    deployment.pass_time(28 * DAY - MINUTE)
    early = deployment.release(licence["key"], device_id=device["id"])
    deployment.pass_time(MINUTE)
    late = deployment.release(licence["key"], device_id=device["id"])

    assert ["RELEASED", "RELEASED", "RELEASE_LIMIT"] == [*codes, refused["code"]]
    assert (False, 1) == (refused["released"], refused["devices_used"])
    assert first_swap + 30 * DAY == datetime.fromisoformat(refused["available_at"])
    assert refused["available_at"].endswith("Z")
    assert ["RELEASE_LIMIT", "RELEASED"] == [early["code"], late["code"]]


def test_no_release_may_be_allowed_at_all(deployment: Deployment) -> None:
    """With max_releases 0 there is no time at which one will be free."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_releases=0))
    deployment.check(licence["key"])

    released = deployment.release(licence["key"], fingerprint=FINGERPRINT)

    assert answer("RELEASE_LIMIT", used=1) == released


@pytest.mark.parametrize(
    "terms",
    [{"max_releases": None}, {"max_releases": 0, "seat_ttl": "P30D"}],
    ids=["unlimited", "floating"],
)
def test_some_licences_release_without_limit(deployment: Deployment, terms: Any) -> None:
    """Where the vendor says so, and where seats float."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=1, **terms))

    codes = []
    for _ in range(5):
        deployment.check(licence["key"])
        codes.append(deployment.release(licence["key"], fingerprint=FINGERPRINT)["code"])

    assert ["RELEASED"] * 5 == codes


def test_the_vendor_s_releases_are_not_counted(deployment: Deployment) -> None:
    """Vendors release as often as they like, without using up the holder's own releases."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_releases=1))
    for _ in range(3):
        device = deployment.check(licence["key"])["device"]
        deployment.vendor.command("release-device", licence, device_id=device["id"])
    deployment.check(licence["key"])

    assert "RELEASED" == deployment.release(licence["key"], fingerprint=FINGERPRINT)["code"]


def test_limits_are_each_licence_s_own(deployment: Deployment) -> None:
    """One holder's releases are not another's."""
    policy = deployment.vendor.policy(max_releases=1)
    licences = [deployment.vendor.licence(policy) for _ in range(2)]
    for licence in licences:
        deployment.check(licence["key"])

    codes = [deployment.release(each["key"], fingerprint=FINGERPRINT)["code"] for each in licences]

    assert ["RELEASED", "RELEASED"] == codes


def test_who_finds_no_seat_is_told_who_holds_them(deployment: Deployment) -> None:
    """The owner of a dead laptop sees their devices, longest unused first, and frees one."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2))
    laptop = {"name": "Old laptop", "platform": "linux"}
    first = deployment.check(licence["key"], f"{OTHER}-1", device=laptop)["device"]
    deployment.pass_time(MINUTE)
    second = deployment.check(licence["key"], f"{OTHER}-2")["device"]

    refused = deployment.check(licence["key"])
    deployment.release(licence["key"], device_id=refused["devices"][0]["id"])
    seated = deployment.check(licence["key"])

    assert [
        {"id": first["id"], **laptop, "last_seen_at": first["last_seen_at"]},
        {
            "id": second["id"],
            "name": None,
            "platform": None,
            "last_seen_at": second["last_seen_at"],
        },
    ] == refused["devices"]
    assert ["TOO_MANY_DEVICES", "VALID"] == [refused["code"], seated["code"]]
    assert "devices" not in seated


def test_no_device_is_listed_where_the_vendor_helps_himself(deployment: Deployment) -> None:
    """Without self_service the refusal names nobody."""
    policy = deployment.vendor.policy(max_devices=1, self_service=False)
    licence = deployment.vendor.licence(policy)
    deployment.check(licence["key"], OTHER)

    refused = deployment.check(licence["key"])

    assert "TOO_MANY_DEVICES" == refused["code"]
    assert "devices" not in refused


def test_only_seated_devices_are_listed(deployment: Deployment) -> None:
    """Released, blocked and lapsed ones hold no seat, so releasing them would help nobody."""
    policy = deployment.vendor.policy(max_devices=2, seat_ttl="PT12M", max_releases=None)
    licence = deployment.vendor.licence(policy)
    deployment.check(licence["key"], f"{OTHER}-lapsed")
    deployment.pass_time(15 * MINUTE)
    deployment.check(licence["key"], f"{OTHER}-released")
    deployment.release(licence["key"], fingerprint=f"{OTHER}-released")
    blocked = deployment.check(licence["key"], f"{OTHER}-blocked")["device"]
    deployment.vendor.command("block-device", licence, device_id=blocked["id"])
    seated = [deployment.check(licence["key"], f"{OTHER}-{n}")["device"]["id"] for n in range(2)]

    refused = deployment.check(licence["key"])

    assert seated == [device["id"] for device in refused["devices"]]


def test_without_any_seat_the_list_is_empty(deployment: Deployment) -> None:
    """A limit of none: refused as full, and nobody to release."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=0))

    refused = deployment.check(licence["key"])

    assert ("TOO_MANY_DEVICES", []) == (refused["code"], refused["devices"])


def test_a_lapsed_device_beyond_a_lowered_limit_is_told_too(deployment: Deployment) -> None:
    """It has lost its own seat and another device has the last one: it sees which."""
    licence = deployment.vendor.licence(deployment.vendor.policy(max_devices=2, seat_ttl="PT1H"))
    deployment.check(licence["key"])
    deployment.pass_time(30 * MINUTE)
    other = deployment.check(licence["key"], OTHER)["device"]
    deployment.vendor.command("change-licence", licence, max_devices=1)
    deployment.pass_time(35 * MINUTE)

    refused = deployment.check(licence["key"])

    assert ("TOO_MANY_DEVICES", "lapsed") == (refused["code"], refused["device"]["state"])
    assert [other["id"]] == [device["id"] for device in refused["devices"]]
