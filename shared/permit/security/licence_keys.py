"""Licence keys: 140 random bits and 10 check bits, as 30 Crockford base32 symbols."""

import hashlib
import secrets
import unicodedata

from permit.folding import UNSEEN

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAYLOAD_SYMBOLS = 28
_SYMBOLS = 30
_GROUP = 6

_KNOWN = frozenset(ALPHABET)
# One pass over the text: drop hyphens, spaces and controls, raise the case, read the look-alikes.
# It names every symbol, and None to drop one: missing or empty entries cost Python more. NUL stays:
# nobody types it.
_READING = str.maketrans(
    {
        **{symbol: symbol for symbol in ALPHABET},
        **{letter.lower(): letter for letter in ALPHABET if letter.isalpha()},
        **dict.fromkeys("iIlL", "1"),
        **dict.fromkeys("oO", "0"),
        **dict.fromkeys("- "),
        **dict.fromkeys((*range(1, ord(" ")), 127)),
    }
)
# Unicode's separators, controls, formats and dashes; and what looks like one of them and is filed
# elsewhere: minus signs, the Japanese long vowel mark, what nobody sees.
_DROPPED = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"})
_DROPPED_TOO = frozenset("\u02d7\u2043\u2212\u2796\u30fc") | UNSEEN


def generate() -> str:
    """A new key as people see it: five groups of six."""
    bits = secrets.randbits(5 * _PAYLOAD_SYMBOLS)
    payload = "".join(ALPHABET[bits >> 5 * i & 31] for i in range(_PAYLOAD_SYMBOLS))
    key = payload + _check_symbols(payload)
    return "-".join(key[i : i + _GROUP] for i in range(0, _SYMBOLS, _GROUP))


def canonical(text: str) -> str | None:
    """The 30 canonical symbols, or None if this is not a key or its check symbols differ."""
    symbols = read(text)
    # The alphabet is ASCII, so a look-alike from another script ends here.
    if len(symbols) != _SYMBOLS or not _KNOWN.issuperset(symbols):
        return None
    payload, check = symbols[:_PAYLOAD_SYMBOLS], symbols[_PAYLOAD_SYMBOLS:]
    return symbols if check == _check_symbols(payload) else None


def read(text: str) -> str:
    """The symbols of a key, or of a part of one, as they were meant; what is none stays."""
    return (text if text.isascii() else _as_ascii(text)).translate(_READING)


def digest(canonical_key: str) -> bytes:
    """What is stored. A key has too many bits to be guessed, so a fast hash is enough."""
    return hashlib.sha256(canonical_key.encode("ascii")).digest()


def hint(canonical_key: str) -> str:
    """The part of a key by which people recognise it."""
    return canonical_key[-5:]


def _as_ascii(text: str) -> str:
    """In usual widths, without the dashes and blanks that mail and word processors put in."""
    return "".join(
        character
        for character in unicodedata.normalize("NFKC", text)
        if character.isascii()
        or (unicodedata.category(character) not in _DROPPED and character not in _DROPPED_TOO)
    )


def _check_symbols(payload: str) -> str:
    digest = hashlib.sha256(payload.encode("ascii")).digest()
    bits = int.from_bytes(digest[:2], "big") >> 6  # the first ten
    return ALPHABET[bits >> 5] + ALPHABET[bits & 31]
