"""How many bytes something has once it is written out, and how many an answer may have."""

import json
import re
from collections.abc import Iterable, Iterator
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
    text = json.dumps(value, ensure_ascii=False)
    size = len(text.encode())
    if re.search(r"\de[+-]\d", text):  # Python writes large and small numbers so
        size += sum(len(f"{Decimal(repr(each)):f}") - len(repr(each)) for each in _floats(value))
    return size


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for each in cast("dict[str, Any]", value).values():
            yield from _floats(each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _floats(each)


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
