"""What the HTTP events of events/ are answered by a stack that was just made."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.support.sam_template import ROOT, events

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}
# Their refresh token, their login's second step and their tenant exist nowhere.
_OTHERS: dict[str, tuple[int, set[str]]] = {
    "login_refresh": (401, PROBLEM),
    "login_second_factor": (401, PROBLEM),
    "login_logout": (204, set()),
    "tenant_jwks": (404, PROBLEM),
}


def usual_answer(name: str) -> tuple[int, set[str] | None]:
    """The status, and the fields of the body: of a problem, or as the API's description has them.

    Nobody has the API key of the events. None stands for fields that are not described.
    """
    if name in _OTHERS:
        return _OTHERS[name]
    event = events()[name]
    if "authorization" in event["headers"]:
        return 401, PROBLEM
    method = event["requestContext"]["http"]["method"].lower()
    answered = described(event).get(method, {}).get("responses", {}).get("200", {})
    schema = answered.get("content", {}).get("application/json", {}).get("schema", {})
    model = schema.get("$ref", "").rpartition("/")[2]
    return 200, set(_description()["components"]["schemas"][model]["properties"]) if model else None


def described(event: Mapping[str, Any]) -> dict[str, Any]:
    """The description of the event's path, by method; empty for a page of HTML."""
    for path, operations in _description()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), event["rawPath"]):
            return operations
    return {}


@cache
def _description() -> dict[str, Any]:
    return json.loads((ROOT / "shared" / "permit" / "openapi.json").read_text(encoding="utf-8"))
