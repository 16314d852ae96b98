"""Contracts and answers as JSON Schema, each field with the text below it in the source."""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import ModelSchema

from permit.contracts import Answer
from permit.edge.operations import Operation
from permit.faults import type_words
from permit.licences.terms import Holder, LicenceTerms, Meter, PolicyTerms
from tools.openapi.words import words_of_fields

REF = "#/components/schemas/{model}"
# Fields of these answers mean the same as in what was sent.
_SENT: dict[str, type] = {
    "HolderAnswer": Holder,
    "Licence": LicenceTerms,
    "MeterAnswer": Meter,
    "Policy": PolicyTerms,
}
_LIMITS = {
    "description",  # from contracts.Words: no other description is there yet
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
}


class _Described(GenerateJsonSchema):
    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        model: type[BaseModel] = schema["cls"]
        described = super().model_schema(schema)
        words = words_of_fields(model, like=_SENT)
        for name, field in model.model_fields.items():
            shown = field.serialization_alias or field.alias or name
            member = described["properties"][shown]
            if field.default_factory is not None:
                member["default"] = field.get_default(call_default_factory=True, validated_data={})
            member["description"] = f"{words.get(name, '')} {_limits(member)}".strip()
        return described


def schemas(
    operations: Iterable[Operation],
) -> tuple[dict[str, Any], dict[tuple[type[BaseModel], str], str]]:
    """The schemas of all that is sent and answered, by name; each model's name by direction."""
    models: dict[tuple[type[BaseModel], Any], Operation] = {}
    for operation in operations:
        if operation.request is not None:
            models[operation.request, "validation"] = operation
        for answer in answers(operation):
            models[answer, "serialization"] = operation
    refs, definitions = models_json_schema(
        list(models), by_alias=True, ref_template=REF, schema_generator=_Described
    )
    names: dict[Any, str] = {key: ref["$ref"].rpartition("/")[2] for key, ref in refs.items()}
    described: dict[str, Any] = definitions["$defs"]
    for (model, direction), operation in models.items():
        if operation.method == "PATCH" and direction == "validation":
            _forget_defaults(described[names[model, direction]])
    return described, names


def answers(operation: Operation) -> tuple[type[Answer], ...]:
    """None, one, or several if the answer may have more or fewer fields."""
    if operation.answer is None:
        return ()
    if isinstance(operation.answer, UnionType):
        return get_args(operation.answer)
    return (operation.answer,)


def parameters(query: type[BaseModel]) -> dict[str, Any]:
    """The schema of each parameter of a query string."""
    return query.model_json_schema(ref_template=REF, schema_generator=_Described)["properties"]


def _limits(member: JsonSchemaValue) -> str:
    """What a value must be, in the words of a refusal; empty where the type says it all."""
    types = [each for each in member.get("anyOf", [member]) if each.get("type") != "null"]
    if not any(_LIMITS & set(each) for each in types):
        return ""
    words = ", or ".join(type_words(each) for each in types)
    items = types[0].get("items", {})
    if _LIMITS & set(items):
        words += f", each {type_words(items)}"
    for each in types:
        each.pop("description", None)
    return f"{words[0].upper()}{words[1:]}."


def _forget_defaults(schema: Mapping[str, Any]) -> None:
    """For changes: there is no default, because what is left out stays as it was."""
    for member in schema["properties"].values():
        member.pop("default", None)
