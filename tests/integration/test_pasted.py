"""What people paste and type is read as what they mean, wherever it is sent."""

from collections.abc import Callable

import pytest

from tests.support.deployment import FINGERPRINT, Deployment

PASTED: dict[str, Callable[[str], str]] = {
    "a newline at its end": lambda key: key + "\n",
    "a wrapped line": lambda key: key[:20] + "\r\n    " + key[20:],
    "no-break and zero-width spaces": lambda key: "\u200b" + key.replace("-", "\u00a0"),
    "en dashes": lambda key: key.replace("-", "–"),
    "full width": lambda key: "".join(chr(ord(each) + 0xFEE0) for each in key),
}


@pytest.mark.parametrize("name", PASTED)
def test_a_pasted_key_is_the_key(deployment: Deployment, name: str) -> None:
    """At the check, a usage, the vendor's search and the release."""
    vendor = deployment.vendor
    policy = vendor.policy(meters=[{"name": "m", "limit": None, "period": None}])
    licence = vendor.licence(policy)
    key = PASTED[name](licence["key"])

    checked = deployment.check(key)
    used = deployment.send("licence_usage", {"key": key, "meter": "m"})
    found = vendor.call("POST", "/v1/licences/lookup", {"key": key})
    released = deployment.release(key, fingerprint=FINGERPRINT)

    assert ("VALID", True, "RELEASED") == (checked["code"], used.body["allowed"], released["code"])
    assert licence["id"] == checked["licence"]["id"] == found["id"]


def test_a_pasted_hint_is_the_hint(deployment: Deployment) -> None:
    """With a newline, in lower case, with an O for a 0."""
    vendor = deployment.vendor
    hint = vendor.licence()["key_hint"]
    pasted = f" {hint.lower().replace('0', 'o')}\n"

    [found] = vendor.call("GET", "/v1/licences", query={"key_hint": pasted})["items"]

    assert hint == found["key_hint"]


@pytest.mark.parametrize("typed", ["istanbul", "İstanbul", "ISTANBUL", "ıstanbul", "i̇stanbul"])
@pytest.mark.parametrize("name", ["İstanbul", "Istanbul", "istanbul A.Ş."])
def test_a_holder_is_found_with_the_i_of_either_language(
    deployment: Deployment, typed: str, name: str
) -> None:
    """With a dot or without one, as a search and as a beginning."""
    vendor = deployment.vendor
    licence = vendor.licence(holder={"name": name})

    for query in ({"q": typed}, {"q": typed[-7:]}, {"holder": typed[:3]}):
        found = vendor.call("GET", "/v1/licences", query=query)["items"]
        assert [licence["id"]] == [each["id"] for each in found], query
