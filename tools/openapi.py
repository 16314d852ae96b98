"""The description of the API (OpenAPI 3.1), made from the functions' own models and examples.

`python -m local.openapi` writes shared/permit/openapi.json, which docs/openapi.json points at.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from local.processes import PROJECT
from permit import VERSION
from permit.contracts import Answer, Contract
from permit.edge.operations import Operation
from permit.edge.refusals import NotAuthenticated, NotPermitted, UnsupportedMediaType
from permit.errors import IdempotencyKeyReused, InvalidRequest, NotFound, Refusal
from permit.people.callers import WITHOUT_SECOND_FACTOR
from permit.people.refusals import (
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    NotAUser,
    ProofOfSelfRequired,
    SecondFactorMissing,
    SecondFactorRequired,
    TooManyAttempts,
    WrongProof,
)

DOCUMENT = PROJECT / "shared" / "permit" / "openapi.json"
EXAMPLES = PROJECT / "docs" / "examples.json"
_REF = "#/components/schemas/{model}"
_BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
_NEEDS_FRESH_PROOF = (
    " For people, and with a fresh proof of self: a login, or `POST /v1/login/elevate`, at most ten"
    " minutes ago, with a second factor where one is in use."
)
_VARIABLES = {
    "PERMIT_DATABASE_HOST": "localhost",
    "PERMIT_DATABASE_USER": "none",
    "PERMIT_DATABASE_PASSWORD": "none",
    **dict.fromkeys(
        ("PERMIT_TOKEN_JWKS", "PERMIT_TOKEN_KEYS", "PERMIT_MASTER_KEYS", "PERMIT_THROTTLE_KEY"),
        "none",
    ),
}
# Whose operations these are, in the order of the page.
_TAGS = {
    "licence_check": ("Applications", "What a shipped application asks: one call, signed."),
    "login": ("Sign-in", "Tokens for people."),
    "products": ("Products and policies", "What is sold, and the rules that licences share."),
    "licences": ("Licences", "Issued, found, changed, renewed, ended; devices and usage."),
    "team": ("Team", "People, servers' keys, and the audit log."),
    "jwks": ("Public keys", "What tokens and proofs verify with."),
    "health": ("Health", "Can the service serve?"),
}
_INTRODUCTION = """License as a Service. A vendor signs in, issues licences for its products, and
its shipped applications ask "may this copy run here?" and get a signed answer in one call.

Errors are RFC 9457 problems with a stable `code`. What API Gateway itself answers (404 for an
unknown route, 413, 429, 503) has a `message` instead. Times are RFC 3339 in UTC, ids UUIDs,
durations ISO 8601. Lists have `items` and `next_cursor`. A request that creates takes an
`Idempotency-Key`: sent again within 24 hours it gets its first answer, byte for byte."""


@dataclass(frozen=True, kw_only=True)
class Open:
    """An operation outside of a tenant's, which a function serves by hand."""

    function: str
    method: str
    path: str
    run: str
    request: str | None = None
    answer: str | None = None
    status: int = 200
    refuses: tuple[type[Refusal], ...] = ()
    takes_token: bool = False


_OPEN = (
    Open(
        function="licence_check",
        method="POST",
        path="/v1/licences/check",
        run="check",
        request="CheckRequest",
        answer="CheckAnswer",
    ),
    Open(
        function="licence_check",
        method="POST",
        path="/v1/licences/release",
        run="release",
        request="ReleaseRequest",
        answer="ReleaseAnswer",
    ),
    Open(
        function="licence_check",
        method="POST",
        path="/v1/licences/usage",
        run="use",
        request="UsageRequest",
        answer="UsageAnswer",
        refuses=(IdempotencyKeyReused,),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login",
        run="log_in",
        request="LoginRequest",
        answer="TokenAnswer",
        refuses=(InvalidCredentials, SecondFactorRequired, TooManyAttempts),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/second-factor",
        run="complete",
        request="SecondFactorRequest",
        answer="TokenAnswer",
        refuses=(InvalidCode, TooManyAttempts),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/elevate",
        run="elevate",
        request="ElevationRequest",
        answer="ElevationAnswer",
        refuses=(NotAuthenticated, WrongProof, TooManyAttempts),
        takes_token=True,
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/refresh",
        run="refresh",
        request="RefreshRequest",
        answer="TokenAnswer",
        refuses=(InvalidRefreshToken,),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/logout",
        run="log_out",
        request="RefreshRequest",
        status=204,
    ),
    Open(function="jwks", method="GET", path="/.well-known/jwks.json", run="access_token_keys"),
    Open(
        function="jwks",
        method="GET",
        path="/v1/tenants/{tenant_id}/jwks.json",
        run="tenant_keys",
        refuses=(NotFound,),
    ),
    Open(function="health", method="GET", path="/v1/health", run="health", answer="HealthAnswer"),
)


