"""Refresh tokens: 256 random bits, of which only the SHA-256 is stored."""

import hashlib
import secrets

# Lets a secret scanner, and a person, recognise a leaked one.
_PREFIX = "permit_rt_"


def generate() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """The hash of any text that a client sends; a lone surrogate simply matches nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
