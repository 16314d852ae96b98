"""Types of what callers send, shared by every contract."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, cast, get_type_hints
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import core_schema

from permit.errors import MOST_FAULTS, InvalidRequest
from permit.folding import compose, is_blank, read_email

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

_NO_NUL = r"^[^\x00]*$"  # Postgres stores no NUL
_NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
# What HTML's <input type=email> takes, and letters of any script: none of what stands around an
# address (<>, mailto:, a comma), and labels that begin and end with a letter or a digit.
_LOCAL = r"[^\s\x00@()<>\[\],:;\\\x22.][^\s\x00@()<>\[\],:;\\\x22]*"
_LETTERS = r"[^\s\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+"
_LABEL = rf"{_LETTERS}(?:-+{_LETTERS})*"
_EMAIL = rf"^{_LOCAL}@{_LABEL}(?:\.{_LABEL})*$"
LEFT_OUT: Any = None
"""The default of a field that may be left out, and may not be null."""
# Compiled by the first request that needs them: no cold start of a check should pay for that.
_DURATION = (
    r"P(?=[0-9T])(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=[0-9])(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?"
)
_DAY = r"\d{4}-\d\d-\d\d"
_DEEPEST = 32  # levels; the serialiser of answers gives up at about 250
_SECONDS = (365.25 * 86400, 30.4375 * 86400, 7 * 86400, 86400, 3600, 60, 1)


Fields = dict[str, Any]
Request = TypeVar("Request", bound="Contract")


def bounded(minimum: int, maximum: int) -> StringConstraints:
    """Text of so many characters that Postgres can store."""
    return StringConstraints(min_length=minimum, max_length=maximum, pattern=_NO_NUL)


class Composed:
    """Text that is counted as people count it: composed (NFC), whichever way it was typed."""

    def __init__(self, *, stays_as_sent: bool = False) -> None:
        self._stays_as_sent = stays_as_sent

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def _validate(self, sent: Any, handler: Callable[[Any], str]) -> str:
        if not isinstance(sent, str):
            return handler(sent)
        composed = handler(compose(sent))
        return sent if self._stays_as_sent else composed


class Items:
    """A list of so many items. They are looked at in pieces, up to the first piece with a fault.

    Pydantic keeps an error for each fault that it finds: of a long list these could be too many.
    """

    def __init__(self, minimum: int, maximum: int) -> None:
        self._minimum, self._maximum = minimum, maximum

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        bounds = {"min_length": self._minimum, "max_length": self._maximum}
        listed = cast("CoreSchema", {**handler(source), **bounds})
        return core_schema.no_info_wrap_validator_function(self._validate, listed)

    def _validate(self, sent: Any, handler: Callable[[Any], list[Any]]) -> list[Any]:
        if not isinstance(sent, list) or len(cast("list[Any]", sent)) <= MOST_FAULTS:
            return handler(sent)
        whole, validated = cast("list[Any]", sent), list[Any]()
        for start in range(0, min(len(whole), self._maximum), MOST_FAULTS):
            end = start + MOST_FAULTS
            try:
                validated += handler(whole[start:end])
            except ValidationError:
                return handler(whole[:end])  # which fails again, with the right indices
        return validated if len(whole) <= self._maximum else handler(whole)


class _Discreet:
    """Its repr names the fields and hides their values: keys, passwords, links, personal data."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(vars(self))})"

    __str__ = __repr__


class Contract(_Discreet, BaseModel):
    """A request: strict, closed, immutable. An unknown field is an error, not a typo to ignore."""

    largest_body: ClassVar[int] = 64 * 1024
    """In bytes: a longer one is refused before it is parsed."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # built by the first request that needs it, not by every cold start
    )

    @model_validator(mode="before")
    @classmethod
    def _has_few_unknown_fields(cls, sent: object) -> object:
        """Drops unknown fields beyond those that are told: pydantic keeps an error for each."""
        fields = cast("Fields", sent)
        if not isinstance(sent, dict) or len(fields) <= MOST_FAULTS:
            return fields
        unknown = [name for name in fields if name not in cls.model_fields]
        dropped = set(unknown[MOST_FAULTS:])
        return {name: value for name, value in fields.items() if name not in dropped}


class Query(Contract):
    """Parameters of a query string, where every value is text. By itself it knows none."""

    model_config = ConfigDict(strict=False)


class Reasoned(Contract):
    """An optional reason, for the audit log."""

    reason: Annotated[str, bounded(1, 500), Composed()] | None = None
    """Why, for the audit log. Null: no reason is kept."""


class Answer(_Discreet, BaseModel):
    """A body that is answered."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def of(cls, row: object) -> Self:
        """Made from an object with these fields as attributes: a row, or a page of rows."""
        return cls.model_validate(row, from_attributes=True)


def answer_of(row: type) -> type[Answer]:
    """The base of an answer that shows every field of a row, in the row's order."""
    fields: dict[str, Any] = {
        name: (kind, ...) for name, kind in get_type_hints(row, include_extras=True).items()
    }
    return create_model(row.__name__, __base__=Answer, __module__=row.__module__, **fields)


def changes_of(contract: type[Contract], base: type[Request]) -> type[Request]:
    """`base` with every field of a contract, each optional; null is allowed where it was.

    Without the contract's rules about several fields: those apply to the merged result.
    """
    kinds = get_type_hints(contract, include_extras=True)
    fields: dict[str, Any] = {name: (kinds[name], LEFT_OUT) for name in contract.model_fields}
    return create_model(contract.__name__, __base__=base, __module__=contract.__module__, **fields)


