"""The edge of every HTTP function: routing, reading a body, one problem shape, one log line."""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn, TypeVar

import psycopg

from permit.contracts import Answer, Contract, Query, validate
from permit.db import Database
from permit.edge.payload import Context, Request, Response
from permit.edge.refusals import (
    BodyTooLarge,
    OriginNotProven,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from permit.edge.router import Handler, Router
from permit.errors import (
    AnswerTooLarge,
    DatabaseUnavailable,
    InvalidRequest,
    Refusal,
    StatementFailed,
)
from permit.secrets.sources import SecretSource
from permit.security.origin import is_proven, parse_origin_secrets, viewer_address
from permit.sizes import can_be_answered

Body = TypeVar("Body", bound=Contract)
Registered = TypeVar("Registered", bound=Handler)

_MARGIN = 1.0  # seconds kept for the answer after the database's time is up
_HTTPS_ONLY = "max-age=31536000"  # a year; of this host alone, for its domain is the vendor's


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
_SERVICE = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "permit")


class Api:
    """The routes of one function: `resolve` is its handler."""

    request: Request
    """The request that is being answered; an execution environment has one at a time."""

    def __init__(
        self,
        database: Database | None,
        origin_secret: SecretSource | None,
        *,
        database_seconds: float | None = None,
    ) -> None:
        """`database_seconds` bounds the time in the database, however long Lambda allows."""
        self._router = Router()
        self._database = database
        self._origin_secret = origin_secret
        self._database_seconds = database_seconds
        self._facts: dict[str, Any] = {}
        # What was imported lives as long as the process: no garbage collection needs to look at it.
        gc.freeze()

    def get(self, path: str, *, takes_query: bool = False) -> Callable[[Registered], Registered]:
        return self.route("GET", path, takes_query=takes_query)

    def post(self, path: str) -> Callable[[Registered], Registered]:
        return self.route("POST", path)

    def route(
        self, method: str, path: str, *, takes_query: bool = False
    ) -> Callable[[Registered], Registered]:
        """Registers a handler, which gets the ids of its path as text, by their names.

        What answers GET answers HEAD too. Unless it takes a query, every parameter is refused.
        """

        def register(handler: Registered) -> Registered:
            served = handler if takes_query else partial(self._without_query, handler)
            self._router.add(method, path, served)
            if method == "GET":
                self._router.add("HEAD", path, served)
            return handler

        return register

    def resolve(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Answers one API Gateway event (payload format 2.0)."""
        started = time.perf_counter()
        remaining = context.get_remaining_time_in_millis() / 1000 - _MARGIN
        if self._database is not None:
            self._database.allow(min(remaining, self._database_seconds or remaining))
        self._facts = {}
        self.request = Request(event)
        response = self._respond()
        if self.request.method == "HEAD":
            response = response._replace(body=None)
        _log_request(self.request, response.status_code, started, self._facts)
        payload = response.payload
        payload["headers"]["Strict-Transport-Security"] = _HTTPS_ONLY
        return payload

    def note(self, **facts: str | bool | None) -> None:
        """Adds ids and codes to this request's log line. Never a secret, never a person's data."""
        self._facts.update(facts)

    def read_body(self, contract: type[Body], *, may_be_null: bool = False) -> Body:
        """The body as this contract; null is an empty one where it may be.

        Raises UnsupportedMediaType, UnsupportedEncoding, BodyTooLarge, InvalidRequest.
        """
        media_type = self.request.headers.get("content-type", "application/json")
        if media_type.partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMediaType
        if self.request.headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedEncoding
        if self.request.body_size > contract.largest_body:
            raise BodyTooLarge(contract.largest_body)
        try:
            # Windows tools begin a file with a byte order mark.
            parsed = _JSON.decode(self.request.body.removeprefix("\ufeff"))
        except (ValueError, RecursionError):  # not UTF-8, not JSON, or nested too deeply
            raise InvalidRequest(("body", "must be a JSON object")) from None
        return validate(contract, {} if parsed is None and may_be_null else parsed)

    def read_query(self, contract: type[Body]) -> Body:
        """The query's parameters as this contract.

        Raises InvalidRequest, also for a parameter that the contract does not know, or that comes
        twice: whoever sent it meant something by it.
        """
        twice = contract.model_fields.keys() & self.request.repeated_parameters
        if twice:
            raise InvalidRequest(*((name, "must be given once") for name in sorted(twice)))
        return validate(contract, self.request.query)

    def refuse_query(self) -> None:
        """Every parameter. Raises InvalidRequest."""
        if self.request.query:
            self.read_query(Query)

    def base_url(self, configured: str | None) -> str:
        """Where the caller reached us: the configured address, else the API's own."""
        return configured or f"https://{self.request.host}"

    def caller_address(self) -> str:
        """The caller's network address. CloudFront's header counts only if it has proved itself."""
        proven = self._origin_secret is not None
        return (proven and viewer_address(self.request.headers)) or self.request.source_ip

    def refuse(self, refusal: Refusal) -> Response:
        """The refusal as a problem. Answered, not raised, it keeps its transaction."""
        self.note(code=refusal.code)
        if isinstance(refusal, DatabaseUnavailable):
            self.note(reason=refusal.reason)
        return Response(
            status_code=refusal.status,
            content_type="application/problem+json",
            headers=refusal.headers,
            body=json.dumps({**problem(refusal), "request_id": self.request.id}),
        )

    def _respond(self) -> Response:
        try:
            self._require_origin()
            handler, ids = self._router.find(self.request.method, self.request.path)
            return sendable(handler(**ids))
        except Refusal as refusal:
            return self.refuse(refusal)
        except psycopg.Error as error:
            # A defect: the invocation fails, and counts as an error of the function.
            raise StatementFailed(error) from None

    def _without_query(self, handler: Handler, **ids: str) -> Response:
        self.refuse_query()
        return handler(**ids)

    def _require_origin(self) -> None:
        """Checked before routing, so that others learn nothing."""
        secret = self._origin_secret
        if secret is None or is_proven(self.request.headers, secret.parsed(parse_origin_secrets)):
            return
        raise OriginNotProven


def _log_request(request: Request, status: int, started: float, facts: Mapping[str, Any]) -> None:
    """One JSON line, in the shape of Powertools' logger at a quarter of its cost."""
    line = {
        "level": "INFO",
        "message": "request",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": _SERVICE,
        "correlation_id": request.id,
        "route": request.route,
        "method": request.method,
        "status": status,
        "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        **facts,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def answer(
    body: Answer, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        status_code=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
        body=body.model_dump_json(by_alias=True),
    )


def sendable(response: Response) -> Response:
    """The same, if Lambda passes it on. Raises AnswerTooLarge: before a COMMIT, it undoes all."""
    if response.body is None or can_be_answered(response.body):
        return response
    raise AnswerTooLarge


def problem(refusal: Refusal) -> dict[str, Any]:
    """An RFC 9457 problem. It quotes nothing of the request but the names of fields."""
    shape: dict[str, Any] = {
        "type": f"urn:permit:problem:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail or refusal.title,
        "code": refusal.code,
        **refusal.members,
    }
    if refusal.errors:
        shape["errors"] = [{"field": f, "message": message} for f, message in refusal.errors]
    return shape
