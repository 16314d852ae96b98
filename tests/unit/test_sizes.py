"""What is stored and answered is measured as it is written out."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from permit.licences.terms import LicenceTerms
from permit.sizes import (
    LARGEST_ANSWER,
    can_be_answered,
    how_many_fit,
    passed_on_size,
    written_size,
)

LAMBDAS_LIMIT = 6 * 1024 * 1024


@pytest.mark.parametrize(
    "value",
    [{}, [], [[]], {"a": {}}, {"é": ["ö", "😀", "\x01", '"', "\\"]}, [1, -2, True, None, 10**300]],
    ids=repr,
)
def test_json_is_measured_as_jsonb_writes_it(value: Any) -> None:
    """With its blanks, in UTF-8."""
    assert len(json.dumps(value, ensure_ascii=False).encode()) == written_size(value)


@pytest.mark.parametrize(
    ("number", "size"),
    [(1e308, 309), (-1e308, 310), (1.5, 3), (1e16, 17), (1e-7, 9), (5e-324, 326), (1e22, 23)],
    ids=str,
)
def test_numbers_have_every_digit(number: float, size: int) -> None:
    """As Postgres keeps them: 900 × `1e308` are 280 kB."""
    assert size == written_size(number)
    assert 900 * (size + 2) == written_size([number] * 900)


@pytest.mark.parametrize("number", [1e308, 5e-324])
def test_metadata_may_not_grow(number: float) -> None:
    """A body of 6 kB does not become 280 kB: 8 KiB are what is written, not what is sent."""
    assert LicenceTerms(metadata={"n": [number] * 24})
    with pytest.raises(ValidationError, match="numbers written out"):
        LicenceTerms(metadata={"n": [number] * 900})


@pytest.mark.parametrize("character", ["x", '"', "\\", "\n", "\x01", "é", "漢", "😀"], ids=ascii)
def test_a_body_is_measured_as_lambda_passes_it_on(character: str) -> None:
    """It is a string of JSON within JSON there, so a quote in a value has three backslashes."""
    text = json.dumps({"a": character * 1_000})
    for ensure_ascii in (True, False):
        payload = json.dumps({"statusCode": 200, "body": text}, ensure_ascii=ensure_ascii)
        assert len(payload.encode()) - 40 < passed_on_size(text)


@pytest.mark.parametrize("character", ["x", '"', "\x01", "漢", "😀"], ids=ascii)
def test_what_can_be_answered_passes_lambda(character: str) -> None:
    """The largest body of each kind is between 4.9 and 5 million bytes as it is passed on."""
    few, many = 1, LARGEST_ANSWER
    while few < many:
        middle = (few + many + 1) // 2
        few, many = (middle, many) if can_be_answered(character * middle) else (few, middle - 1)
    largest = len(json.dumps({"body": character * few, "headers": {}}))

    assert LARGEST_ANSWER * 0.98 < largest < LARGEST_ANSWER < LAMBDAS_LIMIT


def test_a_list_ends_where_the_next_item_has_no_room() -> None:
    """Whatever comes after it."""
    large, small = {"a": "x" * 1_000_000}, {"a": "x"}

    assert [0, 4, 5, 1_000] == [
        how_many_fit(items) for items in ([], [large] * 9, [small, *[large] * 9], [small] * 1_000)
    ]
    assert 0 == how_many_fit([{"a": "x" * LARGEST_ANSWER}])
