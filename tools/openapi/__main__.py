"""Writes the API's description, with the examples as they are in docs/examples.json."""

from tools.openapi import DOCUMENT, read_examples, text

DOCUMENT.write_text(text(read_examples()), encoding="utf-8")
