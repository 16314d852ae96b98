"""How many bytes something has once it is written out, and how many an answer may have."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from pydantic_core import to_json

LARGEST_ANSWER = 5_000_000
"""In bytes, as Lambda passes it on: of its 6 MB the rest is for what we do not count.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""
_FRAME = 20_000  # of an answer: what stands around the items of a list, and the headers
_LONGEST_CHARACTER = 12  # in bytes: one beyond the first 65,536, both halves of it escaped


def written_size(value: object) -> int:
    """Of a JSON value as jsonb writes it: text in UTF-8, and numbers with each digit.

    An answer has the same without the blanks. `1e308` has 309 digits. Raises ValueError for a whole
    number of more than 4,300 digits, which nothing of ours reads.
    """
    if isinstance(value, float):
        return len(f"{Decimal(repr(value)):f}")
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return max(2, sum(written_size(name) + written_size(each) + 4 for name, each in members))
    if isinstance(value, list):
        return max(2, sum(written_size(each) + 2 for each in cast("list[Any]", value)))
    return len(json.dumps(value, ensure_ascii=False).encode())


def passed_on_size(text: str) -> int:
    """Of a body in Lambda's answer, where it is a string of JSON: each quote has a backslash."""
    return len(json.dumps(text))


def can_be_answered(text: str) -> bool:
    """Whether a body is within LARGEST_ANSWER. Measured only where it may not be."""
    return (
        len(text) * _LONGEST_CHARACTER + _FRAME <= LARGEST_ANSWER
        or passed_on_size(text) + _FRAME <= LARGEST_ANSWER
    )


def how_many_fit(items: Iterable[object]) -> int:
    """How many of them, from the first, one answer has room for."""
    room, count = LARGEST_ANSWER - 2 * _FRAME, 0
    for item in items:
        room -= passed_on_size(to_json(item).decode())
        if room < 0:
            break
        count += 1
    return count
