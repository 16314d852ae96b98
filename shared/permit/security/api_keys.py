"""API keys of a vendor's servers, and one-time links: random bits, stored as a hash alone."""

import hashlib
import secrets

# Lets a secret scanner, and a person, recognise a leaked one.
PREFIX = "permit_ak_"
_LINK_PREFIX = "permit_lk_"
_HINT = 5


def generate() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def generate_link_token() -> str:
    return _LINK_PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """The hash of any text that a client sends. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def hint(key: str) -> str:
    """A part of the key by which people recognise it."""
    return key[-_HINT:]
