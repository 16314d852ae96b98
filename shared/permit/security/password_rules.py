"""What a new password must be: long enough, and not one that everyone tries first."""

import unicodedata
from functools import cache

SHORTEST, LONGEST = 12, 256
_DECORATION = "0123456789!?.*#@$-_ "


class UnacceptablePassword(ValueError):
    """A new password breaks a rule. The message is for the person who chose it."""


def require_acceptable(password: str, *, email: str | None = None) -> None:
    text = unicodedata.normalize("NFC", password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise UnacceptablePassword(f"must have {SHORTEST} to {LONGEST} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise UnacceptablePassword("must not contain control characters")
    folded = text.casefold()
    if email is not None and folded == email.casefold():
        raise UnacceptablePassword("must not be the email address")
    if _is_repetition(folded) or not _common().isdisjoint({folded, folded.strip(_DECORATION)}):
        raise UnacceptablePassword("must not be one of the first that others try")


def _is_repetition(text: str) -> bool:
    """Whether one piece makes up the whole, as in abcabcabcabc."""
    return text in (text + text)[1:-1]


@cache
def _common() -> frozenset[str]:
    # Imported here: a login sets no password, and need not load a megabyte of words.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(word for words in FREQUENCY_LISTS.values() for word in words)
