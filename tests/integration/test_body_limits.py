"""How long a body may be, and that who asks is settled before one is parsed."""

import base64
import json
import resource
from typing import Any

import pytest

from tests.support.deployment import FINGERPRINT, Deployment

KIBIBYTE = 1024
BOMB = "{" + ",".join(f'"u{n}":{n}' for n in range(400_000)) + "}"  # some 5 MB
OPEN = ["licence_check", "licence_release", "login", "login_refresh", "login_second_factor"]
OPEN += ["login_logout"]


def padded(body: dict[str, Any], size: int) -> str:
    """The body as JSON of exactly so many bytes."""
    text = json.dumps(body)
    return text + " " * (size - len(text))


def assert_too_large(answer: Any, largest: str) -> None:
    assert (413, "body_too_large") == (answer.status, answer.body["code"]), answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    assert f"The body must be at most {largest} bytes." == answer.body["detail"]


def test_a_check_reads_64_kib(deployment: Deployment) -> None:
    """Not a byte more, whether it came as text or as base64."""
    body = {"key": deployment.vendor.licence()["key"], "device": {"fingerprint": FINGERPRINT}}
    for is_base64 in (False, True):
        answers = []
        for size in (64 * KIBIBYTE, 64 * KIBIBYTE + 1):
            text = padded(body, size)
            raw = base64.b64encode(text.encode()).decode() if is_base64 else text
            answers.append(deployment.send("licence_check", raw_body=raw, is_base64=is_base64))

        assert "VALID" == answers[0].body["code"]
        assert_too_large(answers[1], "65,536")


def test_bytes_are_counted_and_not_letters(deployment: Deployment) -> None:
    """30,000 letters of three bytes each are too many."""
    assert_too_large(deployment.send("licence_check", raw_body='"' + "€" * 30_000 + '"'), "65,536")


@pytest.mark.parametrize("event", OPEN)
def test_no_open_route_reads_more(deployment: Deployment, event: str) -> None:
    """The check, the release and every step of the login, to whoever asks."""
    assert_too_large(deployment.send(event, raw_body=BOMB), "65,536")


def test_who_asks_is_settled_first(deployment: Deployment) -> None:
    """5 MB behind an API key that nobody has: 401, and no memory for parsing it."""
    deployment.call("POST", "/v1/licences/batch", {}, token="permit_ak_x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for path in ("/v1/licences/batch", "/v1/licences", "/v1/products", "/v1/users", "/v1/api-keys"):
        answer = deployment.call("POST", path, token="permit_ak_x", raw_body=BOMB)
        assert (401, "not_authenticated") == (answer.status, answer.body["code"])

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * KIBIBYTE  # KiB


def test_what_is_wrong_is_told_to_whom_the_route_is_open(deployment: Deployment) -> None:
    """A role that may not do this learns nothing of the body's faults, nor of its length."""
    vendor = deployment.vendor
    support = vendor.colleague("support")

    for raw in ("no JSON", BOMB):
        answer = deployment.call("POST", "/v1/products", token=support, raw_body=raw)
        assert (403, "not_permitted") == (answer.status, answer.body["code"])


def test_a_batch_reads_1_mib(deployment: Deployment) -> None:
    """And every other route of the vendor's side 64 KiB."""
    vendor = deployment.vendor
    body = {"licences": [{"policy_id": vendor.policy()}]}

    for size, status in ((1024 * KIBIBYTE, 201), (1024 * KIBIBYTE + 1, 413)):
        raw = padded(body, size)
        answer = deployment.call("POST", "/v1/licences/batch", token=vendor.token, raw_body=raw)
        assert status == answer.status, answer.text
    assert_too_large(answer, "1,048,576")
    raw = padded(body["licences"][0], 64 * KIBIBYTE + 1)
    answer = deployment.call("POST", "/v1/licences", token=vendor.token, raw_body=raw)
    assert_too_large(answer, "65,536")


def test_a_reason_is_still_kept(deployment: Deployment) -> None:
    """Though it is read after the caller is known, by a user's token and by a server's key."""
    vendor = deployment.vendor
    for token in (vendor.token, vendor.api_key("admin")):
        path = f"/v1/licences/{vendor.licence()['id']}/suspend"
        vendor.call("POST", path, {"reason": "did not pay"}, token=token)

        event = vendor.call("GET", "/v1/audit-events")["items"][0]
        assert ("licences.suspend", "did not pay") == (event["action"], event["reason"])
