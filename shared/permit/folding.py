"""How what people type or paste is read and compared: one place, so no two readers disagree."""

import unicodedata

# What nobody sees: controls and formats, and what Unicode files elsewhere: the grapheme joiner,
# fillers of Korean, inherent vowels of Khmer, variation selectors, the blank of Braille.
_UNSEEN_KINDS = ("Cc", "Cf")
UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
# Separators, and what joins words, of whichever kind.
_SEPARATING = ("Zs", "Zl", "Zp", "Pd", "Pc")


def fold(text: str) -> str:
    """The form in which holders are searched, and which is stored for that.

    Letters in any case, composed or not, of whichever width (NFKC, case-folded); blanks of any kind
    between words as one space; without what nobody sees. The i of Turkish is one letter with that
    of everybody else, with or without its dot: whoever searches for `istanbul` means `İstanbul`.

    A version that folds otherwise has the sweep fold anew what is stored (migration 0014 does).
    """
    spaced = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFKC", text))
    seen = "".join(c for c in spaced if not _is_unseen(c)).casefold()
    folded = unicodedata.normalize("NFKC", seen.replace("i\u0307", "i").replace("ı", "i"))
    return " ".join(folded.split())


def is_blank(text: str) -> bool:
    """Whether nobody would see anything of it."""
    return all(c.isspace() or _is_unseen(c) for c in text)


def compose(text: str) -> str:
    """Text for people, as it is counted and kept: one letter is one character (NFC)."""
    return unicodedata.normalize("NFC", text)


def read_token(text: str) -> str:
    """A token as it was pasted, without blanks and what nobody sees."""
    return "".join(c for c in text if not c.isspace() and not _is_unseen(c))


def read_email(text: str) -> str:
    """An email as it was meant: composed (NFC), without blanks around it and what nobody sees."""
    seen = "".join(c for c in text.strip() if not _is_unseen(c))
    return unicodedata.normalize("NFC", seen.strip())


def fold_email(email: str) -> str:
    """The form in which emails are compared and kept."""
    return unicodedata.normalize("NFC", read_email(email).casefold())


def read_symbols(text: str) -> str:
    """A code or key as it was meant: blanks, dashes and what nobody sees are not part of it.

    Letters and digits of other widths become the usual ones (NFKC), and those of other scripts too.
    """
    symbols = (
        c
        for c in unicodedata.normalize("NFKC", text)
        if not _is_unseen(c) and unicodedata.category(c) not in _SEPARATING
    )
    return "".join(_usual_digit(c) for c in symbols)


def _is_unseen(character: str) -> bool:
    # NUL stays, and is refused: nobody types it.
    if character == "\0":
        return False
    return character in UNSEEN or unicodedata.category(character) in _UNSEEN_KINDS


def _usual_digit(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
