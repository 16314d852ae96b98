"""How what people type or paste is read and compared: one place, so no two readers disagree."""

import unicodedata

# Controls, formatting that nobody sees, separators; and what joins words, of whichever kind.
_NOT_READ = ("Cc", "Cf", "Zs", "Zl", "Zp", "Pd", "Pc")
_INVISIBLE = "Cf"


def fold(text: str) -> str:
    """The form in which texts are compared where case does not matter: NFC, then case-folded.

    The i of Turkish is one letter with that of everybody else, with or without its dot: whoever
    searches for `istanbul` means `İstanbul` too.
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return folded.replace("i\u0307", "i").replace("ı", "i")


def read_email(text: str) -> str:
    """An email as it was meant: composed (NFC), without blanks around it and what nobody sees."""
    seen = "".join(c for c in text if unicodedata.category(c) != _INVISIBLE)
    return unicodedata.normalize("NFC", seen.strip())


def fold_email(email: str) -> str:
    """The form in which emails are compared and kept."""
    return unicodedata.normalize("NFC", read_email(email).casefold())


def read_symbols(text: str) -> str:
    """A code or key as it was meant: blanks, dashes and what nobody sees are not part of it.

    Letters and digits of other widths become the usual ones (NFKC), and those of other scripts too.
    """
    symbols = (
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in _NOT_READ
    )
    return "".join(_usual_digit(c) for c in symbols)


def _usual_digit(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
