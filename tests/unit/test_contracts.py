"""The types that every contract shares: text that can be stored, durations, objects."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from permit.contracts import (
    Answer,
    Contract,
    Day,
    Email,
    Lease,
    Name,
    Overlap,
    Password,
    Reasoned,
    SeatTtl,
    StorableObject,
    Term,
    answer_of,
    changes_of,
    duration_seconds,
)

DAY = 86_400.0
DURATIONS = {
    "PT1S": 1.0,
    "PT90S": 90.0,
    "PT1M": 60.0,
    "PT36H": 1.5 * DAY,
    "P1D": DAY,
    "P2W": 14 * DAY,
    "P1M": 30.4375 * DAY,
    "P1Y": 365.25 * DAY,
    "P1Y2M3W4DT5H6M7S": (365.25 + 2 * 30.4375 + 21 + 4) * DAY + 5 * 3600 + 6 * 60 + 7,
    "P0D": 0.0,
    "P999Y": 999 * 365.25 * DAY,
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_read(text: str) -> None:
    """A duration of whole numbers has about so many seconds."""
    assert DURATIONS[text] == duration_seconds(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "PT", "P1", "1Y", "P1YT", "P1S", "PT1D", "PT1Y", "P1D2M", "PT1S1M"),
        *("P1.5Y", "PT0.5S", "P-1D", "-P1D", "+P1D", "p1d", "P1y", " P1D", "P1D ", "P1D\n"),
        *("P1000Y", "P10000M", "PT1000000000S", "P1Y1Y", "P١D", "P1 D", "1 day", "P0001-00-00"),
        *("P1D\x00", "P1D; DROP TABLE permit.licences"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Fractions, signs, wrong order, other digits, white space and anything after it."""
    with pytest.raises(ValueError, match="ISO 8601"):
        duration_seconds(text)


BOUNDS: list[tuple[Any, str, bool]] = [
    (Term, "PT0S", False),
    (Term, "PT1S", True),
    (Term, "P100Y", True),
    (Term, "P100YT1S", False),
    (SeatTtl, "PT1S", False),
    (SeatTtl, "PT2S", True),
    (SeatTtl, "P1Y", True),
    (SeatTtl, "P1Y1D", False),
    (Lease, "PT0S", False),
    (Lease, "P1Y", True),
    (Lease, "P400D", False),
    (Overlap, "PT0S", True),
    (Overlap, "P13M", False),
]


@pytest.mark.parametrize(("kind", "text", "is_accepted"), BOUNDS)
def test_each_kind_of_duration_has_its_bounds(kind: Any, text: str, is_accepted: bool) -> None:
    """The shortest and the longest are accepted as they are written, one more is not."""
    try:
        accepted = TypeAdapter[str](kind).validate_python(text) == text
    except ValidationError:
        accepted = False

    assert is_accepted == accepted


DAYS = {
    "2026-11-22": date(2026, 11, 22),
    "2026-11-22T08:00:00Z": date(2026, 11, 22),
    "2026-11-22t08:00:00.123z": date(2026, 11, 22),
    "2026-11-22T23:30:00-01:00": date(2026, 11, 23),
    "2026-11-22T00:30:00+01:00": date(2026, 11, 21),
}


@pytest.mark.parametrize("text", DAYS)
def test_of_a_time_the_day_in_utc_counts(text: str) -> None:
    """What build tools write down is mostly a time."""
    assert DAYS[text] == TypeAdapter[date](Day).validate_python(text)


@pytest.mark.parametrize(
    "text", ["2026-11-22T08:00:00", "2026-11-22T08:00:00+16:00", "2026-11-22T", "2026-11-22 ", ""]
)
def test_a_time_without_its_offset_is_no_day(text: str) -> None:
    """Which day it is in UTC, nobody knows."""
    with pytest.raises(ValidationError):
        TypeAdapter[date](Day).validate_python(text)


@pytest.mark.parametrize(
    "text", [" ", "\n", "\u00a0\u3000", "\u200b", "\ufeff \u3164\u2800"], ids=ascii
)
def test_a_name_that_nobody_sees_is_refused(text: str) -> None:
    """Blanks of any kind, and what is not seen at all."""
    with pytest.raises(ValidationError, match="must not be blank"):
        TypeAdapter(Name).validate_python(text)


def test_text_for_people_is_counted_composed() -> None:
    """As many letters as people count, however they were typed; one more is too many."""
    decomposed = "e\u0301"

    assert "é" * 200 == TypeAdapter(Name).validate_python(decomposed * 200)
    assert decomposed * 256 == TypeAdapter(Password).validate_python(decomposed * 256)
    for kind, most in ((Name, 200), (Password, 256)):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(decomposed * (most + 1))


@pytest.mark.parametrize(
    "text",
    [
        *("ann@example.com", "o'brien+x@ex-am--ple.co.uk", "jürgen@müller.de", "用户@例子.公司"),
        *("ann@localhost", "a..b.@docomo.ne.jp", "a&b/c=d?e^f_g`{|}~!#$%*-@x1.de"),
    ],
)
def test_an_email_is_taken(text: str) -> None:
    """Of any script, and with all that mail providers give."""
    assert text == TypeAdapter(Email).validate_python(text)


