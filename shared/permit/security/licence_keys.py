"""Licence keys: 140 random bits and 10 check bits, as 30 Crockford base32 symbols."""

import hashlib
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAYLOAD_SYMBOLS = 28
_SYMBOLS = 30
_GROUP = 6

_KNOWN = frozenset(ALPHABET)
# One pass over the text: drop hyphens and spaces, raise the case, read the look-alikes. It names
# every symbol, and None to drop one: missing or empty entries cost Python more.
_READING = str.maketrans(
    {
        **{symbol: symbol for symbol in ALPHABET},
        **{letter.lower(): letter for letter in ALPHABET if letter.isalpha()},
        **dict.fromkeys("iIlL", "1"),
        **dict.fromkeys("oO", "0"),
        **dict.fromkeys("- "),
    }
)


def generate() -> str:
    """A new key as people see it: five groups of six."""
    bits = secrets.randbits(5 * _PAYLOAD_SYMBOLS)
    payload = "".join(ALPHABET[bits >> 5 * i & 31] for i in range(_PAYLOAD_SYMBOLS))
    key = payload + _check_symbols(payload)
    return "-".join(key[i : i + _GROUP] for i in range(0, _SYMBOLS, _GROUP))


def canonical(text: str) -> str | None:
    """The 30 canonical symbols, or None if this is not a key or its check symbols differ."""
    symbols = text.translate(_READING)
    # The alphabet is ASCII, so a look-alike from another script ends here.
    if len(symbols) != _SYMBOLS or not _KNOWN.issuperset(symbols):
        return None
    payload, check = symbols[:_PAYLOAD_SYMBOLS], symbols[_PAYLOAD_SYMBOLS:]
    return symbols if check == _check_symbols(payload) else None


def digest(canonical_key: str) -> bytes:
    """What is stored. A key has too many bits to be guessed, so a fast hash is enough."""
    return hashlib.sha256(canonical_key.encode("ascii")).digest()


def hint(canonical_key: str) -> str:
    """The part of a key by which people recognise it."""
    return canonical_key[-5:]


def _check_symbols(payload: str) -> str:
    digest = hashlib.sha256(payload.encode("ascii")).digest()
    bits = int.from_bytes(digest[:2], "big") >> 6  # the first ten
    return ALPHABET[bits >> 5] + ALPHABET[bits & 31]
