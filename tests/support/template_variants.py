"""A template as CloudFormation reads it for some parameters: with conditions decided."""

from collections.abc import Mapping
from typing import Any

from local.template.intrinsics import Resolver

_NO_VALUE = {"Ref": "AWS::NoValue"}
_NAMES = ("FunctionName", "AlarmName", "LogGroupName", "QueueName")


def variant(
    template: Mapping[str, Any],
    resources: Mapping[str, Any] | None = None,
    **parameters: object,
) -> dict[str, dict[str, Any]]:
    """The resources that these parameters make; `resources` are those that SAM has transformed."""
    resolver = Resolver({**template, "Parameters": _given(template, parameters)})
    chosen = template["Resources"] if resources is None else resources
    return {
        name: _decided(resource, resolver)
        for name, resource in chosen.items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }


def named(template: Mapping[str, Any], **parameters: object) -> Resolver:
    """Resolves values for these parameters, and a Ref to a resource to the name it is given."""
    given = _given(template, parameters)
    for key in _NAMES:  # an alarm's name may be made from a function's
        resolver = Resolver({**template, "Parameters": given})
        given |= {
            name: {"Default": resolver.resolve(resource["Properties"][key])}
            for name, resource in template["Resources"].items()
            if key in resource.get("Properties", {})
        }
    return Resolver({**template, "Parameters": given})


def _given(
    template: Mapping[str, Any], parameters: Mapping[str, object]
) -> dict[str, dict[str, Any]]:
    """The template's parameters with these in the place of their defaults."""
    described = template.get("Parameters", {})
    assert parameters.keys() <= described.keys()
    return {
        name: {**each, "Default": parameters.get(name, each.get("Default", ""))}
        for name, each in described.items()
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
