"""Fields out of bounds, at the check and the release: named, not quoted, and nothing is stored."""

from typing import Any
from uuid import uuid4

import pytest

from tests.support.deployment import FINGERPRINT, Deployment
from tests.support.refusals import MARK, assert_refused

NUL = "\x00"
SURROGATE = "\ud800"
LONG = MARK * 100
DEVICE: dict[str, Any] = {"fingerprint": FINGERPRINT}
BAD_CHECK: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no key": ({"key": None}, ["key"]),
    "an empty key": ({"key": ""}, ["key"]),
    "a long key": ({"key": LONG}, ["key"]),
    "a key that is a list": ({"key": [MARK]}, ["key"]),
    "NUL in the key": ({"key": f"{MARK}{NUL}"}, ["key"]),
    "a surrogate in the key": ({"key": f"{MARK}{SURROGATE}"}, ["key"]),
    "an unknown field": ({"licence": MARK}, ["licence"]),
    "an unknown field of the device": ({"device": {**DEVICE, "os": MARK}}, ["device.os"]),
    "a device that is text": ({"device": MARK}, ["device"]),
    "a device without fingerprint": ({"device": {}}, ["device.fingerprint"]),
    "a short fingerprint": ({"device": {"fingerprint": "a" * 15}}, ["device.fingerprint"]),
    "a long fingerprint": ({"device": {"fingerprint": "a" * 257}}, ["device.fingerprint"]),
    "NUL in the fingerprint": (
        {"device": {"fingerprint": MARK + NUL}}, ["device.fingerprint"]),
    "a surrogate in the fingerprint": (
        {"device": {"fingerprint": MARK + SURROGATE}}, ["device.fingerprint"]),
    "a fingerprint that is a number": (
        {"device": {"fingerprint": 10**20}}, ["device.fingerprint"]),
    "NUL in the name": ({"device": {**DEVICE, "name": MARK + NUL}}, ["device.name"]),
    "a surrogate in the platform": (
        {"device": {**DEVICE, "platform": MARK + SURROGATE}}, ["device.platform"]),
    "two thousand components": (
        {"device": {**DEVICE, "components": {f"c{n}": MARK for n in range(2_000)}}},
        ["device.components"]),
    "seventeen components": (
        {"device": {**DEVICE, "components": {f"c{n}": MARK for n in range(17)}}},
        ["device.components"]),
    "a component that is a number": (
        {"device": {**DEVICE, "components": {"cpu": 1}}}, ["device.components.cpu"]),
    "a nested component": (
        {"device": {**DEVICE, "components": {"cpu": {"id": MARK}}}}, ["device.components.cpu"]),
    "components in a list": ({"device": {**DEVICE, "components": [MARK]}}, ["device.components"]),
    "NUL in a component": (
        {"device": {**DEVICE, "components": {"cpu": MARK + NUL}}}, ["device.components.cpu"]),
    "an entitlement of null": ({"entitlements": [None]}, ["entitlements.0"]),
    "too many entitlements": ({"entitlements": [MARK] * 201}, ["entitlements"]),
    "NUL in an entitlement": ({"entitlements": ["a", MARK + NUL]}, ["entitlements.1"]),
    "NUL in the product": ({"product": MARK + NUL}, ["product"]),
    "a surrogate in the product": ({"product": MARK + SURROGATE}, ["product"]),
    "a long product": ({"product": LONG}, ["product"]),
    "a long nonce": ({"nonce": "a" * 129}, ["nonce"]),
    "NUL in the nonce": ({"nonce": MARK + NUL}, ["nonce"]),
    "a surrogate in the nonce": ({"nonce": MARK + SURROGATE}, ["nonce"]),
    "no date": ({"version_date": MARK}, ["version_date"]),
    "no day": ({"version_date": "2027-02-30"}, ["version_date"]),
    "a huge date": ({"version_date": 10**400}, ["version_date"]),
    "a date of five digits": ({"version_date": "10000-01-01"}, ["version_date"]),
    "two at once": ({"key": 1, "nonce": 2}, ["key", "nonce"]),
}  # fmt: skip


BAD_RELEASE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no device at all": ({"fingerprint": None}, ["device_id"]),
    "a device twice": ({"device_id": str(uuid4())}, ["device_id"]),
    "no uuid": ({"fingerprint": None, "device_id": MARK}, ["device_id"]),
    "a uuid with NUL": ({"fingerprint": None, "device_id": f"{uuid4()}{NUL}"}, ["device_id"]),
    "a number": ({"fingerprint": None, "device_id": 10**40}, ["device_id"]),
    "a short fingerprint": ({"fingerprint": "a" * 15}, ["fingerprint"]),
    "NUL in the fingerprint": ({"fingerprint": MARK + NUL}, ["fingerprint"]),
    "a surrogate in the fingerprint": ({"fingerprint": MARK + SURROGATE}, ["fingerprint"]),
    "no key": ({"key": None}, ["key"]),
    "NUL in the key": ({"key": MARK + NUL}, ["key"]),
    "the check's device": ({"device": {"fingerprint": MARK * 2}}, ["device"]),
}  # fmt: skip


