"""local/events.py and local/responses.py: payload format 2.0, as API Gateway makes and reads it."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.functions.invocation import Failure, Outcome
from local.gateway.events import http_event, schedule_event
from local.gateway.http import Request, Response
from local.gateway.responses import http_response
from local.gateway.routes import Match
from local.template.template import Function, Route, Schedule

NOW = datetime(2026, 11, 22, 22, 0, 0, 123_000, tzinfo=UTC)
FUNCTION = Function(
    name="things",
    folder=Path("/project/functions/things"),
    handler="app.handler",
    runtime="python3.13",
    timeout_seconds=3,
    memory_mb=128,
    log_format="JSON",
    reserved_concurrency=None,
    environment={},
    routes=(),
    schedules=(),
)
MATCH = Match(
    function=FUNCTION, route=Route(method="ANY", path="/things/{id}"), parameters={"id": "a b"}
)
REQUEST = Request(
    method="POST",
    path="/things/a%20b",
    query="x=1&y=%C3%A9&x=2&empty=",
    headers=(
        ("host", "localhost:8000"),
        ("user-agent", "curl/8"),
        ("x-twice", "one"),
        ("x-twice", "two"),
        ("cookie", "a=1; b=2"),
        ("content-type", "application/json; charset=utf-8"),
        ("connection", "keep-alive"),
    ),
    body='{"name":"é"}'.encode(),
    port=8000,
)


def event(request: Request = REQUEST, match: Match = MATCH) -> dict[str, Any]:
    return http_event(request, match, NOW)


def test_an_event_says_what_was_asked() -> None:
    made = event()

    assert (made["version"], made["routeKey"]) == ("2.0", "ANY /things/{id}")
    assert made["rawPath"] == "/things/a b"
    assert made["rawQueryString"] == "x=1&y=%C3%A9&x=2&empty="
    assert made["queryStringParameters"] == {"x": "1,2", "y": "é", "empty": ""}
    assert made["pathParameters"] == {"id": "a b"}
    assert [made["body"], made["isBase64Encoded"]] == ['{"name":"é"}', False]


def test_an_event_has_the_request_context_of_api_gateway() -> None:
    context = event()["requestContext"]
    request_id = context.pop("requestId")

    assert context == {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": "localhost",
        "domainPrefix": "localhost",
        "http": {
            "method": "POST",
            "path": "/things/a b",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "curl/8",
        },
        "routeKey": "ANY /things/{id}",
        "stage": "$default",
        "time": "22/Nov/2026:22:00:00 +0000",
        "timeEpoch": 1_795_384_800_123,
    }
    assert len(request_id) == 16


def test_headers_are_in_lower_case_joined_by_commas_and_without_cookies() -> None:
    headers = event()["headers"]
    trace = headers.pop("x-amzn-trace-id")

    assert headers == {
        "content-type": "application/json; charset=utf-8",
        "host": "localhost:8000",
        "user-agent": "curl/8",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": "8000",
        "x-forwarded-proto": "http",
        "x-twice": "one,two",
    }
    assert trace.startswith("Root=1-")
    assert event()["cookies"] == ["a=1", "b=2"]


def test_what_is_not_there_is_absent() -> None:
    bare = Request(method="GET", path="/things", headers=(("host", "localhost"),))

    made = event(bare, Match(function=FUNCTION, route=Route(method="GET", path="/things")))

    absent = {"body", "cookies", "pathParameters", "queryStringParameters", "stageVariables"}
    assert not absent & made.keys()
    assert made["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        ("application/json", b"{}", True),
        ("text/plain; charset=utf-8", b"x", True),
        ("application/xml", b"<x/>", True),
        ("application/json", b"\xff\xfe", False),
        ("application/x-www-form-urlencoded", b"a=1", False),
        ("application/octet-stream", b"x", False),
        ("", b"x", False),
    ],
)
def test_a_body_travels_as_text_or_in_base64_by_its_type(
    content_type: str, body: bytes, is_text: bool
) -> None:
    made = event(replace(REQUEST, headers=(("content-type", content_type),), body=body))

    assert is_text is not made["isBase64Encoded"]
    assert body == (made["body"].encode() if is_text else base64.b64decode(made["body"]))


def test_a_schedule_sends_the_event_of_eventbridge_scheduler() -> None:
    made = schedule_event(Schedule(name="Every", every_seconds=60), NOW)

    assert (made["source"], made["detail-type"]) == ("aws.scheduler", "Scheduled Event")
    assert made["time"] == "2026-11-22T22:00:00Z"


def response(answer: object) -> Response:
    return http_response(Outcome(payload=json.dumps(answer).encode()))


def test_an_answer_with_a_status_is_taken_as_a_response() -> None:
    answer = {
        "statusCode": 201,
        "headers": {"Content-Type": "text/html", "X-Number": 7, "Content-Length": "999"},
        "cookies": ["a=1; HttpOnly", "b=2"],
        "body": "<p>é</p>",
    }

    made = response(answer)

    assert (201, "<p>é</p>".encode()) == (made.status, made.body)
    assert made.headers == {"content-type": "text/html", "x-number": "7"}
    assert made.cookies == ("a=1; HttpOnly", "b=2")


def test_a_base64_answer_is_sent_decoded() -> None:
    answer = {
        "statusCode": 200,
        "isBase64Encoded": True,
        "body": base64.b64encode(b"\0\xff").decode(),
    }

    assert response(answer).body == b"\0\xff"


def test_a_response_without_a_type_is_plain_text() -> None:
    assert response({"statusCode": 200}).headers["content-type"] == "text/plain;charset=UTF-8"


@pytest.mark.parametrize(
    ("answer", "body"),
    [({"a": 1}, b'{"a": 1}'), ("hello", b"hello"), ([1], b"[1]"), (None, b"null")],
)
def test_any_other_answer_is_a_200_in_json(answer: object, body: bytes) -> None:
    made = response(answer)

    assert (200, "application/json", body) == (
        made.status,
        made.headers["content-type"],
        made.body,
    )


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "ok"},
        {"statusCode": 99},
        {"statusCode": None},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"x": "two\r\nlines"}},
        {"statusCode": 200, "headers": {"no name": "x"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "isBase64Encoded": True, "body": "***"},
    ],
)
def test_rubbish_is_a_500(answer: object) -> None:
    made = response(answer)

    assert (made.status, made.body) == (500, b'{"message":"Internal Server Error"}')


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (Failure.RAISED, 500, "Internal Server Error"),
        (Failure.CRASHED, 500, "Internal Server Error"),
        (Failure.NOT_STARTED, 500, "Internal Server Error"),
        (Failure.TOO_LARGE, 500, "Internal Server Error"),
        (Failure.TIMED_OUT, 503, "Service Unavailable"),
        (Failure.STOPPED, 503, "Service Unavailable"),
    ],
)
def test_a_failure_is_answered_by_the_gateway_itself(
    failure: Failure, status: int, message: str
) -> None:
    made = http_response(Outcome(failure=failure, detail="not for the caller"))

    assert (status, {"message": message}) == (made.status, json.loads(made.body))
