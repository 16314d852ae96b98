"""The form in which texts are compared: one place, so that two readers never disagree."""

import unicodedata


def fold(text: str) -> str:
    """The form in which texts are compared where case does not matter: NFC, then case-folded."""
    return unicodedata.normalize("NFC", text).casefold()


def fold_email(email: str) -> str:
    """The form in which emails are compared and kept."""
    return email.strip().casefold()
