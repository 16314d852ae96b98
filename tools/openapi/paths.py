"""One operation in OpenAPI's form: its parameters, its body, its answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from permit.contracts import Contract
from permit.edge import idempotency
from permit.edge.operations import Operation
from permit.edge.refusals import (
    BodyTooLarge,
    NotAuthenticated,
    NotPermitted,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from permit.errors import IdempotencyKeyReused, InvalidRequest, NotFound, Refusal
from permit.people.callers import WITHOUT_SECOND_FACTOR
from permit.people.refusals import NotAUser, ProofOfSelfRequired, SecondFactorMissing
from tools.openapi.fixed import MESSAGE, PATH_IDS
from tools.openapi.operations import takes_token
from tools.openapi.schemas import REF, answers, parameters
from tools.openapi.words import words_of_names

_NEEDS_FRESH_PROOF = (
    " For people, and with a fresh proof of self: a login, or `POST /v1/login/elevate`, at most ten"
    " minutes ago, with a second factor where one is in use."
)


def describe(
    operation: Operation,
    tag: str,
    names: Mapping[tuple[type[BaseModel], str], str],
    example: Mapping[str, Any],
) -> dict[str, Any]:
    words = (operation.run.__doc__ or "").strip()
    described: dict[str, Any] = {
        "operationId": operation.run.__name__,
        "tags": [tag],
        "summary": words.partition("\n")[0].rstrip("."),
        "security": [{"bearer": []}] if takes_token(operation) else [],
    }
    if operation.action is not None:
        described["description"] = f"Action `{operation.action}` of the table of roles."
    if operation.needs_fresh_proof:
        described["description"] += _NEEDS_FRESH_PROOF
    parameters = list(_parameters(operation, example))
    if parameters:
        described["parameters"] = parameters
    if operation.request is not None:
        described["requestBody"] = _body(operation.request, names, example)
    described["responses"] = dict(_responses(operation, names, example))
    return described


def _parameters(operation: Operation, example: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in operation.path.split("/"):
        if part.startswith("{"):
            name = part[1:-1]
            parameter: dict[str, Any] = {
                "name": name,
                "in": "path",
                "required": True,
                "description": PATH_IDS[name],
                "schema": {"type": "string", "format": "uuid"},
            }
            if name in example.get("path", {}):
                parameter["example"] = example["path"][name]
            yield parameter
    if operation.query is not None:
        for name, described in parameters(operation.query).items():
            words = described.pop("description")
            schema = _not_null(described)
            yield {"name": name, "in": "query", "description": words, "schema": schema}
    if operation.creates:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": words_of_names(idempotency)["HEADER"],
            "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
        }


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter can be left out, and cannot be null."""
    alternatives = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(alternatives) == 1:
        rest = {k: v for k, v in schema.items() if k not in ("anyOf", "default", "title")}
        return {**alternatives[0], **rest}
    return schema


def _body(
    request: type[Contract],
    names: Mapping[tuple[type[BaseModel], str], str],
    example: Mapping[str, Any],
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _ref(names[request, "validation"])}
    if "request" in example:
        content["example"] = example["request"]
    is_needed = any(field.is_required() for field in request.model_fields.values())
    if not is_needed:  # null is as good as nothing
        content["schema"] = {"anyOf": [content["schema"], {"type": "null"}]}
    return {
        "description": f"At most {request.largest_body // 1024:,} KiB.",
        "required": is_needed,
        "content": {"application/json": content},
    }


def _responses(
    operation: Operation,
    names: Mapping[tuple[type[BaseModel], str], str],
    example: Mapping[str, Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield str(operation.status), _success(operation, names, example)
    if operation.run.__name__ == "activate_device":
        yield "200", _success(operation, names, {}) | {"description": "It was known already"}
    if operation.run.__name__ == "health":
        yield "503", _success(operation, names, {}) | {"description": "It cannot serve"}
    by_status: dict[int, list[type[Refusal]]] = {}
    for refusal in _refusals(operation):
        by_status.setdefault(refusal.status, []).append(refusal)
    for status, refusals in sorted(by_status.items()):
        yield str(status), _problem(refusals)
    if 429 not in by_status:
        yield "429", {"description": "Too many requests: API Gateway's own answer", **MESSAGE}
    if operation.run.__name__ != "health":
        yield "503", _problem([]) | {"description": "Briefly unavailable: `service_unavailable`"}


def _refusals(operation: Operation) -> Iterator[type[Refusal]]:
    if operation.action is not None:
        yield NotAuthenticated
        yield NotPermitted
        if operation.action not in WITHOUT_SECOND_FACTOR:
            yield SecondFactorMissing
    if operation.needs_fresh_proof:
        yield from (r for r in (NotAUser, ProofOfSelfRequired) if r not in operation.refuses)
    if "{" in operation.path and NotFound not in operation.refuses:
        yield NotFound
    yield from operation.refuses
    if operation.request is not None:
        yield BodyTooLarge
        yield UnsupportedMediaType
        yield UnsupportedEncoding
    yield InvalidRequest  # an unknown parameter is one everywhere
    if operation.creates:
        yield IdempotencyKeyReused


def _success(
    operation: Operation,
    names: Mapping[tuple[type[BaseModel], str], str],
    example: Mapping[str, Any],
) -> dict[str, Any]:
    if operation.status == 204:
        return {"description": "Done"}
    refs = [_ref(names[answer, "serialization"]) for answer in answers(operation)]
    media_type = "application/json" if refs else "application/jwk-set+json"
    content: dict[str, Any] = {
        "schema": {"anyOf": refs} if len(refs) > 1 else [*refs, _ref("KeySet")][0]
    }
    if example.get("status") == operation.status:
        content["example"] = example["answer"]
    words = "Created" if operation.status == 201 else "Done"
    return {"description": words, "content": {media_type: content}}


def _problem(refusals: list[type[Refusal]]) -> dict[str, Any]:
    told = "; ".join(f"`{each.code}`: {each.title}" for each in refusals)
    return {
        "description": told,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(model=name)}
