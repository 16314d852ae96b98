"""SHA-256 and HMAC by `cryptography`, which is loaded anyway: hashlib loads a second OpenSSL."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.hmac import HMAC


def sha256(data: bytes) -> bytes:
    digest = Hash(SHA256())
    digest.update(data)
    return digest.finalize()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return _hmac(key, data).finalize()


def is_hmac_sha256(mac: bytes, key: bytes, data: bytes) -> bool:
    """In a time that does not tell where they differ."""
    try:
        _hmac(key, data).verify(mac)
    except InvalidSignature:
        return False
    return True


def _hmac(key: bytes, data: bytes) -> HMAC:
    made = HMAC(key, SHA256())
    made.update(data)
    return made
