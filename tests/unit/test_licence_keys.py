"""Licence keys: what a key is, what reads as one, and what does not."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from permit.security import licence_keys

CHECK = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")


def documented() -> Callable[[str], bool]:
    """`could_be_a_key` as docs/check.md has it."""
    [program] = [
        each for each in re.findall(r"```python\n(.*?)```", CHECK, re.DOTALL) if "typed" in each
    ]
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 (our own document)
    return names["could_be_a_key"]


def full_width(text: str) -> str:
    """As a Japanese keyboard writes it."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def test_a_key_is_five_groups_of_six_symbols() -> None:
    """A new key is five groups of six Crockford symbols."""
    assert re.fullmatch(
        r"(?:[0-9A-HJKMNP-TV-Z]{6}-){4}[0-9A-HJKMNP-TV-Z]{6}", licence_keys.generate()
    )


def test_keys_differ() -> None:
    """No two of a thousand new keys are alike."""
    assert len({licence_keys.generate() for _ in range(1000)}) == 1000


def test_the_check_symbols_are_the_first_ten_bits_of_the_payloads_hash() -> None:
    """The last two symbols are the first ten bits of SHA-256 over the first 28."""
    key = licence_keys.generate().replace("-", "")
    digest = hashlib.sha256(key[:28].encode()).hexdigest()
    bits = f"{int(digest, 16):0256b}"[:10]

    assert [int(bits[:5], 2), int(bits[5:], 2)] == [
        licence_keys.ALPHABET.index(s) for s in key[28:]
    ]


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(lambda key: key, id="as printed"),
        pytest.param(str.lower, id="lower case"),
        pytest.param(lambda key: key.replace("-", ""), id="no hyphens"),
        pytest.param(lambda key: key.replace("-", " "), id="spaces"),
        pytest.param(lambda key: f"  {key} ", id="spaces around"),
        pytest.param(lambda key: key.replace("0", "O"), id="O for 0"),
        pytest.param(lambda key: key.replace("0", "o"), id="o for 0"),
        pytest.param(lambda key: key.replace("1", "I"), id="I for 1"),
        pytest.param(lambda key: key.replace("1", "l"), id="l for 1"),
        pytest.param(lambda key: key + "\n", id="a newline at its end"),
        pytest.param(lambda key: f"\t{key}\r\n", id="a tab, and a line's end of Windows"),
        pytest.param(lambda key: key[:17] + "\r\n   " + key[17:], id="a wrapped line"),
        pytest.param("\n".join, id="a column"),
        pytest.param(lambda key: "".join(f"{c}\x1b\x7f" for c in key), id="controls"),
        pytest.param(lambda key: key.replace("-", "\u00a0"), id="no-break spaces"),
        pytest.param(lambda key: key.replace("-", "\u202f"), id="narrow no-break spaces"),
        pytest.param(lambda key: key.replace("-", "\u3000"), id="ideographic spaces"),
        pytest.param(lambda key: key.replace("-", "\u2028"), id="line separators"),
        pytest.param(lambda key: f"\ufeff{key}\u200b", id="a byte order mark, a zero-width space"),
        pytest.param(lambda key: key.replace("-", "-\u200d\u2060"), id="joiners"),
        pytest.param(lambda key: f"\u202a{key}\u202c", id="marks of direction"),
        pytest.param(lambda key: key.replace("-", "\u00ad"), id="soft hyphens"),
        pytest.param(lambda key: key.replace("-", "\u2011"), id="no-break hyphens"),
        pytest.param(lambda key: key.replace("-", "–"), id="en dash"),
        pytest.param(lambda key: key.replace("-", "—"), id="em dash"),
        pytest.param(lambda key: key.replace("-", "−"), id="minus sign"),
        pytest.param(lambda key: key.replace("-", "－"), id="full-width hyphen"),
        pytest.param(lambda key: key.replace("-", "ー"), id="Japanese long vowel mark"),
        pytest.param(lambda key: key.replace("-", "\ufe0f"), id="variation selector"),
        pytest.param(lambda key: key.replace("-", "\uff70"), id="half-width vowel mark"),
        pytest.param(lambda key: key.replace("-", "\u2043"), id="hyphen bullet"),
        pytest.param(lambda key: key.replace("-", "\u3164"), id="Korean filler"),
        pytest.param(lambda key: key.replace("-", "\u2800"), id="blank of Braille"),
        pytest.param(lambda key: key.replace("-", "\u034f"), id="grapheme joiner"),
        pytest.param(lambda key: key.replace("0", "０"), id="full-width digit"),
        pytest.param(full_width, id="full width"),
        pytest.param(lambda key: full_width(key.lower()), id="full width, lower case"),
        pytest.param(lambda key: key.replace("1", "\uff4c"), id="full-width l for 1"),
    ],
)
def test_a_key_is_read_however_it_is_typed(spelling) -> None:
    """Case, width, dashes, blanks, what nobody sees and the look-alikes I L O do not matter."""
    key = _key_with("01")

    assert key.replace("-", "") == licence_keys.canonical(spelling(key))
    assert documented()(spelling(key))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key: "", id="empty"),
        pytest.param(lambda key: key[:-1], id="too short"),
        pytest.param(lambda key: key + "0", id="too long"),
        pytest.param(lambda key: "U" + key[1:], id="U is no symbol"),
        pytest.param(lambda key: key.replace("0", "٠"), id="Arabic digit"),
        pytest.param(lambda key: key.replace("0", "О"), id="Cyrillic O"),
        pytest.param(lambda key: key.replace("1", "ı"), id="dotless i"),
        pytest.param(lambda key: key.replace("-", "_"), id="underscore"),
        pytest.param(lambda key: key.replace("-", "."), id="full stop"),
        pytest.param(lambda key: key.replace("A", "Á"), id="an accent"),
        pytest.param(lambda key: key + "\n0", id="too long after a newline"),
        pytest.param(lambda key: key + "\0", id="NUL"),
        pytest.param(lambda key: key + "\ud800", id="lone surrogate"),
    ],
)
def test_what_is_no_key_reads_as_none(change) -> None:
    """Anything else is not a key, and raises no exception."""
    key = _key_with("01A")

    assert licence_keys.canonical(change(key)) is None
    assert not documented()(change(key))


