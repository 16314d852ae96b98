"""Bodies that are no JSON object: the check and the release answer every one with 422."""

import base64
import json
from typing import Any

import pytest

from tests.support.deployment import FINGERPRINT, Answer, Deployment
from tests.support.refusals import MARK, assert_refused

ROUTES = {"check": "licence_check", "release": "licence_release"}


def sent(deployment: Deployment, route: str, body: object = None, **more: Any) -> Answer:
    return deployment.send(ROUTES[route], body, **more)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


NOT_JSON = {
    "empty": "",
    "white space": " \n",
    "text": "key=abc",
    "cut short": '{"key": "',
    "a trailing comma": '{"key": "x",}',
    "single quotes": "{'key': 'x'}",
    "two documents": '{"key": "x"}{"key": "y"}',
    "a list": '[{"key": "x"}]',
    "a string": '"key"',
    "a number": "1",
    "null": "null",
    "NaN": "NaN",
    "NaN within": '{"key": "x", "version_date": NaN}',
    "infinity": '{"key": "x", "version_date": -Infinity}',
    "a number without end": '{"key": "x", "version_date": ' + "9" * 10_000 + "}",
    "deep": nested(1_000_000),
    "deep within": '{"key": ' + nested(100_000) + "}",
    "open and deep": '{"a":' * 100_000,
    "NUL": "\x00",
    "a byte order mark": '\ufeff{"key": "x"}',
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", NOT_JSON)
def test_a_body_that_is_no_json_object(deployment: Deployment, route: str, name: str) -> None:
    """422 that names the body, in whatever way it is malformed."""
    answer = sent(deployment, route, raw_body=NOT_JSON[name])
    assert_refused(answer, "body")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("raw", [b"\xff\xfe{}", b"\x80", b'{"key": "\xed\xa0\x80"}'], ids=repr)
def test_a_body_that_is_not_utf_8(deployment: Deployment, route: str, raw: bytes) -> None:
    """Arrives as base64, and is refused like other malformed bodies."""
    encoded = base64.b64encode(raw).decode()
    assert_refused(sent(deployment, route, raw_body=encoded, is_base64=True), "body")


@pytest.mark.parametrize("raw", ["%%%", "a", "e30"], ids=["alphabet", "length", "padding"])
def test_a_body_that_is_not_base64(deployment: Deployment, raw: str) -> None:
    """A body that is declared as base64 and is not base64 is malformed, not our failure."""
    assert_refused(sent(deployment, "check", raw_body=raw, is_base64=True), "body")


def test_a_base64_body_is_read(deployment: Deployment) -> None:
    """API Gateway encodes what it takes for binary: that makes no difference."""
    key = deployment.vendor.licence()["key"]
    body = {"key": key, "device": {"fingerprint": FINGERPRINT, "name": "Büro \U0001f4bb"}}
    encoded = base64.b64encode(json.dumps(body, ensure_ascii=False).encode()).decode()

    answer = sent(deployment, "check", raw_body=encoded, is_base64=True)

    assert "VALID" == answer.body["code"]
    assert [("Büro \U0001f4bb",)] == deployment.sql("SELECT name FROM permit.devices")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "json",
    ],
)
def test_another_content_type(deployment: Deployment, route: str, media_type: str) -> None:
    """415, and the header is named."""
    body = {"key": MARK, "fingerprint": FINGERPRINT}
    answer = sent(deployment, route, body, headers={"content-type": media_type})
    assert_refused(answer, "content-type", status=415)


@pytest.mark.parametrize(
    "media_type", [None, "application/json; charset=utf-8", "Application/JSON", "application/json "]
)
def test_json_by_any_spelling(deployment: Deployment, media_type: str | None) -> None:
    """Parameters and case do not matter, and a missing header is forgiven."""
    body = {"key": deployment.vendor.licence()["key"], "device": {"fingerprint": FINGERPRINT}}
    answer = sent(deployment, "check", body, headers={"content-type": media_type})
    assert "VALID" == answer.body["code"]


def test_of_a_repeated_name_the_last_counts(deployment: Deployment) -> None:
    """As in every common parser, so that a proxy in front reads the same request as we do."""
    key = deployment.vendor.licence()["key"]
    device = json.dumps({"fingerprint": FINGERPRINT})

    answer = sent(
        deployment, "check", raw_body=f'{{"key": "x", "device": {device}, "key": "{key}"}}'
    )

    assert "VALID" == answer.body["code"]
