"""Reading the secrets' own formats: JSON objects and hexadecimal keys, refused without quoting."""

import json
import re
from typing import Any, cast

_KEY = re.compile(r"[0-9a-fA-F]{64}")


class MalformedSecret(ValueError):
    """A secret is not in its format. The message says what is wrong and never quotes it."""


def parse_json_object(text: str, *, what: str) -> dict[str, Any]:
    try:
        parsed: object = json.loads(text)
    except ValueError:
        # JSONDecodeError carries the whole document: it must not travel on as the cause.
        raise MalformedSecret(f"{what} are not JSON") from None
    if not isinstance(parsed, dict):
        raise MalformedSecret(f"{what} are not a JSON object")
    return cast("dict[str, Any]", parsed)


def parse_key(value: object, *, what: str) -> bytes:
    """A 256-bit key written as 64 hexadecimal digits."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise MalformedSecret(f"{what} is not 64 hexadecimal digits")
    return bytes.fromhex(value)