def test_a_changed_symbol_is_noticed() -> None:
    """Wrong check symbols are found without the database."""
    key = licence_keys.generate()
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")

    assert licence_keys.canonical(wrong) is None


@settings(deadline=None)  # a busy machine is no fault of the reader
@given(st.text(max_size=60) | st.text(alphabet="- \n" + licence_keys.ALPHABET, max_size=60))
def test_the_documents_program_reads_as_we_do(text: str) -> None:
    """What docs/check.md gives to programs: wherever it says that it is no key, we say so too."""
    could_be_a_key = documented()
    key = licence_keys.generate()

    assert could_be_a_key(f" {full_width(key)}\n")
    assert could_be_a_key(text) == (licence_keys.canonical(text) is not None)
    for wrong in (key[:-1], key[:-1] + ("0" if key[-1] != "0" else "1"), key + "0"):
        assert not could_be_a_key(wrong)


def test_the_documents_example_is_right() -> None:
    """The key that docs/check.md shows, and the one that it says is mistyped."""
    [example] = re.findall(r"`(EXAMP1-[^`]+)` could be a key; with a C for its B", CHECK)

    assert documented()(example)
    assert not documented()(example.replace("B", "C"))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_makes_reading_fail(text: str) -> None:
    """Whatever the text, the answer is a canonical key or None."""
    read = licence_keys.canonical(text)
    assert read is None or (len(read) == 30 and read.isascii())


def test_the_digest_is_sha256_of_the_canonical_symbols() -> None:
    """What is stored is SHA-256 of the 30 symbols, and the hint is the last five."""
    key = licence_keys.generate().replace("-", "")

    assert hashlib.sha256(key.encode()).digest() == licence_keys.digest(key)
    assert key[25:] == licence_keys.hint(key)


def _key_with(symbols: str) -> str:
    while True:
        key = licence_keys.generate()
        if all(symbol in key for symbol in symbols):
            return key
