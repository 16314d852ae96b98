"""The API's description as tests read it: each field of a body, and values that it forbids."""

import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

from tests.support.refusals import MARK
from tools.openapi import DOCUMENT

Schema = dict[str, Any]
Path = tuple[str | int, ...]

DESCRIPTION: Schema = json.loads(DOCUMENT.read_text(encoding="utf-8"))
OPERATIONS: dict[str, Schema] = {
    f"{method.upper()} {path}": operation
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
}
_OF_EACH_TYPE: dict[str, object] = {
    "string": MARK,
    "number": 1.5,
    "boolean": True,
    "array": [MARK],
    "object": {MARK: MARK},
}
# What our own words never say, and pydantic's do.
_PYDANTIC = ("Input should", "should ", "valid ", "constrained", "literal[", "function-", "[key]")


def body_schema(operation: str) -> Schema | None:
    body = OPERATIONS[operation].get("requestBody")
    return None if body is None else body["content"]["application/json"]["schema"]


def query_schemas(operation: str) -> dict[str, Schema]:
    parameters = OPERATIONS[operation].get("parameters", [])
    return {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}


def types_of(schema: Schema, root: Schema = DESCRIPTION) -> list[Schema]:
    """Each type that a value may have, without references."""
    if "$ref" in schema:
        found = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return types_of(found, root)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in types_of(one, root)]
    return [schema]


def is_nullable(schema: Schema) -> bool:
    return any(each.get("type") == "null" for each in types_of(schema))


def fields(schema: Schema, root: Schema = DESCRIPTION) -> Iterator[tuple[Path, Schema]]:
    """The path and the schema of each field, and of each within it; of a list, of its first."""
    for each in types_of(schema, root):
        within = [
            *each.get("properties", {}).items(),
            *(("a-name", one) for one in each.get("patternProperties", {}).values()),
            *([(0, each["items"])] if "items" in each else []),
        ]
        for name, below in within:
            yield (name,), below
            for path, further in fields(below, root):
                yield (name, *path), further


def forbidden(schema: Schema, root: Schema = DESCRIPTION) -> Iterator[object]:
    """Values of every other type, and values beyond each limit; null is another question."""
    types = types_of(schema, root)
    names = {each.get("type") for each in types}
    yield from (value for name, value in _OF_EACH_TYPE.items() if name not in names)
    for each in types:
        match each.get("type"):
            case "string":
                yield from _forbidden_texts(each)
            case "integer":
                yield from (each["minimum"] - 1, each["maximum"] + 1, 10**30)
            case "array" if "type" in each["items"]:
                yield [MARK] * (each["maxItems"] + 1)
            case "object" if "maxProperties" in each:
                yield {f"{MARK}-{number}": MARK for number in range(each["maxProperties"] + 1)}
            case _:
                pass


def _forbidden_texts(schema: Schema) -> Iterator[str]:
    yield MARK + "\ud800"
    if "maxLength" not in schema:  # a choice, or a text of some form
        yield from (MARK + " ", MARK + "\x00")
        return
    yield from (MARK + "\x00", MARK + "x" * schema["maxLength"])
    if schema["minLength"] > 0:
        yield "x" * (schema["minLength"] - 1)


def forbidden_parameters(schema: Schema) -> Iterator[str]:
    """The same of a query string, where every value is text."""
    if "maximum" in schema:
        yield from (str(schema["minimum"] - 1), str(schema["maximum"] + 1), "1.5", "")
    if schema.get("maxLength"):
        yield from ("", MARK + "x" * schema["maxLength"], MARK + "\x00")
    else:
        yield from (MARK, "1e3")


def with_value(body: object, path: Path, value: object) -> Any:
    """The body with this value there; what is missing on the way is made, the body too."""
    changed = here = {} if body is None else deepcopy(body)
    for part, below in pairwise(path):
        empty: Any = [{}] if isinstance(below, int) else {}
        if isinstance(here, dict) and not here.get(part):
            here[part] = empty
        here = here[part]
    here[path[-1]] = value
    return changed


def name_of(path: Path) -> str:
    return ".".join(str(part) for part in path)


def assert_told(errors: list[dict[str, str]], field: str, known: set[str]) -> None:
    """The field is named, every name is one of the description's, every message is ours."""
    assert field in [each["field"] for each in errors], errors
    assert {each["field"] for each in errors} <= known, errors
    for each in errors:
        assert not any(words in each["message"] for words in _PYDANTIC), each
        assert MARK not in each["message"], each
