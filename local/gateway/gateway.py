"""In API Gateway's place: an ASGI application from a request to a function and back."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, cast

from local.functions.environment import PAYLOAD_BYTES
from local.functions.functions import Functions
from local.gateway.events import http_event
from local.gateway.http import Request, Response
from local.gateway.responses import gateway_message, http_response, unavailable
from local.gateway.routes import Match, Routes

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_BYTES = 6 * 1024 * 1024
# A client that is sending is read a little further, so that it can read its 413.
DRAINED_BYTES = 8 * BODY_BYTES
INTEGRATION_SECONDS = 30.0
BODILESS = {204, 304}


class Gateway:
    """Serves the routes of the functions."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self._routes = Routes(pool.function for pool in functions.pools.values())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI's entry point; uvicorn is set to offer only HTTP."""
        body = await _read_body(scope, receive)
        if body is None:
            response = gateway_message(413, "Request Entity Too Large")
        else:
            response = await self.respond(_request(scope, body))
        await _send(response, send)

    async def respond(self, request: Request) -> Response:
        """From a request to its response, without a network."""
        match = self._routes.find(request.method, request.path)
        if match is None:
            return gateway_message(404, "Not Found")
        if not self.functions.throttle.admits(match.route.key):
            return gateway_message(429, "Too Many Requests")
        event = _serialised(request, match)
        if len(event) > PAYLOAD_BYTES:
            return gateway_message(413, "Request Entity Too Large")
        invoke = self.functions.pools[match.function.name].invoke(event)
        try:
            return http_response(await asyncio.wait_for(invoke, INTEGRATION_SECONDS))
        except TimeoutError:
            return unavailable()


def _serialised(request: Request, match: Match) -> bytes:
    event = http_event(request, match, datetime.now(UTC))
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _request(scope: Message, body: bytes) -> Request:
    raw_headers = cast(list[tuple[bytes, bytes]], scope["headers"])
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in raw_headers
        ),
        body=body,
        source_ip=scope["client"][0],
        protocol=f"HTTP/{scope['http_version']}",
        port=scope["server"][1],
    )


async def _read_body(scope: Message, receive: Receive) -> bytes | None:
    """The whole body, or None when it is larger than Lambda takes."""
    headers = dict(cast(list[tuple[bytes, bytes]], scope["headers"]))
    stated = headers.get(b"content-length", b"")
    is_asking = headers.get(b"expect", b"").lower() == b"100-continue"
    if is_asking and stated.isdigit() and int(stated) > BODY_BYTES:
        return None
    body, size, is_more = bytearray(), 0, True
    while is_more and size <= DRAINED_BYTES:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        is_more = message.get("more_body", False)
        if size <= BODY_BYTES:
            body += chunk
    return bytes(body) if size <= BODY_BYTES else None


async def _send(response: Response, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
    headers += [(b"set-cookie", cookie.encode()) for cookie in response.cookies]
    body = b"" if response.status in BODILESS else response.body
    if response.status not in BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
