"""What is wrong with a request: the caller's own fields, and what would be right in each.

The words come from the contract's JSON schema; the API's description is made from it too.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from permit.errors import MOST_FAULTS

Schema = dict[str, Any]

_LONGEST_FIELD = 200  # characters
_MEMBERS_NAME = "[key]"  # pydantic's mark that the name of an object's member is wrong
_UNSTORABLE = {  # what `bounded` text may not have, whatever its length
    "string_pattern_mismatch": "must not contain NUL",
    "string_unicode": "must not contain a lone surrogate",
}
_NOUNS = {  # each with its unit, and JSON Schema's names for its limits
    "array": ("a list", "items", "Items"),
    "boolean": ("true or false", "", ""),
    "integer": ("a whole number", "", "imum"),
    "number": ("a number", "", "imum"),
    "object": ("a JSON object", "members", "Properties"),
    "string": ("text", "characters", "Length"),
}


def faults(
    contract: type[BaseModel], error: ValidationError, *, whole: str = "body"
) -> list[tuple[str, str]]:
    """(field, message): one for each field, although each type of a union may report its own.

    No message quotes a value. A field's name may be one that the caller made up; `whole` names what
    has all of them.
    """
    schema = _schema_of(contract)
    found: dict[str, str] = {}
    for problem in error.errors(include_input=False, include_url=False):
        path, message = _fault(schema, problem)
        found.setdefault(_field(path) or whole, message)
        if len(found) == MOST_FAULTS:
            break
    return list(found.items())


@cache
def _schema_of(contract: type[BaseModel]) -> Schema:
    return contract.model_json_schema()


def _fault(schema: Schema, problem: ErrorDetails) -> tuple[list[str], str]:
    kind, location = problem["type"], problem["loc"]
    path, end = _follow(schema, location)
    if kind == "extra_forbidden":
        name = str(location[-1])
        if not name:
            return path, "has a name that is empty: leave it out"
        return [*path, name], "is unknown: leave it out"
    if kind == "missing":
        return path, f"is required and must be {_words(schema, end)}"
    if kind == "value_error":  # a validator of ours
        return path, problem["msg"].removeprefix("Value error, ")
    if kind in _UNSTORABLE and _is_free_text(schema, end):
        return path, _UNSTORABLE[kind]
    if location[-1:] == (_MEMBERS_NAME,):
        return path, f"must have a name that is {_words(schema, end)}"
    return path, f"must be {_words(schema, end)}"


def _follow(schema: Schema, location: tuple[int | str, ...]) -> tuple[list[str], Schema]:
    """The caller's path, and the schema of what it leads to.

    Parts that no schema has are pydantic's names for the types of a union: they are left out.
    """
    path: list[str] = []
    above = here = schema
    for part in location:
        below = _below(schema, here, part)
        if below is not None:
            path.append(str(part))
            above, here = here, below
        elif part == _MEMBERS_NAME:
            here = _names(schema, above)
    return path, here


def _below(schema: Schema, here: Schema, part: int | str) -> Schema | None:
    for each in _types(schema, here):
        if isinstance(part, int) and "items" in each:
            return each["items"]
        if part in each.get("properties", ()):
            return each["properties"][part]
        alike = [*each.get("patternProperties", {}).values(), each.get("additionalProperties")]
        if isinstance(alike[0], dict):  # an object whose members the caller names
            return cast("Schema", alike[0])
    return None


def _names(schema: Schema, here: Schema) -> Schema:
    for each in _types(schema, here):
        if "propertyNames" in each:
            return {"type": "string", **each["propertyNames"]}
    return {"type": "string"}


def _types(schema: Schema, here: Schema) -> Iterator[Schema]:
    """The types that a value may have, without references."""
    if "$ref" in here:
        yield from _types(schema, schema["$defs"][here["$ref"].rpartition("/")[2]])
    elif "anyOf" in here:
        for each in here["anyOf"]:
            yield from _types(schema, each)
    else:
        yield here


def _words(schema: Schema, here: Schema) -> str:
    """What a value may be, without null: whoever sends a wrong value means to send a value."""
    types = [each for each in _types(schema, here) if each.get("type") != "null"]
    return ", or ".join(type_words(each) for each in types)


def _is_free_text(schema: Schema, here: Schema) -> bool:
    types = list(_types(schema, here))
    return any("maxLength" in each and "description" not in each for each in types)


def type_words(one: Schema) -> str:
    """What a value of one type must be, with its limits: the end of "must be …"."""
    if "description" in one and "properties" not in one:  # a model's describes the model
        return one["description"]
    if "const" in one or "enum" in one:
        *most, last = (json.dumps(each) for each in one.get("enum", [one.get("const")]))
        return f"{', '.join(most)} or {last}" if most else last
    if one.get("format") == "uuid":
        return "a UUID"
    noun, unit, limit = _NOUNS.get(one.get("type", ""), ("a JSON value", "", ""))
    return noun + _within(one.get(f"min{limit}"), one.get(f"max{limit}"), unit)


def _within(least: int | None, most: int | None, unit: str) -> str:
    """Such as " from 1 to 100" for a number, " of 1 to 100 characters" for what is counted."""
    if most is None:
        return "" if least is None else f" of at least {least:,} {unit}".rstrip()
    if least is None or (unit and least == 0):
        return f" of at most {most:,} {unit}".rstrip()
    return f" of {least:,} to {most:,} {unit}" if unit else f" from {least:,} to {most:,}"


def _field(path: list[str]) -> str:
    # A name that the caller made up is cut, and a lone surrogate in it cannot be sent.
    name = ".".join(path)[:_LONGEST_FIELD]
    return name.encode("ascii", "backslashreplace").decode("ascii")
