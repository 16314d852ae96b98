"""The form in which texts are compared: one place, so that two readers never disagree."""

import unicodedata


def fold(text: str) -> str:
    """The form in which texts are compared where case does not matter: NFC, then case-folded.

    The i of Turkish is one letter with that of everybody else, with or without its dot: whoever
    searches for `istanbul` means `İstanbul` too.
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return folded.replace("i\u0307", "i").replace("ı", "i")


def fold_email(email: str) -> str:
    """The form in which emails are compared and kept."""
    return email.strip().casefold()
