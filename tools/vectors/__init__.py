"""Writes docs/vectors/: what every client in every language must agree on."""
