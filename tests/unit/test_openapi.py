"""The API's description: up to date, complete, and true of its own examples."""

import json
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tests.support.sam_template import routes
from tools.openapi import DOCUMENT, read_examples, text

DESCRIPTION: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
}
EXAMPLES = {example["operation"]: example for example in read_examples()}


def test_it_is_up_to_date() -> None:
    """What `make openapi` would write is what lies there, and docs/ points at it."""
    assert text(read_examples()) == DOCUMENT.read_text(encoding="utf-8")
    link = DOCUMENT.parents[2] / "docs" / "openapi.json"
    assert DOCUMENT == link.resolve()


def test_every_operation_has_an_example() -> None:
    """Played by a test, so that each is true."""
    assert set(OPERATIONS) == set(EXAMPLES)


def test_every_route_is_described() -> None:
    """By a path of its own, or one below it."""
    described = set(DESCRIPTION["paths"])
    for key in set(routes()) - {"ANY /docs", "ANY /openapi.json"}:  # itself
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


def _validate(value: object, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DESCRIPTION["components"]}
    Draft202012Validator(whole).validate(value)