class Words:
    """What a value of a type must be, where JSON Schema cannot say it.

    They end the sentence "must be …" when a value is refused, and stand in the API's description.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __get_pydantic_json_schema__(
        self, schema: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        return {**handler(schema), "description": self.text}


class OneOf:
    """One of these texts, where they come from a table and no Literal can name them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(texts)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        return core_schema.literal_schema(self._texts)


class _Visible:
    """Text of which people see something. The description's pattern knows blanks alone."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": _NOT_BLANK}

    def _check(self, text: str) -> str:
        if is_blank(text):
            raise ValueError("must not be blank")
        return text


Id = Annotated[UUID, Field(strict=False)]  # JSON has no UUIDs: they come as text
Name = Annotated[str, bounded(1, 200), _Visible(), Composed()]
Entitlement = Annotated[str, bounded(1, 64)]
Email = Annotated[
    str,
    BeforeValidator(lambda value: read_email(value) if isinstance(value, str) else value),
    StringConstraints(min_length=3, max_length=254, pattern=_EMAIL),
    Words("an email address of 3 to 254 characters"),
]
# Imported hashes may be of the form that was typed.
Password = Annotated[str, bounded(1, 256), Composed(stays_as_sent=True)]
NewPassword = Annotated[
    Password,
    Words("text of 12 to 256 characters, without control characters, and not easily guessed"),
]


def duration_seconds(text: str) -> float:
    """About how many seconds an ISO 8601 duration of whole numbers lasts. Raises ValueError.

    For comparing durations only: adding one to a time is Postgres's work, by the calendar.
    """
    match = re.fullmatch(_DURATION, text, re.ASCII)
    if match is None:
        raise ValueError("must be an ISO 8601 duration in whole numbers, as P1Y or PT30M")
    return sum(int(n) * s for n, s in zip(match.groups(default="0"), _SECONDS, strict=True))


class _Duration(Words):
    """An ISO 8601 duration that is between two others."""

    def __init__(self, shortest: str, longest: str) -> None:
        super().__init__(
            f"an ISO 8601 duration in whole numbers from {shortest} to {longest}, as P1Y or PT30M"
        )
        self._shortest, self._longest = shortest, longest

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, text: str) -> str:
        shortest, longest = duration_seconds(self._shortest), duration_seconds(self._longest)
        with suppress(ValueError):
            if shortest <= duration_seconds(text) <= longest:
                return text
        raise ValueError(f"must be {self.text}")


Term = Annotated[str, _Duration("PT1S", "P100Y")]
SeatTtl = Annotated[str, _Duration("PT2S", "P1Y")]
Lease = Annotated[str, _Duration("PT1S", "P1Y")]
Overlap = Annotated[str, _Duration("PT0S", "P1Y")]
_DAY_WORDS = "a date, as 2026-11-22, or an RFC 3339 time with its offset, whose day in UTC counts"
# RFC 3339 knows offsets up to 23:59; Postgres refuses more than these, and no country has one.
_WIDEST_OFFSET = timedelta(hours=15, minutes=59)
# Leaves room to add any duration: RFC 3339 and Python have no years of five digits.
_INSTANT_WORDS = (
    "an RFC 3339 time with its offset, of less than 16 hours, as 2026-11-22T08:00:00Z, "
    "from the year 1970 to 8999"
)


def _read_day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(_DAY, value, re.ASCII):
        with suppress(ValueError):  # no such day; Python's own message may quote the value
            return date.fromisoformat(value)
    with suppress(ValueError):
        return read_instant(value).astimezone(UTC).date()
    raise ValueError(f"must be {_DAY_WORDS}")


def read_instant(value: object) -> datetime:
    """A time that Postgres knows too. Raises ValueError."""
    with suppress(ValueError):
        # RFC 3339 has "t" and "z" in either case.
        instant = datetime.fromisoformat(value.upper()) if isinstance(value, str) else value
        if isinstance(instant, datetime) and _is_storable(instant):
            return instant
    raise ValueError(f"must be {_INSTANT_WORDS}")


def _is_storable(instant: datetime) -> bool:
    return has_storable_offset(instant) and 1970 <= instant.year < 9000


def has_storable_offset(instant: datetime) -> bool:
    """Whether Postgres reads the time's offset; a time without one has none to read."""
    offset = instant.utcoffset()
    return (
        offset is not None and abs(offset) <= _WIDEST_OFFSET and not offset % timedelta(minutes=1)
    )


Day = Annotated[date, BeforeValidator(_read_day), Words(_DAY_WORDS)]
Instant = Annotated[datetime, BeforeValidator(read_instant), Words(_INSTANT_WORDS)]


def _storable(value: object) -> object:
    """Refuses what jsonb would (NUL, lone surrogates, NaN, at any depth), and too deep nesting."""
    level: list[Any] = [value] if isinstance(value, Mapping) else []  # pydantic refuses the others
    for depth in range(_DEEPEST + 1):
        below: list[Any] = []
        for item in level:
            if depth == _DEEPEST and isinstance(item, Mapping | list):
                raise ValueError(f"must not be nested deeper than {_DEEPEST} levels")
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
    return cast("object", value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# Looked at first: pydantic would keep an error for each name that is no Unicode.
StorableObject = Annotated[dict[str, Any], BeforeValidator(_storable)]


def validate(contract: type[Request], parsed: object) -> Request:
    """The parsed JSON as this contract. Raises InvalidRequest, which names each field."""
    try:
        return contract.model_validate(parsed)
    except ValidationError as error:
        from permit.faults import faults  # only refused requests need this

        whole = "query" if issubclass(contract, Query) else "body"
        raise InvalidRequest(*faults(contract, error, whole=whole)) from None
