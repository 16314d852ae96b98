"""CloudFormation's YAML tags and intrinsic functions, as far as a function's settings need them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml

from local.template.loops import written_out

NO_VALUE = object()
PSEUDO_PARAMETERS: Mapping[str, object] = {
    "AWS::AccountId": "000000000000",
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "permit",
    "AWS::URLSuffix": "amazonaws.com",
}
_NOTHING: Mapping[str, Any] = {}
PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")


class _Loader(yaml.SafeLoader):
    """A safe loader that reads `!Ref x` as `{"Ref": "x"}`."""


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)  # pyright: ignore[reportUnknownMemberType]


def parse(text: str) -> dict[str, Any]:
    """The template with its tags in the long form, and its loops written out."""
    return written_out(yaml.load(text, _Loader))  # noqa: S506 (a subclass of SafeLoader)


class Resolver:
    """Resolves intrinsics with the parameters' defaults; a resource resolves to its own name."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self._parameters: Mapping[str, Any] = template.get("Parameters", {})
        self._mappings: Mapping[str, Any] = template.get("Mappings", {})
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._resources: Mapping[str, Any] = template["Resources"]

    def resources(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The resources of a type that exist with the parameters' defaults, with their names."""
        for name, resource in self._resources.items():
            is_made = "Condition" not in resource or self.holds(resource["Condition"])
            if resource["Type"] == kind and is_made:
                yield name, resource

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic replaced, and without what is `AWS::NoValue`."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in cast(list[Any], value)]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        mapping = cast(dict[str, Any], value)
        if len(mapping) == 1:
            name, argument = next(iter(mapping.items()))
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.resolve(item) for key, item in mapping.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return self._reference(argument)
            case "Fn::Sub":
                return self._substitute(argument)
            case "Fn::If":
                condition, when_true, when_false = argument
                return self.resolve(when_true if self.holds(condition) else when_false)
            case "Fn::Join":
                separator, parts = argument
                return separator.join(str(part) for part in self.resolve(parts))
            case "Fn::Split":
                separator, text = argument
                return str(self.resolve(text)).split(separator)
            case "Fn::FindInMap":
                table, row, column = (self.resolve(part) for part in argument)
                return self.resolve(self._mappings[table][row][column])
            case "Fn::GetAtt":
                return ".".join(argument)
            case _:
                # No function needs it on this machine; its name makes it easy to find.
                return name

    def _reference(self, name: str) -> Any:
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name not in self._parameters:
            return name
        value = self._parameters[name].get("Default", "")
        if self._parameters[name].get("Type") == "CommaDelimitedList":
            return [item.strip() for item in str(value).split(",")]
        return value

    def _substitute(self, argument: Any) -> str:
        text, values = (argument, _NOTHING) if isinstance(argument, str) else argument

        def replacement(match: re.Match[str]) -> str:
            name = match[1].strip()
            return str(self.resolve(values[name]) if name in values else self._reference(name))

        return PLACEHOLDER.sub(replacement, text).replace("${!", "${")

    def holds(self, condition: Any) -> bool:
        """Whether a condition holds; it is given by its name or written out."""
        if isinstance(condition, str):
            return self.holds(self._conditions[condition])
        name, argument = next(iter(condition.items()))
        match name:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(self.holds(part) for part in argument)
            case "Fn::Or":
                return any(self.holds(part) for part in argument)
            case _:
                raise ValueError(f"condition {name} is not one of CloudFormation's")
