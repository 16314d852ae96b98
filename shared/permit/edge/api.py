"""The edge of every HTTP function: routing, reading a body, one problem shape, one log line."""

import gc
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import psycopg
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext

from permit.contracts import Answer, Contract, validate
from permit.db import Database
from permit.edge.refusals import MethodNotAllowed, OriginNotProven, UnsupportedMediaType
from permit.errors import DatabaseUnavailable, InvalidRequest, NotFound, Refusal, StatementFailed
from permit.secrets.sources import SecretSource
from permit.security.origin import is_proven, parse_origin_secrets

Request = TypeVar("Request", bound=Contract)

_MARGIN = 1.0  # seconds that remain to answer after the database's time is up
_MOST_ERRORS = 20
_PROBLEM = "application/problem+json"
_HTTPS_ONLY = "max-age=31536000"  # a year; of this host alone, for its domain is the vendor's

_SERVICE = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "permit")


class _Event(APIGatewayProxyEventV2):
    """With its headers copied once: Powertools does so at every look, and twice for each answer."""

    @cached_property
    def headers(self) -> dict[str, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().headers

    @cached_property
    def resolved_headers_field(self) -> dict[str, Any]:
        return self.headers


class Api(APIGatewayHttpResolver):
    """Powertools' resolver, with our refusals for its errors and a deadline for the database."""

    def __init__(
        self,
        database: Database | None,
        origin_secret: SecretSource | None,
        *,
        database_seconds: float | None = None,
    ) -> None:
        """`database_seconds`: at most so long in the database, however long Lambda allows."""
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._database = database
        self._origin_secret = origin_secret
        self._database_seconds = database_seconds
        self._facts: dict[str, Any] = {}
        # What was imported lives as long as the process: no collection need look at it again.
        gc.freeze()
        self.exception_handler(Refusal)(self._answer_refusal)
        self.exception_handler(NotFoundError)(self._answer_unrouted)
        self.exception_handler(psycopg.Error)(_fail_without_values)

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answers one API Gateway event (payload format 2.0)."""
        started = time.perf_counter()
        remaining = context.get_remaining_time_in_millis() / 1000 - _MARGIN
        if self._database is not None:
            self._database.allow(min(remaining, self._database_seconds or remaining))
        self._facts = {}
        if self._is_let_in(event["headers"]):
            response = super().resolve(dict(event), context)
        else:
            response = self._turn_away(event["requestContext"]["requestId"])
        response["headers"]["Strict-Transport-Security"] = _HTTPS_ONLY
        _log_request(event["requestContext"], response["statusCode"], started, self._facts)
        return response

    def note(self, **facts: str | bool | None) -> None:
        """Adds ids and codes to this request's log line. Never a secret, never a person's data."""
        self._facts.update(facts)

    def read_body(self, contract: type[Request]) -> Request:
        """The body as this contract. Raises UnsupportedMediaType, InvalidRequest."""
        event = self.current_event
        media_type = event.headers.get("content-type", "application/json")
        if media_type.partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMediaType
        try:
            body = event.decoded_body or ""
            parsed = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):  # not UTF-8, not JSON, or nested without end
            raise InvalidRequest(("body", "must be a JSON object")) from None
        return validate(contract, parsed)

    def base_url(self, configured: str | None) -> str:
        """Where the caller reached us: the configured address, else the API's own."""
        return configured or f"https://{self.current_event.request_context.domain_name}"

    def _to_proxy_event(self, event: dict[str, Any]) -> _Event:
        return _Event(event)

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        secret = self._origin_secret
        return secret is None or is_proven(headers, secret.parsed(parse_origin_secrets))

    def _turn_away(self, request_id: str) -> dict[str, Any]:
        """Without a look at what was asked."""
        refusal = OriginNotProven()
        self.note(code=refusal.code)
        return {
            "statusCode": refusal.status,
            "headers": {"Content-Type": _PROBLEM},
            "body": _problem_body(refusal, request_id),
            "isBase64Encoded": False,
        }

    def _answer_refusal(self, refusal: Refusal) -> Response[str]:
        self.note(code=refusal.code)
        if isinstance(refusal, DatabaseUnavailable):
            self.note(reason=refusal.reason)
        return Response(
            status_code=refusal.status,
            content_type=_PROBLEM,
            headers=refusal.headers,
            body=_problem_body(refusal, self.current_event.request_context.request_id),
        )

    def _answer_unrouted(self, _: NotFoundError) -> Response[str]:
        """405 where the path has other methods: its own before those of a path with an id in it."""
        path = self._remove_prefix(self.current_event.path)
        allowed = _methods(self._static_routes, path) or _methods(self._dynamic_routes, path)
        return self._answer_refusal(MethodNotAllowed(allowed) if allowed else NotFound())

    def answer_no_id(self) -> Response[str]:
        """For a path whose id is none: it may be another path, which lacks this method."""
        path = self._remove_prefix(self.current_event.path)
        allowed = _methods(self._static_routes, path)
        return self._answer_refusal(MethodNotAllowed(allowed) if allowed else NotFound())


def _methods(routes: Iterable[Route], path: str) -> set[str]:
    return {
        route.method
        for route in routes
        if route.rule.match(path)  # pyright: ignore[reportUnknownMemberType]
    }


def _problem_body(refusal: Refusal, request_id: str) -> str:
    return json.dumps({**problem(refusal), "request_id": request_id})


def _fail_without_values(error: psycopg.Error) -> NoReturn:
    """A defect: the invocation fails, and counts as an error of the function."""
    raise StatementFailed(error) from None


def _log_request(
    request: Mapping[str, Any], status: int, started: float, facts: Mapping[str, Any]
) -> None:
    """One JSON line, in the shape of Powertools' logger at a quarter of its cost."""
    line = {
        "level": "INFO",
        "message": "request",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": _SERVICE,
        "correlation_id": request["requestId"],
        "route": request["routeKey"],
        "method": request["http"]["method"],
        "status": status,
        "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        **facts,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def answer(
    body: Answer, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[str]:
    return Response(
        status_code=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
        body=body.model_dump_json(by_alias=True),
    )


def problem(refusal: Refusal) -> dict[str, Any]:
    """RFC 9457. Everything in it is ours: nothing of the request is quoted but names of fields."""
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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
