"""docs/vectors/answers.json: what HTTP can bring back that is not an answer."""

from collections.abc import Iterator
from typing import Any

PAGE = "<!DOCTYPE html><html><title>Welcome to the hotel</title></html>"


def document() -> dict[str, Any]:
    return {
        "about": "What each means: docs/protocol.md, 'What comes back'. Made by `python -m "
        "tools.vectors`. `trouble` null: an answer, to be judged by its proof.",
        "vectors": [*_answers()],
    }


def _answers() -> Iterator[dict[str, Any]]:
    def vector(
        kind: str,
        name: str,
        trouble: str | None,
        status: int,
        body: str,
        content_type: str = "application/json",
        retry_after: float | None = None,
    ) -> dict[str, Any]:
        return {
            "name": name,
            "kind": kind,
            "status": status,
            "content_type": content_type,
            "body": body,
            "retry_after": retry_after,
            "trouble": trouble,
        }

    problem = '{"type":"urn:permit:problem:%s","title":"x","status":%d,"code":"%s"}'
    yield vector("good", "an answer", None, 200, '{"valid":true,"proof":"x"}')
    yield vector("good", "an answer of an unknown kind of content", None, 200, "{}", "")
    yield vector(
        "good",
        "busy",
        "busy",
        503,
        problem % ("x", 503, "service_unavailable"),
        "application/problem+json",
        2.0,
    )
    yield vector("good", "throttled by the gateway", "busy", 429, '{"message":"Too Many Requests"}')
    yield vector(
        "good",
        "a wrong request",
        "rejected",
        422,
        problem % ("x", 422, "invalid_request"),
        "application/problem+json",
    )
    yield vector("good", "a route that is not there", "rejected", 404, '{"message":"Not Found"}')
    yield vector("good", "an error of the server", "server_error", 500, '{"message":"x"}')
    for name, trouble, status, body, content_type in (
        ("a captive portal that answers 200", "captive_portal", 200, PAGE, "text/html"),
        ("a page that says it is JSON", "captive_portal", 200, PAGE, "application/json"),
        ("a redirect", "captive_portal", 302, "", "text/html"),
        ("a redirect that keeps the method", "captive_portal", 307, "", ""),
        ("network authentication required", "captive_portal", 511, PAGE, "text/html"),
        ("a page that blocks", "captive_portal", 403, PAGE, "text/html; charset=utf-8"),
        ("a proxy that wants to know who asks", "proxy", 407, PAGE, "text/html"),
        ("a gateway without a server", "captive_portal", 502, PAGE, "text/html"),
        ("an error without a word", "server_error", 500, "", ""),
        ("empty", "nonsense", 200, "", "application/json"),
        ("half of an answer", "nonsense", 200, '{"valid":true,"pro', "application/json"),
        ("a list", "nonsense", 200, "[]", "application/json"),
        ("null", "nonsense", 200, "null", "application/json"),
        ("a text", "nonsense", 200, "OK", "text/plain"),
        ("proof twice", "nonsense", 200, '{"proof":null,"proof":"x"}', "application/json"),
        ("two answers", "nonsense", 200, "{}{}", "application/json"),
        ("NaN", "nonsense", 200, '{"a":NaN}', "application/json"),
        ("XML", "nonsense", 200, "<?xml version='1.0'?><a/>", "application/xml"),
        ("nested 100,000 deep", "nonsense", 200, "[" * 100_000, "application/json"),
        ("not modified", "captive_portal", 304, "", ""),
        ("no content", "rejected", 204, "", ""),
    ):
        yield vector("hostile", name, trouble, status, body, content_type)
    for given, status in ((0.0, 503), (3600.0, 429)):
        yield vector("good", f"come again in {given:g} s", "busy", status, "{}", retry_after=given)