def document(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole description; `examples` are what was sent and answered, by operation."""
    shown = {example["operation"]: example for example in examples}
    operations = [
        (function, operation) for function in _TAGS for operation in _operations(function)
    ]
    schemas, names = _schemas(operation for _, operation in operations)
    paths: dict[str, dict[str, Any]] = {}
    for function, operation in operations:
        example = shown.get(f"{operation.method} {operation.path}", {})
        described = _describe(operation, _TAGS[function][0], names, example)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Permit", "version": VERSION, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM, "KeySet": _KEY_SET},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token of a login, or an API key.",
                }
            },
        },
    }


def text(examples: list[dict[str, Any]]) -> str:
    return json.dumps(document(examples), indent=1, ensure_ascii=False) + "\n"


def load(function: str) -> ModuleType:
    """The function's module, as it stands when it starts; nothing is connected to."""
    path = PROJECT / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"described_{function}", path)
    assert spec is not None  # noqa: S101 (it is a file)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pydantic looks up what a model names
    with patch.dict(os.environ, _VARIABLES):
        spec.loader.exec_module(module)
    return module


def _operations(function: str) -> Iterator[Operation]:
    module = load(function)
    yield from getattr(module.api, "operations", [])
    for each in _OPEN:
        if each.function == function:
            yield Operation(
                method=each.method,
                path=each.path,
                action=None,
                request=None if each.request is None else getattr(module, each.request),
                query=None,
                answer=None if each.answer is None else getattr(module, each.answer),
                status=each.status,
                creates=False,
                refuses=each.refuses,
                run=getattr(module, each.run),
            )


def _schemas(
    operations: Iterator[Operation],
) -> tuple[dict[str, Any], dict[tuple[type[BaseModel], str], str]]:
    models: list[tuple[type[BaseModel], Any]] = []
    for operation in operations:
        if operation.request is not None:
            models.append((operation.request, "validation"))
        if operation.query is not None:
            models.append((operation.query, "validation"))
        if operation.answer is not None:
            models.append((operation.answer, "serialization"))
    refs, definitions = models_json_schema(
        list(dict.fromkeys(models)), by_alias=True, ref_template=_REF
    )
    names = {key: str(ref["$ref"]).rpartition("/")[2] for key, ref in refs.items()}
    return definitions["$defs"], names  # pyright: ignore[reportReturnType]


def _describe(
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
        "security": [] if operation.action is None and not _takes_token(operation) else _BEARER,
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


def _takes_token(operation: Operation) -> bool:
    return any(each.takes_token for each in _OPEN if each.path == operation.path)


def _parameters(operation: Operation, example: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in operation.path.split("/"):
        if part.startswith("{"):
            name = part[1:-1]
            parameter: dict[str, Any] = {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string", "format": "uuid"},
            }
            if name in example.get("path", {}):
                parameter["example"] = example["path"][name]
            yield parameter
    if operation.query is not None:
        schema = operation.query.model_json_schema(ref_template=_REF)
        for name, described in schema["properties"].items():
            yield {"name": name, "in": "query", "schema": _not_null(described)}
    if operation.creates:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Sent again with it, the same request gets its first answer.",
            "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{22,128}$"},
        }


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is no parameter that is null."""
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
    return {"required": is_needed, "content": {"application/json": content}}


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
        yield "429", {"description": "Too many requests: API Gateway's own answer", **_MESSAGE}
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
        yield UnsupportedMediaType
    if operation.request is not None or operation.query is not None or operation.creates:
        yield InvalidRequest
    if operation.creates:
        yield IdempotencyKeyReused


def _success(
    operation: Operation,
    names: Mapping[tuple[type[BaseModel], str], str],
    example: Mapping[str, Any],
) -> dict[str, Any]:
    if operation.status == 204:
        return {"description": "Done"}
    if operation.answer is None:
        content: dict[str, Any] = {"schema": _ref("KeySet")}
        media_type = "application/jwk-set+json"
    else:
        answer: type[Answer] = operation.answer
        content = {"schema": _ref(names[answer, "serialization"])}
        media_type = "application/json"
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
    return {"$ref": _REF.format(model=name)}


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable: programs decide by it."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "mfa_token": {"type": "string", "description": "With `mfa_required`."},
        "expires_in": {"type": "integer", "description": "With `mfa_required`, in seconds."},
    },
}
_MESSAGE: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["message"],
                "properties": {"message": {"type": "string"}},
            }
        }
    }
}
_KEY_SET: dict[str, Any] = {
    "type": "object",
    "description": "RFC 7517.",
    "required": ["keys"],
    "properties": {
        "keys": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kty", "crv", "x", "kid", "use", "alg"],
                "properties": {
                    name: {"type": "string"} for name in ("kty", "crv", "x", "kid", "use", "alg")
                },
            },
        }
    },
}


def read_examples(path: Path = EXAMPLES) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    DOCUMENT.write_text(text(read_examples()), encoding="utf-8")
