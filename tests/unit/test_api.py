"""The API's one problem shape, and how a body becomes a contract."""

from collections.abc import Iterator

import pytest

from permit.contracts import Contract, validate
from permit.edge import operations as vendor_api  # noqa: F401 (their refusals register)
from permit.edge.api import problem
from permit.edge.refusals import MethodNotAllowed
from permit.errors import Conflict, DatabaseUnavailable, InvalidRequest, NotFound, Refusal
from permit.people.queries import tenants  # noqa: F401
from permit.people.refusals import TooManyAttempts


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for each in of.__subclasses__():
        yield each
        yield from refusals(each)


COMPLETE = [each for each in refusals() if each is not Conflict]


class Item(Contract):
    name: str


class Order(Contract):
    items: list[Item]


@pytest.mark.parametrize("refusal", COMPLETE, ids=lambda each: each.__name__)
def test_a_refusal_says_how_it_looks_outside(refusal: type[Refusal]) -> None:
    """A status of an error, a stable code, a title, and a docstring that says when."""
    assert 400 <= refusal.status < 600
    assert refusal.code == refusal.code.lower().replace(" ", "_")
    assert refusal.title
    assert refusal.__doc__


def test_codes_are_unique() -> None:
    """Each refusal has a code of its own."""
    codes = [refusal.code for refusal in COMPLETE]

    assert sorted(set(codes)) == sorted(codes)


def test_a_problem_is_rfc_9457() -> None:
    """Every member of the shape, with the title where there is nothing more to say."""
    assert {
        "type": "urn:permit:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "Not found",
        "code": "not_found",
    } == problem(NotFound())


def test_a_422_lists_its_fields() -> None:
    """Each with its message, and all of them in the detail for people."""
    shape = problem(InvalidRequest(("key", "missing"), ("nonce", "too long")))

    assert [
        {"field": "key", "message": "missing"},
        {"field": "nonce", "message": "too long"},
    ] == shape["errors"]
    assert "key: missing; nonce: too long" == shape["detail"]


def test_the_reason_of_an_outage_stays_inside() -> None:
    """It is for the log: not in the problem."""
    refusal = DatabaseUnavailable("OperationalError at db.internal")

    assert "db.internal" not in str(problem(refusal))
    assert {"Retry-After": "2"} == refusal.headers


def test_headers_say_what_to_do() -> None:
    """How long to wait, and what the path does answer."""
    assert {"Retry-After": "30"} == TooManyAttempts(30).headers
    assert {"Allow": "GET, POST"} == MethodNotAllowed(["POST", "GET"]).headers


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["items"]),
        ({"items": [{"name": "a"}, {"name": 1}]}, ["items.1.name"]),
        ({"items": [], "extra": 1}, ["extra"]),
        ({"items": [], "é\x00": 1}, ["\\xe9\x00"]),
        ({"items": [], "\ud800": 1}, ["body"]),
        ({"items": [], "x" * 5000: 1}, ["x" * 200]),
        (None, ["body"]),
        ("items", ["body"]),
    ],
    ids=["missing", "nested", "unknown", "not ASCII", "unsendable", "long", "null", "text"],
)
def test_each_field_is_named(body: object, fields: list[str]) -> None:
    """By its path; a name that the caller made up is cut and made sendable."""
    with pytest.raises(InvalidRequest) as refusal:
        validate(Order, body)

    assert fields == [field for field, _ in refusal.value.errors]


def test_values_are_not_quoted() -> None:
    """What was sent may be a password in the wrong field."""
    with pytest.raises(InvalidRequest) as refusal:
        validate(Order, {"items": "hunter2", "name": "hunter2"})

    assert "hunter2" not in str(problem(refusal.value))


def test_a_hundred_faults_are_cut_short() -> None:
    """The answer to a bad request is not larger than it must be."""
    with pytest.raises(InvalidRequest) as refusal:
        validate(Order, {"items": [{}] * 100})

    assert 20 == len(refusal.value.errors)
