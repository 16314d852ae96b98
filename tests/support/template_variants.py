"""A template as CloudFormation reads it for some parameters: with conditions decided."""

from collections.abc import Mapping
from typing import Any

from local.template.intrinsics import Resolver

_NO_VALUE = {"Ref": "AWS::NoValue"}


def variant(
    template: Mapping[str, Any],
    resources: Mapping[str, Any] | None = None,
    **parameters: object,
) -> dict[str, dict[str, Any]]:
    """The resources that these parameters make; `resources` are those that SAM has transformed."""
    given = {
        name: {**described, "Default": parameters.get(name, described.get("Default", ""))}
        for name, described in template.get("Parameters", {}).items()
    }
    assert parameters.keys() <= given.keys()
    resolver = Resolver({**template, "Parameters": given})
    chosen = template["Resources"] if resources is None else resources
    return {
        name: _decided(resource, resolver)
        for name, resource in chosen.items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }


def _decided(value: Any, resolver: Resolver) -> Any:
    """The value with every Fn::If replaced by its branch, and what is AWS::NoValue left out."""
    if isinstance(value, list):
        return [item for item in (_decided(each, resolver) for each in value) if item != _NO_VALUE]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Fn::If"}:
        condition, when_true, when_false = value["Fn::If"]
        return _decided(when_true if resolver.holds(condition) else when_false, resolver)
    decided = {key: _decided(item, resolver) for key, item in value.items()}
    return {key: item for key, item in decided.items() if item != _NO_VALUE}
