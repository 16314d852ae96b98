"""CloudFormation's custom resources: what it asks of a function, and where it waits for the answer.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

import json
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts
_TIMEOUT = 10.0
_LONGEST_REASON = 1_000  # characters
_LARGEST_ANSWER = 4_096  # bytes


class CannotAnswer(RuntimeError):
    """CloudFormation could not be told; it will wait for as long as ServiceTimeout says."""


def answer(request: dict[str, Any], *, physical_id: str, failure: str | None = None) -> None:
    """Tells CloudFormation that the request succeeded, or why it did not. Raises CannotAnswer."""
    body = {
        "Status": "SUCCESS" if failure is None else "FAILED",
        "Reason": "",
        # Always the same: a new one would make CloudFormation delete the old resource.
        "PhysicalResourceId": physical_id,
        **{name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    room = _LARGEST_ANSWER - len(json.dumps(body))
    body["Reason"] = _beginning(failure or "done", room)
    for pause in (*_PAUSES, None):
        problem = _put(request["ResponseURL"], json.dumps(body).encode())
        if problem is None:
            return
        if pause is None:
            raise CannotAnswer(f"CloudFormation did not take the answer: {problem}")
        time.sleep(pause)


def _beginning(text: str, room: int) -> str:
    """As much of a text as has so many bytes in a string of JSON."""
    sizes = accumulate(len(json.dumps(character)) - 2 for character in text[:_LONGEST_REASON])
    return text[: sum(size <= room for size in sizes)]


def _put(url: str, body: bytes) -> str | None:
    """What went wrong, if anything; the address is a credential and is never shown."""
    address = urlsplit(url)
    scheme = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = scheme(address.netloc, timeout=_TIMEOUT)
    try:
        # The signature is over an empty content type.
        connection.request("PUT", f"{address.path}?{address.query}", body, {"Content-Type": ""})
        response = connection.getresponse()
        response.read(_LONGEST_REASON)
    except (OSError, HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return None if response.status == 200 else f"status {response.status}"
