"""JSON and base64url without leniency: what can be read in two ways is not read at all."""

from __future__ import annotations

import json
import math
import re
from binascii import a2b_base64, b2a_base64
from typing import Any, NoReturn, cast

DEEPEST = 16
"""Levels of nesting."""
_LONGEST_NUMBER = 32
_B64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_TO_URL, _FROM_URL = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")


class Malformed(ValueError):
    """The text is not what it should be. The message quotes nothing of it."""


def b64url_decode(text: str) -> bytes:
    """Unpadded base64url in its one canonical form. Raises Malformed."""
    if not _B64URL.fullmatch(text) or len(text) % 4 == 1:
        raise Malformed("not unpadded base64url")
    data = a2b_base64(text.translate(_FROM_URL) + "=" * (-len(text) % 4))
    if b64url_encode(data) != text:
        raise Malformed("not the canonical base64url")
    return data


def b64url_encode(data: bytes) -> str:
    """Unpadded."""
    return b2a_base64(data, newline=False).decode().rstrip("=").translate(_TO_URL)


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8, alone, without duplicate names. Raises Malformed."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole,
        )
    except (ValueError, RecursionError):
        raise Malformed("not strict JSON") from None
    if not isinstance(value, dict) or not _is_shallow(cast("object", value), DEEPEST):
        raise Malformed("not a JSON object, or nested too deep")
    return cast("dict[str, Any]", value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a name twice")
    return found


def _refuse(_: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("a number too large")
    return number


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise Malformed("a number too long")
    return int(text)


def _is_shallow(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        parts = list(cast("dict[str, object]", value).values())
    elif isinstance(value, list):
        parts = cast("list[object]", value)
    else:
        return True
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in parts)
