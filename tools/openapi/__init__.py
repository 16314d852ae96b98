"""The API's description (OpenAPI 3.1), made from the functions' own models and from examples.

`python -m tools.openapi` writes shared/permit/openapi.json, which docs/openapi.json points at.
"""

import json
from pathlib import Path
from typing import Any

from local.processes import PROJECT
from permit import VERSION
from tools.openapi.fixed import KEY_SET, PROBLEM
from tools.openapi.operations import operations
from tools.openapi.paths import describe
from tools.openapi.schemas import schemas

DOCUMENT = PROJECT / "shared" / "permit" / "openapi.json"
EXAMPLES = PROJECT / "docs" / "examples.json"
# The group of each function's operations, in the order of the page.
TAGS = {
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
unknown route, 413 beyond 10 MB, 429, 503) has a `message` instead. A body is at most 64 KiB, or
what its operation says, and never compressed. A parameter of the query that its operation does
not have, or that comes twice, is refused. What answers GET answers HEAD too. Times
are RFC 3339 in UTC, ids UUIDs, durations ISO 8601. Lists have `items` and `next_cursor`. A
request that creates takes an `Idempotency-Key`: sent again within 7 days it gets its first
answer, byte for byte."""


def document(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole description; `examples` has what was sent and answered, by operation."""
    shown = {example["operation"]: example for example in examples}
    served = [(function, operation) for function in TAGS for operation in operations(function)]
    described, names = schemas(operation for _, operation in served)
    paths: dict[str, dict[str, Any]] = {}
    for function, operation in served:
        example = shown.get(f"{operation.method} {operation.path}", {})
        path = paths.setdefault(operation.path, {})
        path[operation.method.lower()] = describe(operation, TAGS[function][0], names, example)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Permit", "version": VERSION, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": {**described, "Problem": PROBLEM, "KeySet": KEY_SET},
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


def read_examples(path: Path = EXAMPLES) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))
