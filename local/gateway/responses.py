"""A function's answer as the response that an HTTP API makes from it, payload format 2.0."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from local.functions.invocation import Failure, Outcome
from local.gateway.http import Response

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# The gateway sets these itself.
OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}
UNAVAILABLE = {Failure.TIMED_OUT, Failure.STOPPED}


def gateway_message(status: int, message: str) -> Response:
    """One of API Gateway's own answers."""
    body = json.dumps({"message": message}, separators=(",", ":")).encode()
    return Response(status=status, headers={"content-type": "application/json"}, body=body)


def unavailable() -> Response:
    """The function did not answer in time."""
    return gateway_message(503, "Service Unavailable")


def http_response(outcome: Outcome) -> Response:
    """The response for the outcome of an invocation."""
    if outcome.failure in UNAVAILABLE:
        return unavailable()
    response = None if outcome.failure else _from_answer(json.loads(outcome.payload))
    return response or gateway_message(500, "Internal Server Error")


def _from_answer(answer: Any) -> Response | None:
    """The response, or None when the answer is not one that API Gateway understands."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(
            status=200, headers={"content-type": "application/json"}, body=body.encode()
        )
    fields = cast(dict[str, Any], answer)
    status = _status(fields["statusCode"])
    headers = _headers(fields.get("headers"))
    body = _body(fields.get("body"), is_base64=fields.get("isBase64Encoded") is True)
    cookies = _values(fields.get("cookies") or [])
    if status is None or headers is None or body is None or cookies is None:
        return None
    return Response(status=status, headers=headers, cookies=cookies, body=body)


def _status(value: Any) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch("[2-5][0-9][0-9]", text) else None


def _headers(given: Any) -> dict[str, str] | None:
    if not isinstance(given or {}, Mapping):
        return None
    headers = {"content-type": "text/plain;charset=UTF-8"}
    for name, value in cast(Mapping[str, Any], given or {}).items():
        text = json.dumps(value) if isinstance(value, bool) else str(value)
        if not HEADER_NAME.fullmatch(name) or _values([text]) is None:
            return None
        if name.lower() not in OWN_HEADERS:
            headers[name.lower()] = text
    return headers


def _values(given: Any) -> tuple[str, ...] | None:
    if not isinstance(given, list):
        return None
    values = cast(list[Any], given)
    is_sound = all(isinstance(value, str) and HEADER_VALUE.fullmatch(value) for value in values)
    return tuple(values) if is_sound else None


def _body(body: Any, *, is_base64: bool) -> bytes | None:
    if body is None:
        return b""
    if not isinstance(body, str):
        return None
    if not is_base64:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return None
