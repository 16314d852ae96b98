"""The refusals: failures that are expected, and how callers see them.

Each is raised where it is noticed and caught once, at the API's edge (permit.edge.api), which makes
an RFC 9457 problem from its attributes.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import psycopg

from permit.sizes import LARGEST_ANSWER

MOST_FAULTS = 20
"""Of a request, that are told: what is wrong beyond them is not looked for."""


class Refusal(Exception):
    """An expected refusal: an HTTP status, a stable code and a sentence for people."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    detail: str = ""
    errors: Sequence[tuple[str, str]] = ()  # (field, message) of what a 422 refuses
    members: Mapping[str, Any] = MappingProxyType({})  # further ones of the problem, RFC 9457 3.2

    @property
    def headers(self) -> dict[str, str]:
        return {}


class InvalidRequest(Refusal):
    """The body or a parameter is malformed. Names each field, and never quotes its value."""

    status = 422
    code = "invalid_request"
    title = "The request is not valid"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__()
        self.errors = errors[:MOST_FAULTS]
        self.detail = "; ".join(f"{field}: {message}" for field, message in self.errors)


class IdempotencyKeyReused(Refusal):
    """The same key came with another request."""

    status = 422
    code = "idempotency_key_reused"
    title = "The idempotency key was used for another request"

    def __init__(self, field: str) -> None:
        super().__init__()
        self.errors = ((field, "must be a new one: it was used for another request within 7 days"),)


class AnswerTooLarge(Refusal):
    """The answer is more than can be sent. Where a tenant was entered, nothing is changed."""

    status = 422
    code = "answer_too_large"
    title = "The answer would be too large"

    def __init__(self, field: str | None = None, most: int = 0) -> None:
        """Of the list `field`, so many items would be right."""
        super().__init__()
        self.detail = f"It may have at most {LARGEST_ANSWER:,} bytes."
        if field is not None:
            message = (
                f"must be a list of at most {most:,} of these items: "
                f"the answer may have {LARGEST_ANSWER:,} bytes"
            )
            self.errors = ((field, message),)
            self.detail = f"{field}: {message}"


class NotFound(Refusal):
    """There is no such thing, or none that the caller may know of."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(Refusal):
    """The request conflicts with the present state; `code` says how."""

    status = 409
    title = "Conflict"


class StatementFailed(RuntimeError):
    """One of our statements was wrong. Keeps of Postgres's error only what quotes no value."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(f"{type(error).__name__}, SQLSTATE {error.sqlstate}")


class DatabaseUnavailable(Refusal):
    """The database is away, too slow or too busy. Nothing was half done; trying again is safe."""

    status = 503
    code = "service_unavailable"
    title = "The service is briefly unavailable"
    detail = "Try again shortly."

    def __init__(self, reason: str) -> None:
        """`reason` is for the log: a class of error, never a message that could quote data."""
        super().__init__(reason)
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}
