"""What Lambda hands to a handler: an event, and of the context what handlers use.

Everything in this folder runs in the Lambda's own Python, beside what is measured.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

Device = list[str]  # licence key, fingerprint

_TEMPLATE = os.environ["BENCH_EVENT"]


class Context:
    function_name = "bench"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


def event(body: dict[str, Any], source_ip: str = "203.0.113.7") -> dict[str, Any]:
    """The event of BENCH_EVENT with this body."""
    made: dict[str, Any] = json.loads(_TEMPLATE)
    made["body"] = json.dumps(body)
    made["requestContext"]["http"]["sourceIp"] = source_ip
    return made


def login_event(email: str, password: str, address: str) -> dict[str, Any]:
    return event({"email": email, "password": password}, address)


def check_event(device: Device) -> dict[str, Any]:
    key, fingerprint = device
    return event(
        {
            "key": key,
            "device": {"fingerprint": fingerprint, "name": "Laptop", "platform": "linux"},
            "nonce": "c29tZS1ub25jZQ",
        }
    )


def timed_answer(
    handler: Callable[[Any, Any], dict[str, Any]], event: dict[str, Any]
) -> tuple[float, dict[str, Any]]:
    """The seconds from the event to the answer, and its body, which must be a success."""
    started = time.perf_counter()
    answer = handler(event, Context())
    seconds = time.perf_counter() - started
    return seconds, require_success(answer)


def require_success(answer: dict[str, Any]) -> dict[str, Any]:
    """The body. A figure for anything but a success would mean nothing."""
    if answer["statusCode"] != 200:
        raise RuntimeError(f"the answer measured is no success: {answer}")
    body: dict[str, Any] = json.loads(answer["body"])
    if not body.get("valid", True):
        raise RuntimeError(f"the verdict measured is not valid: {answer}")
    return body
