"""The vendor's side as it is deployed, warm: any request to the function `licences`."""

import json
import os
from typing import Any

import app
from bench_commands import connect, serve
from bench_lambda import Context
from bench_stopwatch import timed

baseline = connect()
_EVENT: dict[str, Any] = json.loads(os.environ["BENCH_EVENT"])
_API_KEY = os.environ["BENCH_API_KEY"]


def main() -> None:
    serve({"select_1": select_1, "requests": requests})


def select_1(count: int) -> list[float]:
    return [timed(lambda: baseline.execute("SELECT 1").fetchone()) for _ in range(count)]


def requests(
    count: int, method: str, path: str, body: object = None, query: dict[str, str] | None = None
) -> list[float]:
    """From the event to the answer."""
    event = _event(method, path, body, query or {})
    return [timed(lambda: _require_success(app.handler(event, Context()))) for _ in range(count)]


def _event(method: str, path: str, body: object, query: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(_EVENT))
    made["rawPath"] = path
    made["requestContext"]["http"] |= {"method": method, "path": path}
    made["headers"] |= {
        "authorization": f"Bearer {_API_KEY}",
        "content-type": "application/json",
    }
    if body is not None:
        made["body"] = json.dumps(body)
    if query:
        made["queryStringParameters"] = query
    return made


def _require_success(answer: dict[str, Any]) -> None:
    if answer["statusCode"] not in (200, 201):
        raise RuntimeError(f"the answer measured is no success: {answer}")
    if json.loads(answer["body"]).get("items") == []:
        raise RuntimeError("the list measured is empty")
