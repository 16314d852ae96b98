"""What people type and paste: one reader for each kind of thing."""

import unicodedata

import pytest

from permit.folding import fold, fold_email, read_email, read_symbols


@pytest.mark.parametrize(
    "typed",
    [
        "jürgen@example.com",
        unicodedata.normalize("NFD", "jürgen@example.com"),
        "JÜRGEN@Example.COM",
        unicodedata.normalize("NFD", "JÜRGEN@EXAMPLE.COM"),
        "  jürgen@example.com\n",
        "\ufeffjürgen@example.com",
        "jürgen@example.com\u200b",
        "\u00a0jürgen@exam\u00adple.com\u2003",
        "jürgen@example.com\ufe0f",
        "jür\u034fgen@exam\u3164ple\u1160.com\u2800",
        "jürgen@example\u180b\u17b4.com\U000e0100",
        "\x07jürgen@example.com\x1f\x7f",
    ],
)
def test_an_email_is_one_however_it_is_typed(typed: str) -> None:
    """Composed or not, in capitals, with blanks around it and what nobody sees."""
    assert "jürgen@example.com" == fold_email(typed)


def test_emails_are_told_apart() -> None:
    """Letters that only look alike are others; a blank within is kept, to be refused."""
    assert fold_email("jurgen@example.com") != fold_email("jürgen@example.com")
    assert "j urgen@example.com" == read_email("j urgen@example.com")


@pytest.mark.parametrize(
    "text", ["ǰ@example.com", "J\u030c@example.com", "ΐ@example.com", "ß@x.de"]
)
def test_folding_twice_changes_nothing(text: str) -> None:
    """Case-folding takes some letters apart: they are composed again."""
    assert fold_email(text) == fold_email(fold_email(text)) == fold_email(text.upper().lower())


@pytest.mark.parametrize(
    "typed",
    [
        "123456",
        "123 456",
        "123-456",
        "123\u2013456",
        " 123\u00a0456\r\n",
        "\u200b123\u200d456\ufeff",
        "123\u3164\ufe0f456\u2800",
        "１２３４５６",
        "١٢٣٤٥٦",
    ],
)
def test_a_code_is_read_as_it_was_meant(typed: str) -> None:
    """As authenticators show it, as it is pasted, and in the digits of another keyboard."""
    assert "123456" == read_symbols(typed)


def test_symbols_that_differ_stay_different() -> None:
    """Nothing but blanks, dashes and what nobody sees is dropped."""
    assert "12345" == read_symbols("12345")
    assert "abcd2345" == read_symbols("abcd-2345")
    assert "1.5" == read_symbols("1.5")


@pytest.mark.parametrize(
    "text",
    [
        "Ann Lee",
        " ann\u00a0lee\n",
        "ANN\t\u2003 LEE\ufeff",
        "An\u200bn\u00ad Lee",
        "Ａｎｎ\u3000Ｌｅｅ",
    ],
)
def test_a_search_finds_what_is_meant(text: str) -> None:
    """What is looked for and what is stored are folded alike: blanks, width, what nobody sees."""
    assert "ann lee" == fold(text)


def test_folding_what_is_folded_changes_nothing() -> None:
    """Whatever letter: else what the sweep folds anew would never be done."""
    texts = [f"i{chr(code)} {chr(code)}" for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    folded = [fold(text) for text in texts]

    assert folded == [fold(text) for text in folded]
