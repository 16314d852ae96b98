"""Writes the API's description from the examples as they are."""

from tools.openapi import DOCUMENT, read_examples, text

DOCUMENT.write_text(text(read_examples()), encoding="utf-8")
