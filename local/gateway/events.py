"""A request as the event that an HTTP API makes from it, payload format 2.0."""

import base64
import secrets
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from local.gateway.http import Request
from local.gateway.routes import Match
from local.template.template import Schedule

# Everything else arrives in base64, even a form or a body without a content type.
TEXT_TYPES = {"application/json", "application/xml", "application/javascript"}
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}


def http_event(request: Request, match: Match, now: datetime) -> dict[str, Any]:
    """The event for a request that has a route."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": unquote(request.path),
        "rawQueryString": request.query,
        "headers": _headers(request, now),
        "requestContext": _context(request, match, now),
        "isBase64Encoded": False,
    }
    if cookies := _cookies(request):
        event["cookies"] = cookies
    if parameters := _query_parameters(request.query):
        event["queryStringParameters"] = parameters
    if match.parameters:
        event["pathParameters"] = match.parameters
    if request.body:
        event |= _body(request)
    return event


def schedule_event(schedule: Schedule, now: datetime) -> dict[str, Any]:
    """The event that EventBridge Scheduler sends when the template gives no input."""
    arn = f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{schedule.name}"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [arn],
        "detail": "{}",
    }


def _context(request: Request, match: Match, now: datetime) -> dict[str, Any]:
    domain = request.header("host").rsplit(":", 1)[0]
    return {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.split(".")[0],
        "http": {
            "method": request.method,
            "path": unquote(request.path),
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.header("user-agent"),
        },
        # Fifteen base64 characters and `=`, as API Gateway's look.
        "requestId": f"{secrets.token_urlsafe(12)[:15]}=",
        "routeKey": match.route.key,
        "stage": "$default",
        "time": now.astimezone(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }


def _headers(request: Request, now: datetime) -> dict[str, str]:
    names = {name for name, _ in request.headers} - HOP_BY_HOP - {"cookie"}
    forwarded = ",".join(filter(None, (request.header("x-forwarded-for"), request.source_ip)))
    return {name: request.header(name) for name in sorted(names)} | {
        "x-amzn-trace-id": f"Root=1-{int(now.timestamp()):08x}-{secrets.token_hex(12)}",
        "x-forwarded-for": forwarded,
        "x-forwarded-port": str(request.port),
        "x-forwarded-proto": "http",
    }


def _cookies(request: Request) -> list[str]:
    headers = [value for name, value in request.headers if name == "cookie"]
    pieces = [piece.strip() for header in headers for piece in header.split(";")]
    return [piece for piece in pieces if piece]


def _query_parameters(query: str) -> dict[str, str]:
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in parse_qsl(query, keep_blank_values=True):
        values[name].append(value)
    return {name: ",".join(several) for name, several in values.items()}


def _body(request: Request) -> dict[str, Any]:
    media_type = request.header("content-type").split(";")[0].strip().lower()
    is_text = media_type.startswith("text/") or media_type in TEXT_TYPES
    if is_text and not request.header("content-encoding"):
        try:
            return {"body": request.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass  # Not text after all: it is sent in base64.
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}