def stored(deployment: Deployment) -> list[Any]:
    """Everything that a check or a release could write."""
    return deployment.sql(
        """
        SELECT (SELECT array_agg(d::text) FROM permit.devices AS d),
               (SELECT array_agg(s::text) FROM permit.swaps AS s),
               (SELECT array_agg(c::text) FROM permit.licence_checks AS c),
               (SELECT array_agg(l::text) FROM permit.licences AS l)
        """
    )


@pytest.mark.parametrize("name", BAD_CHECK)
def test_a_check_that_is_out_of_bounds(deployment: Deployment, name: str) -> None:
    """422 names each field and quotes no value, and nothing is stored."""
    changes, fields = BAD_CHECK[name]
    key = deployment.vendor.licence()["key"]
    before = stored(deployment)

    answer = deployment.send("licence_check", {"key": key, "device": DEVICE, **changes})

    assert_refused(answer, *fields)
    assert key not in answer.text
    assert before == stored(deployment)


@pytest.mark.parametrize("name", BAD_RELEASE)
def test_a_release_that_is_out_of_bounds(deployment: Deployment, name: str) -> None:
    """The same of a release, and the device keeps its seat."""
    changes, fields = BAD_RELEASE[name]
    key = deployment.vendor.licence()["key"]
    deployment.check(key)
    before = stored(deployment)

    answer = deployment.send("licence_release", {"key": key, "fingerprint": FINGERPRINT, **changes})

    assert_refused(answer, *fields)
    assert before == stored(deployment)


NAMES = {
    "NUL": ("a\x00b", "a\x00b"),
    "a lone surrogate": ("a\ud800b", "body"),  # no name that could be sent back
    "another alphabet": ("é", "\\xe9"),
    "without end": ("x" * 10_000, "x" * 200),
    "empty": ("", "body"),
    "a line break": ("a\nb: c", "a\nb: c"),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_field_is_named_safely(deployment: Deployment, name: str) -> None:
    """Names that the caller made up are cut and escaped, and the answer is valid JSON."""
    made_up, named = NAMES[name]
    key = deployment.vendor.licence()["key"]

    answer = deployment.send("licence_check", {"key": key, "device": DEVICE, made_up: MARK})

    assert_refused(answer, named)


@pytest.mark.parametrize("made_up", ["a\x00b", "a\ud800b", "", "x" * 65], ids=ascii)
def test_a_component_s_name_is_checked_too(deployment: Deployment, made_up: str) -> None:
    """It is stored as well as its value."""
    key = deployment.vendor.licence()["key"]
    device = {**DEVICE, "components": {"cpu": "a", made_up: MARK}}
    before = stored(deployment)

    answer = deployment.send("licence_check", {"key": key, "device": device})

    assert 422 == answer.status, answer.text
    assert answer.body["errors"][0]["field"].startswith("device.components")
    assert MARK not in answer.text
    assert before == stored(deployment)


def test_an_answer_names_so_many_errors_and_no_more(deployment: Deployment) -> None:
    """A thousand mistakes do not make a megabyte of answer."""
    request = {f"field{number}": MARK for number in range(1000)}

    answer = deployment.send("licence_check", {"key": "x", **request})

    assert 20 == len(answer.body["errors"])
    assert len(answer.text) < 10_000


EXTREMES: dict[str, dict[str, Any]] = {
    "the shortest": {"device": {"fingerprint": "a" * 16, "name": "x", "components": {}}},
    "the longest": {
        "device": {
            "fingerprint": "\U0001f4bb" * 256,
            "name": "é" * 200,
            "platform": "x" * 200,
            "components": {f"{n:064}": "\u2028" * 256 for n in range(16)},
        },
        "nonce": "\U0001f4bb" * 128,
    },
    "quotes and braces": {
        "device": {"fingerprint": "'; DROP TABLE permit.licences; --", "name": '{"a": [%s]}'},
        "nonce": "'\"\\",
    },
    "null where null may be": {
        "product": None,
        "device": {**DEVICE, "components": None, "name": None, "platform": None},
        "version_date": None,
        "nonce": None,
    },
}


@pytest.mark.parametrize("name", EXTREMES)
def test_what_is_within_bounds_is_taken(deployment: Deployment, name: str) -> None:
    """The shortest, the longest and the oddest that the contract allows are valid checks."""
    request = EXTREMES[name]
    key = deployment.vendor.licence()["key"]

    answer = deployment.send("licence_check", {"key": key, **request})

    assert ("VALID", request.get("nonce")) == (answer.body["code"], answer.body["nonce"])
    device = request["device"]
    assert [(device.get("name"), device.get("platform"))] == deployment.sql(
        "SELECT name, platform FROM permit.devices"
    )
