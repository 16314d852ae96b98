"""Bodies that are no JSON object: the check and the release answer every one with 422."""

import base64
import gzip
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
    "deep": nested(30_000),
    "deep within": '{"key": ' + nested(30_000) + "}",
    "open and deep": '{"a":' * 13_000,
    "NUL": "\x00",
    "two byte order marks": '\ufeff\ufeff{"key": "x"}',
    "a byte order mark within": '{"key": \ufeff"x"}',
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


@pytest.mark.parametrize("is_base64", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_body(deployment: Deployment, is_base64: bool) -> None:
    """As editors and shells of Windows put it before whatever they send."""
    body = {"key": deployment.vendor.licence()["key"], "device": {"fingerprint": FINGERPRINT}}
    text = "\ufeff" + json.dumps(body)
    raw = base64.b64encode(text.encode()).decode() if is_base64 else text

    answer = sent(deployment, "check", raw_body=raw, is_base64=is_base64)

    assert "VALID" == answer.body["code"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip"])
def test_a_compressed_body(deployment: Deployment, route: str, encoding: str) -> None:
    """415, which says what is wrong: not that the body is no JSON."""
    raw = base64.b64encode(gzip.compress(b'{"key": "x"}')).decode()
    headers = {"content-encoding": encoding}

    answer = sent(deployment, route, raw_body=raw, is_base64=True, headers=headers)

    assert_refused(answer, "content-encoding", status=415)
    assert "unsupported_encoding" == answer.body["code"]
    assert "identity" == answer.headers["accept-encoding"]


def test_a_body_that_is_declared_as_it_is(deployment: Deployment) -> None:
    """`identity` is no compression."""
    body = {"key": deployment.vendor.licence()["key"], "device": {"fingerprint": FINGERPRINT}}

    answer = sent(deployment, "check", body, headers={"content-encoding": "identity"})

    assert "VALID" == answer.body["code"]


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
