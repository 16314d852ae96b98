"""The native half of awslambdaric in plain Python, for systems for which AWS builds none."""

import http.client
import os

_API = "/2018-06-01/runtime"
_DEADLINE = "Lambda-Runtime-Deadline-Ms"
_own_headers: dict[str, str] = {}


def initialize_client(user_agent: str) -> None:
    """Called once, at import, by awslambdaric."""
    _own_headers["User-Agent"] = user_agent


def next() -> tuple[bytes, dict[str, str | int]]:  # noqa: A001 (the native module's name for it)
    """Wait for the next event; the answer is its body and its headers."""
    body, headers = _call("GET", "/invocation/next")
    return body, headers | {_DEADLINE: int(headers[_DEADLINE])}


def post_invocation_result(
    invoke_id: str, data: bytes, content_type: str, _invocation_id: str | None = None
) -> None:
    """Hand the function's answer in."""
    _call("POST", f"/invocation/{invoke_id}/response", data, {"Content-Type": content_type})


def post_error(
    invoke_id: str, error: str, _xray_fault: str, _invocation_id: str | None = None
) -> None:
    """Hand in what the function raised."""
    headers = {"Content-Type": "application/json"}
    _call("POST", f"/invocation/{invoke_id}/error", error.encode(), headers)


def _call(
    method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        connection.request(method, _API + path, body, _own_headers | (headers or {}))
        response = connection.getresponse()
        received = response.read()
        if response.status not in (200, 202):
            raise RuntimeError(f"{method} {path}: the Runtime API answered {response.status}")
        return received, dict(response.getheaders())
    finally:
        connection.close()
