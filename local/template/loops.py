"""Writes out Fn::ForEach, as CloudFormation's AWS::LanguageExtensions does first of all."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from local.refusal import CannotRun

_LOOP = "Fn::ForEach::"
_TRANSFORM = "AWS::LanguageExtensions"


def written_out(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template with each loop replaced by what it makes, and without the transform."""
    return {name: _section(name, section) for name, section in template.items()}


def _section(name: str, section: Any) -> Any:
    if name == "Transform" and isinstance(section, list):
        return [each for each in cast(list[str], section) if each != _TRANSFORM]
    if isinstance(section, dict):
        return dict(_entries(cast(Mapping[str, Any], section)))
    return section


def _entries(section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if not key.startswith(_LOOP):
            yield key, value
            continue
        name, items, made = value
        if not isinstance(items, list):
            raise CannotRun(f"{key}: only a list that is written there runs here")
        for item in cast(list[str], items):
            yield from _entries(
                {_put(each, name, item): _filled(body, name, item) for each, body in made.items()}
            )


def _filled(value: Any, name: str, item: str) -> Any:
    """The value with the item in place of `Ref` to the loop's name and `${name}` in `Fn::Sub`."""
    match value:
        case {"Ref": str(referred)} if referred == name:
            return item
        case {"Fn::Sub": str(text)}:
            text = _put(text, name, item)
            return {"Fn::Sub": text} if "${" in text else text
        case {"Fn::Sub": [str(text), values]}:
            return {"Fn::Sub": [_put(text, name, item), _filled(values, name, item)]}
        case dict():
            mapping = cast(dict[str, Any], value)
            return {key: _filled(each, name, item) for key, each in mapping.items()}
        case list():
            return [_filled(each, name, item) for each in cast(list[Any], value)]
        case _:
            return value


def _put(text: str, name: str, item: str) -> str:
    return re.sub(rf"\$\{{{name}\}}", item, text)
