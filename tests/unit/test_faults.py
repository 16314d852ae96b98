"""The answer to a refused request: the caller's own fields, and what would be right in each."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from permit.check.device_spec import DeviceSpec
from permit.contracts import Contract, Day, Email, Instant, Name, Query, Term, bounded, validate
from permit.errors import InvalidRequest
from permit.licences.terms import LicenceTerms
from tests.support.described import assert_told, fields, forbidden, name_of, with_value
from tests.support.refusals import MARK
from tools.openapi import TAGS
from tools.openapi.operations import load, operations


def contracts() -> set[type[Contract]]:
    """The contracts of all operations and operator commands."""
    found = {each.request for name in TAGS for each in operations(name)} - {None}
    return found | {each.contract for each in load("operator").commands.values()}


def faults(contract: type[Contract], body: object) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        validate(contract, body)
    return dict(refused.value.errors)


@pytest.mark.parametrize("contract", sorted(contracts(), key=str), ids=lambda each: each.__name__)
def test_every_field_is_told_in_our_words(contract: type[Contract]) -> None:
    """For each value that the schema forbids, the field is named, not in pydantic's words."""
    schema = contract.model_json_schema()
    described = dict(fields(schema, schema))
    known = {name_of(path) for path in described}

    for path, one in described.items():
        for value in forbidden(one, schema):
            told = faults(contract, with_value({}, path, value))
            errors = [{"field": field, "message": message} for field, message in told.items()]
            assert_told(errors, name_of(path), known)


class Everything(Contract):
    number: Annotated[int, Field(ge=0, le=1_000_000)] | Literal["unlimited"] | None = None
    at_least: Annotated[int, Field(ge=2)] = 2
    at_most: Annotated[int, Field(le=2)] = 2
    any_number: int = 0
    fraction: float = 0.5
    choice: Literal["a", "b", "c"] = "a"
    only: Literal["a"] = "a"
    flag: bool = True
    text: Annotated[str, bounded(0, 5)] = ""
    name: Name = "n"
    several: Annotated[list[int], Field(min_length=2, max_length=3)] = Field(default_factory=list)
    some: Annotated[list[int], Field(min_length=2)] = Field(default_factory=list)
    email: Email = "a@example.com"
    term: Term | None = None
    at: Instant | None = None
    day: Day | None = None
    by_name: dict[str, int] = Field(default_factory=dict)
    device: DeviceSpec | None = None
    either: Term | DeviceSpec | None = None


SURROGATE = "a\ud800"
TIME = (
    "must be an RFC 3339 time with its offset, of less than 16 hours, as 2026-11-22T08:00:00Z, "
    "from the year 1970 to 8999"
)
DAY = "must be a date, as 2026-11-22, or an RFC 3339 time with its offset, whose day in UTC counts"
DURATION = "must be an ISO 8601 duration in whole numbers from PT1S to P100Y, as P1Y or PT30M"
EMAIL = "must be an email address of 3 to 254 characters"
TOLD: list[tuple[dict[str, Any], str, str]] = [
    ({"number": -1}, "number", 'must be a whole number from 0 to 1,000,000, or "unlimited"'),
    ({"number": "5"}, "number", 'must be a whole number from 0 to 1,000,000, or "unlimited"'),
    ({"at_least": 1}, "at_least", "must be a whole number of at least 2"),
    ({"at_most": 3}, "at_most", "must be a whole number of at most 2"),
    ({"any_number": "1"}, "any_number", "must be a whole number"),
    ({"fraction": "1"}, "fraction", "must be a number"),
    ({"choice": "d"}, "choice", 'must be "a", "b" or "c"'),
    ({"only": "d"}, "only", 'must be "a"'),
    ({"only": SURROGATE}, "only", 'must be "a"'),
    ({"flag": 1}, "flag", "must be true or false"),
    ({"text": "abcdef"}, "text", "must be text of at most 5 characters"),
    ({"name": ""}, "name", "must be text of 1 to 200 characters"),
    ({"name": None}, "name", "must be text of 1 to 200 characters"),
    ({"name": "a\x00"}, "name", "must not contain NUL"),
    ({"name": SURROGATE}, "name", "must not contain a lone surrogate"),
    ({"several": [1]}, "several", "must be a list of 2 to 3 items"),
    ({"some": [1]}, "some", "must be a list of at least 2 items"),
    ({"some": [1, "b"]}, "some.1", "must be a whole number"),
    ({"email": "ada"}, "email", EMAIL),
    ({"email": "a@b\x00c"}, "email", EMAIL),
    ({"term": 1}, "term", DURATION),
    ({"term": "1 year"}, "term", DURATION),
    ({"term": "P101Y"}, "term", DURATION),
    ({"at": "2027-02-30T00:00:00Z"}, "at", TIME),
    ({"at": "2027-02-28T00:00:00"}, "at", TIME),
    ({"day": "2027-02-30"}, "day", DAY),
    ({"by_name": {"a": "b"}}, "by_name.a", "must be a whole number"),
    ({"by_name": 1}, "by_name", "must be a JSON object"),
    ({"device": {}}, "device.fingerprint", "is required and must be text of 16 to 256 characters"),
    ({"either": {}}, "either", DURATION + ", or a JSON object"),
    ({"unknown": 1}, "unknown", "is unknown: leave it out"),
]


@pytest.mark.parametrize(
    ("body", "field", "message"), TOLD, ids=[ascii(body)[1:40] for body, *_ in TOLD]
)
def test_a_message_says_what_would_be_right(body: dict[str, Any], field: str, message: str) -> None:
    """In one sentence after the field's name, with its limits."""
    assert message == faults(Everything, body)[field]


def test_a_field_is_named_once() -> None:
    """Whatever each type of a union finds wrong with it."""
    told = faults(LicenceTerms, {"max_devices": MARK, "holder": {"name": 1}})

    assert ["holder.name", "max_devices"] == sorted(told)


@pytest.mark.parametrize("name", ["[key]", "constrained-str", "function-after[f(), str]", "0"])
def test_a_name_that_looks_like_pydantic_s_stays(name: str) -> None:
    """It is the caller's own, where callers name the members."""
    body = {"fingerprint": "f" * 16, "components": {name: 1}}

    assert [f"components.{name}"] == list(faults(DeviceSpec, body))


def test_the_name_of_a_member_has_limits_too() -> None:
    """The message says that it is about the name."""
    body = {"fingerprint": "f" * 16, "components": {"n" * 65: "a"}}

    assert {
        f"components.{'n' * 65}": "must have a name that is text of 1 to 64 characters"
    } == faults(DeviceSpec, body)


def test_a_parameter_is_told_the_same_way() -> None:
    """Although every value of a query string is text."""

    class Some(Query):
        limit: Annotated[int, Field(ge=1, le=100)] = 50

    assert {"limit": "must be a whole number from 1 to 100"} == faults(Some, {"limit": "x"})


@pytest.mark.parametrize("value", ["2027-02-30", "2027-13-01T00:00:00Z", "P1X", "a@\x00b"])
def test_no_value_is_quoted(value: str) -> None:
    """Not even where Python's own words would quote it."""
    for field in ("at", "day", "term", "email", "number"):
        assert value not in faults(Everything, {field: value})[field]
