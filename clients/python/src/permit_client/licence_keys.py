"""Licence keys as people type and paste them: read here as the server reads them."""

from __future__ import annotations

import unicodedata
from typing import cast

from permit_client.digests import sha256

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SYMBOLS = 30
_PAYLOAD_SYMBOLS = 28
_LONGEST = 256

_KNOWN = frozenset(ALPHABET)
_READING = cast(
    "dict[int, str]",
    str.maketrans(
        {
            **{letter.lower(): letter for letter in ALPHABET if letter.isalpha()},
            **dict.fromkeys("iIlL", "1"),
            **dict.fromkeys("oO", "0"),
            **dict.fromkeys("- "),
            **dict.fromkeys(map(chr, (*range(1, ord(" ")), 127))),
        }
    ),
)
# Unicode's separators, controls, formats and dashes; and what looks like one of them and is filed
# elsewhere: minus signs, the Japanese long vowel mark, fillers, joiners, variation selectors.
_DROPPED = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"})
_DROPPED_TOO = frozenset(
    "\u02d7\u2043\u2212\u2796\u30fc\u034f\u115f\u1160\u17b4\u17b5\u2800"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)


def canonical(typed: str) -> str | None:
    """The key's 30 symbols; None if this is no key of Permit's own, or has a typing error."""
    symbols = (typed if typed.isascii() else _as_ascii(typed)).translate(_READING)
    if len(symbols) != _SYMBOLS or not _KNOWN.issuperset(symbols):
        return None
    digest = sha256(symbols[:_PAYLOAD_SYMBOLS].encode("ascii"))
    bits = int.from_bytes(digest[:2], "big") >> 6
    is_right = symbols[_PAYLOAD_SYMBOLS:] == ALPHABET[bits >> 5] + ALPHABET[bits & 31]
    return symbols if is_right else None


def key_id(typed: str) -> str:
    """By what the store knows a key, without having it: two ways to type one key have one id."""
    text = canonical(typed) or typed.strip()
    return sha256(b"permit-key\0" + text.encode("utf-8", "surrogatepass")).hex()


def can_be_sent(typed: str) -> bool:
    """Whether the server would look at it: 1 to 256 characters, all of them Unicode's, no NUL."""
    if not 1 <= len(typed) <= _LONGEST or "\0" in typed:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in typed)


def _as_ascii(text: str) -> str:
    """In usual widths, without the dashes and blanks that mail and word processors put in."""
    return "".join(
        character
        for character in unicodedata.normalize("NFKC", text)
        if character.isascii()
        or (unicodedata.category(character) not in _DROPPED and character not in _DROPPED_TOO)
    )
