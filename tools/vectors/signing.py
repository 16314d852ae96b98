"""Test keys, and proofs as a server or a forger would make them."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1_790_000_000
"""Seconds since 1970: 21 September 2026, 13:33:20 UTC."""
HOUR, DAY = 3600, 86_400

PRODUCT = "editor"
FINGERPRINT = "vectors-laptop-0001"
BUILD_DATE = "2026-09-01"
NONCE = "bm9uY2Utb2YtdGhlLXZlY3RvcnM"
ISSUER = "https://licences.example.com/v1/tenants/00000000-0000-4000-8000-000000000001"
LICENCE = "00000000-0000-4000-8000-0000000000aa"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def device_of(fingerprint: str) -> str:
    """A proof's `dev`."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()


DEVICE = device_of(FINGERPRINT)


class TestKey:
    """A private key that everybody knows: it is made from its name."""

    def __init__(self, name: str) -> None:
        seed = hashlib.sha256(f"permit test vectors: {name}".encode()).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.raw = self._private.public_key().public_bytes_raw()
        x = b64url(self.raw)
        members = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
        self.kid = b64url(hashlib.sha256(members.encode()).digest())
        self.jwk = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": x,
            "kid": self.kid,
            "use": "sig",
            "alg": "EdDSA",
        }

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


CURRENT, NEXT = TestKey("current"), TestKey("next")
FOREIGN = TestKey("of another vendor")
KEYS = {"keys": [CURRENT.jwk, NEXT.jwk]}


def header(key: TestKey = CURRENT, **changes: Any) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": key.kid, "typ": "permit-proof+jwt", **changes}


def claims(*without: str, **changes: Any) -> dict[str, Any]:
    """Of a valid check that was answered at NOW."""
    made = {
        "iss": ISSUER,
        "aud": PRODUCT,
        "prd": PRODUCT,
        "sub": LICENCE,
        "iat": NOW,
        "nbf": NOW - 300,
        "exp": NOW + 7 * DAY,
        "jti": "dmVjdG9yLXByb29mLWlk",
        "valid": True,
        "code": "VALID",
        "ver": BUILD_DATE,
        "nonce": NONCE,
        "dev": DEVICE,
        "ent": ["export"],
        "licence_expires_at": "2027-09-21T13:33:20Z",
        "on_expiry": "block",
        "nca": NOW + 4 * DAY,
        **changes,
    }
    return {name: value for name, value in made.items() if name not in without}


def refusal(code: str, **changes: Any) -> dict[str, Any]:
    """The claims of a verdict that is a no."""
    times = {"exp": NOW + 600, "nca": NOW + 600}
    return claims(**{"valid": False, "code": code, **times, **changes})


def usage(*without: str, **changes: Any) -> dict[str, Any]:
    """The claims of a counted usage."""
    counted = {
        "exp": NOW + 600,
        "allowed": True,
        "meter": "exports",
        "used": 5,
        "limit": 10,
        "resets_at": "2026-10-01T00:00:00Z",
    }
    return claims(
        "dev", "ent", "licence_expires_at", "on_expiry", "nca", *without, **{**counted, **changes}
    )


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def jws(
    head: dict[str, Any] | bytes | None = None,
    body: dict[str, Any] | bytes | None = None,
    key: TestKey = CURRENT,
) -> str:
    """Header and claims signed by the key, whatever they say."""
    head = header(key) if head is None else head
    body = claims() if body is None else body
    parts = [part if isinstance(part, bytes) else as_json(part) for part in (head, body)]
    signed = ".".join(b64url(part) for part in parts)
    return f"{signed}.{b64url(key.sign(signed.encode()))}"