@pytest.mark.parametrize(
    "text",
    [
        *("<ann@example.com>", "mailto:ann@example.com", "ann@example.com,", "ann@example.com;"),
        *("Ann <ann@example.com>", "ann@example.com>", "(ann@example.com)", "ann@example.com."),
        *(".@.", ".a@example.com", "ann@-", "ann@.com", "ann@example..com", "ann@-example.com"),
        *("ann@example-.com", '"ann"@example.com', "ann\\@example.com", "ann@example.com/"),
        *(
            "ann@ex_ample.com",
            "ann@[127.0.0.1]",
            "ann@example.com,bob@example.com",
            "ann",
            "@",
            "a@",
        ),
        *("a b@example.com", "ann@exam ple.com", "ann@@example.com", "ann@example.com\x00"),
    ],
)
def test_what_stands_around_an_email_is_refused(text: str) -> None:
    """What is pasted with it from a mail program or a sentence, and what no mail server takes."""
    with pytest.raises(ValidationError):
        TypeAdapter(Email).validate_python(text)


@pytest.mark.parametrize("text", ["", "a" * 201, "a\x00b", "\x00", "\ud800", "ok\udfff"], ids=ascii)
def test_text_that_postgres_cannot_store_is_refused(text: str) -> None:
    """Empty, too long, NUL and lone surrogates, wherever they stand."""
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(text)


@pytest.mark.parametrize("text", ["a", "é" * 200, "line\nbreak", "\U0001f4bb", "'; --", "\uffff"])
def test_any_other_text_is_kept_as_it_is(text: str) -> None:
    """Length is counted in characters, and nothing is trimmed or escaped."""
    assert text == TypeAdapter(Name).validate_python(text)


def nested(levels: int) -> Any:
    value: Any = "innermost"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x\x00"},
        {"a\x00": "x"},
        {"a": [1, [2, {"b": ["\x00"]}]]},
        {"\ud800": 1},
        {"a": {"b": "\udfff"}},
        {"a": float("nan")},
        {"a": [float("-inf")]},
        {"a": nested(32)},
        {"a": nested(5_000)},
        {"a": [nested(400), nested(400)]},
    ],
    ids=[
        *("NUL in a value", "NUL in a name", "NUL far down", "surrogate in a name"),
        *("surrogate in a value", "NaN", "infinity", "one level too deep", "endless", "twice"),
    ],
)
def test_an_object_that_jsonb_cannot_store_is_refused(value: dict[str, Any]) -> None:
    """NUL, lone surrogates and NaN in a name or a value at any depth, and too much depth."""
    with pytest.raises(ValidationError, match="must not"):
        TypeAdapter[Any](StorableObject).validate_python(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"": ""},
        {"a": nested(31)},
        {"a": [1.5, -1e300, 10**300, None, True, {"é\n": "\U0001f4bb"}]},
    ],
    ids=["empty", "empty name", "deep", "of every kind"],
)
def test_any_other_object_is_kept_as_it_is(value: dict[str, Any]) -> None:
    """Every kind of JSON value, to thirty-two levels."""
    assert value == TypeAdapter[Any](StorableObject).validate_python(value)


class _Order(Contract):
    count: int
    note: str | None = None


@pytest.mark.parametrize(
    "body",
    [{"count": "1"}, {"count": 1.0}, {"count": True}, {}, {"count": 1, "more": 2}, [], None, "{}"],
    ids=str,
)
def test_a_contract_is_strict_and_closed(body: object) -> None:
    """Nothing is converted, nothing left out, nothing ignored."""
    with pytest.raises(ValidationError):
        _Order.model_validate(body)


def test_a_refusal_quotes_no_value() -> None:
    """A refused value may be a secret: the error does not have it."""
    with pytest.raises(ValidationError) as refused:
        _Order.model_validate({"count": "a-licence-key"})
    assert "a-licence-key" not in str(refused.value)


@dataclass(frozen=True, kw_only=True)
class _Row:
    id: int
    place: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _FullerRow(_Row):
    note: str | None


class _Place(Answer):
    city: str


class _RowAnswer(answer_of(_Row)):
    place: _Place


class _Rows(Answer):
    items: list[_RowAnswer]


@dataclass(frozen=True, kw_only=True)
class _Found:
    items: list[_Row]


def test_an_answer_shows_what_its_row_has() -> None:
    """Exactly the row's fields, in its order; the answer may describe a part more exactly."""
    row = _FullerRow(id=1, place={"city": "Bern"}, note="of another row")

    assert '{"id":1,"place":{"city":"Bern"}}' == _RowAnswer.of(row).model_dump_json()
    assert ["id", "place", "note"] == list(answer_of(_FullerRow).model_fields)


def test_a_list_is_answered_from_its_rows() -> None:
    """A page holds rows, and its answer the answers of them."""
    found = _Found(items=[_Row(id=1, place={"city": "Bern"})])

    assert {"items": [{"id": 1, "place": {"city": "Bern"}}]} == _Rows.of(found).model_dump()


class _Terms(Contract):
    name: Name
    limit: Annotated[int, Field(ge=0)] | None = None
    tags: list[str] = Field(default_factory=list)


class _Change(changes_of(_Terms, Reasoned)):
    pass


@pytest.mark.parametrize(
    "sent", [{}, {"name": "n"}, {"limit": None, "tags": []}, {"reason": "why", "limit": 1}], ids=str
)
def test_a_change_takes_any_of_the_fields(sent: dict[str, Any]) -> None:
    """Those of the contract and those of its base; what is not sent is not given."""
    assert sent == _Change.model_validate(sent).model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    "sent",
    [
        *({"name": ""}, {"limit": -1}, {"limit": "1"}, {"reason": ""}, {"more": 1}),
        *({"name": None}, {"tags": None}),
    ],
    ids=str,
)
def test_a_change_is_as_strict_as_what_it_changes(sent: dict[str, Any]) -> None:
    """The same limits hold, null is what it was, and nothing else is taken."""
    with pytest.raises(ValidationError):
        _Change.model_validate(sent)
