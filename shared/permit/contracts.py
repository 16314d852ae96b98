"""Types of what callers send, shared by every contract."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
)

from permit.errors import InvalidRequest
from permit.folding import read_email

_NO_NUL = r"^[^\x00]*$"  # Postgres stores no NUL
_DURATION = re.compile(
    r"P(?=[0-9T])(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=[0-9])(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?",
    re.ASCII,
)
_MOST_ERRORS = 20
_DEEPEST = 32  # levels; what serialises the answers gives up at some 250
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SECONDS = (365.25 * 86400, 30.4375 * 86400, 7 * 86400, 86400, 3600, 60, 1)


Request = TypeVar("Request", bound="Contract")


def bounded(minimum: int, maximum: int) -> StringConstraints:
    """Text of so many characters that Postgres can store."""
    return StringConstraints(min_length=minimum, max_length=maximum, pattern=_NO_NUL)


class Contract(BaseModel):
    """A request: strict, closed, immutable. An unknown field is an error, not a typo to ignore."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # built by the first request that needs it, not by every cold start
    )


class Query(Contract):
    """Parameters of a query string, where every value is text."""

    model_config = ConfigDict(strict=False)


class Reasoned(Contract):
    """What may be done without a word, or with one for the audit log."""

    reason: Annotated[str, bounded(1, 500)] | None = None


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(defer_build=True)


Name = Annotated[str, bounded(1, 200)]
Entitlement = Annotated[str, bounded(1, 64)]
Email = Annotated[
    str,
    BeforeValidator(lambda value: read_email(value) if isinstance(value, str) else value),
    bounded(3, 254),
    StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$"),
]
Password = Annotated[str, bounded(1, 256)]


def duration_seconds(text: str) -> float:
    """About how long an ISO 8601 duration of whole numbers is; ValueError where it is none.

    For comparing durations only: adding one to a time is Postgres's work, by the calendar.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be an ISO 8601 duration in whole numbers, as P1Y or PT30M")
    return sum(int(n) * s for n, s in zip(match.groups(default="0"), _SECONDS, strict=True))


def _duration(shortest: str, longest: str) -> AfterValidator:
    low, high = duration_seconds(shortest), duration_seconds(longest)

    def check(text: str) -> str:
        if not low <= duration_seconds(text) <= high:
            raise ValueError(f"must be between {shortest} and {longest}")
        return text

    return AfterValidator(check)


Term = Annotated[str, _duration("PT1S", "P100Y")]
SeatTtl = Annotated[str, _duration("PT2S", "P1Y")]
Lease = Annotated[str, _duration("PT1S", "P1Y")]
Overlap = Annotated[str, _duration("PT0S", "P1Y")]


def _read_day(value: object) -> date:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        return date.fromisoformat(value)
    raise ValueError("must be a date, as 2026-11-22")


def _read_instant(value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        instant = None
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise ValueError("must be an RFC 3339 time with its offset, as 2026-11-22T08:00:00Z")
    # With room for every duration: neither RFC 3339 nor Python knows a year of five digits.
    if not 1970 <= instant.year < 9000:
        raise ValueError("must be between the years 1970 and 9000")
    return instant


Day = Annotated[date, BeforeValidator(_read_day)]
Instant = Annotated[datetime, BeforeValidator(_read_instant)]


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    """Refuses what jsonb would: NUL, lone surrogates and NaN, at any depth; and too much depth."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                members = cast("Mapping[Any, Any]", item)
                below += [*members.keys(), *members.values()]
            elif isinstance(item, list):
                below += cast("list[Any]", item)
            elif isinstance(item, str) and ("\x00" in item or not _is_unicode(item)):
                raise ValueError("must not contain NUL or a lone surrogate")
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError("must not contain NaN or an infinity")
        level = below
    if level:
        raise ValueError(f"must not be nested deeper than {_DEEPEST} levels")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


StorableObject = Annotated[dict[str, Any], AfterValidator(_storable)]


def validate(contract: type[Request], parsed: object) -> Request:
    """What was parsed as this contract. Raises InvalidRequest, which names each field."""
    try:
        return contract.model_validate(parsed)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidRequest(
            *(
                (_field(found["loc"]), _message(found["type"], found["msg"]))
                for found in problems[:_MOST_ERRORS]
            )
        ) from None


def _message(kind: str, message: str) -> str:
    """pydantic's own words, but where they speak of patterns and classes."""
    if kind == "string_pattern_mismatch":
        return "has characters that are not allowed here"
    if kind in ("model_type", "model_attributes_type"):
        return "must be a JSON object"
    return message.removeprefix("Value error, ")


def _field(location: tuple[int | str, ...]) -> str:
    # A name that the caller made up is cut, and a lone surrogate in it cannot be sent.
    name = ".".join(str(part) for part in location)[:200] or "body"
    return name.encode("ascii", "backslashreplace").decode("ascii")
