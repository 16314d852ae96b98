"""The API's description: up to date, complete, and true of its own examples."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import ValidationError

from permit.contracts import Contract
from permit.errors import InvalidRequest
from permit.faults import faults
from tests.support.described import (
    DESCRIPTION,
    OPERATIONS,
    body_schema,
    fields,
    is_nullable,
    name_of,
    with_value,
)
from tests.support.sam_template import routes
from tools.openapi import DOCUMENT, TAGS, read_examples, text
from tools.openapi.operations import operations
from tools.openapi.words import words_of_fields

REQUESTS = {
    f"{each.method} {each.path}": each.request
    for function in TAGS
    for each in operations(function)
    if each.request is not None
}
EXAMPLES = {example["operation"]: example for example in read_examples()}


def test_it_is_up_to_date() -> None:
    """The file is what `make openapi` would write, and docs/ points at it."""
    assert text(read_examples()) == DOCUMENT.read_text(encoding="utf-8")
    link = DOCUMENT.parents[2] / "docs" / "openapi.json"
    assert DOCUMENT == link.resolve()


def test_every_operation_has_an_example() -> None:
    """Played by a test, so that each is true."""
    assert set(OPERATIONS) == set(EXAMPLES)


def test_every_route_is_described() -> None:
    """By a path of its own, or one below it."""
    described = set(DESCRIPTION["paths"])
    for key in set(routes()) - {"ANY /", "ANY /docs", "ANY /openapi.json"}:  # itself
        path = key.split()[1]
        below = path.removesuffix("{proxy+}")
        assert path in described or any(each.startswith(below) for each in described), key


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described(name: str) -> None:
    """A summary, an id of its own, how it is authorised, its errors by code."""
    operation = OPERATIONS[name]
    ids = [each["operationId"] for each in OPERATIONS.values()]

    assert operation["summary"]
    assert 1 == ids.count(operation["operationId"])
    assert operation["security"] in ([], [{"bearer": []}])
    if operation["security"]:
        assert "`not_authenticated`" in operation["responses"]["401"]["description"]
    if "table of roles" in operation.get("description", ""):
        assert "`not_permitted`" in operation["responses"]["403"]["description"]
    if "requestBody" in operation:
        assert "`invalid_request`" in operation["responses"]["422"]["description"]
    assert all(response["description"] for response in operation["responses"].values())


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_example_fits_its_schema(name: str) -> None:
    """What is shown as sent and as answered is what the schemas say."""
    operation, example = OPERATIONS[name], EXAMPLES[name]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    answers = operation["responses"][str(example["status"])].get("content", {})

    if "request" in example:
        assert example["request"] == body["example"]
        _validate(example["request"], body["schema"])
    for content in answers.values():
        assert content.get("example", example["answer"]) == example["answer"]
        _validate(example["answer"], content["schema"])


def test_every_field_is_described() -> None:
    """Of what is sent, of what is answered, of what is refused."""
    assert [] == [path for path, member in members(DESCRIPTION) if not member.get("description")]


def test_every_parameter_is_described() -> None:
    """The ids of a path, a query's, and the headers."""
    assert [] == [
        f"{name}: {each['name']}"
        for name, operation in OPERATIONS.items()
        for each in operation.get("parameters", [])
        if not each.get("description")
    ]


def members(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each property of each schema, at any depth; examples are not schemas."""
    if isinstance(part, list):
        for index, each in enumerate(part):
            yield from members(each, f"{path}/{index}")
    elif isinstance(part, dict):
        properties = part.get("properties", {})
        yield from ((f"{path}/{name}", each) for name, each in properties.items())
        for name, each in part.items():
            if name not in ("example", "default"):
                yield from members(each, f"{path}/{name}")


def test_a_field_without_words_is_found() -> None:
    """This test can fail: what nothing stands beneath has no description."""

    class Base(Contract):
        told: int
        """What the base says."""
        untold: int

    class Derived(Base):
        told: int
        """What the derived
        class says."""

    base, derived = words_of_fields(Base), words_of_fields(Derived)

    assert ("What the base says.", None) == (base["told"], base.get("untold"))
    assert ("What the derived class says.", None) == (derived["told"], derived.get("untold"))
    assert [("/a/b", {})] == list(members({"a": {"properties": {"b": {}}}}))


def test_a_default_is_a_value_that_may_be_sent() -> None:
    """A field that may be left out and may not be null has null for no default."""
    for _, member in members(DESCRIPTION["components"]):
        if "default" in member:
            _validate(member["default"], member)


@pytest.mark.parametrize("name", REQUESTS)
def test_null_may_be_sent_where_it_is_described(name: str) -> None:
    """Every field of every body takes null or refuses it by its name, as its schema says."""
    schema, request = body_schema(name), EXAMPLES[name].get("request", {})
    assert schema is not None
    for path, one in fields(schema):
        refused = refused_fields(REQUESTS[name], with_value(request, path, None))
        assert is_nullable(one) == (name_of(path) not in refused), path


def refused_fields(contract: type[Contract], body: object) -> set[str]:
    """What is wrong with it, except for a field that may be null if another is not."""
    try:
        contract.model_validate(body)
    except InvalidRequest as refused:  # a rule about several fields
        return {field for field, message in refused.errors if "either" not in message}
    except ValidationError as error:
        return {field for field, _ in faults(contract, error)}
    return set()


def _validate(value: object, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DESCRIPTION["components"]}
    Draft202012Validator(whole).validate(value)
