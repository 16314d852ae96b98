"""Proofs: claims signed with a tenant's Ed25519 key as a compact JWS.

By hand rather than with a JOSE library: this runs at every check, and the library's import alone
would cost a cold start more than the signature does.
"""

import json
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from permit.security.jwk import PublicJwk, b64url_encode, public_jwk

PROOF_TYPE = "permit-proof+jwt"
USAGE_TYPE = "permit-usage+jwt"
_SEED_BYTES = 32
# NaN and Infinity are not JSON: Python would write them, and other parsers refuse them.
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def issuer(base_url: str, tenant_id: object) -> str:
    """Who signs a tenant's proofs; below this address are the keys that verify them."""
    return f"{base_url}/v1/tenants/{tenant_id}"


class ProofKey:
    """A private signing key. The database stores its seed, sealed."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != _SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {_SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def generate(cls) -> Self:
        return cls(secrets.token_bytes(_SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        return cls(seed)

    @cached_property
    def public_jwk(self) -> PublicJwk:
        return public_jwk(self._private.public_key())

    @property
    def kid(self) -> str:
        return self.public_jwk["kid"]

    @cached_property
    def header(self) -> str:
        """The encoded header of this key's proofs, the same for every one."""
        return _encode({"alg": "EdDSA", "kid": self.kid, "typ": PROOF_TYPE})

    def signature(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"ProofKey(kid={self.kid!r})"


def sign(key: ProofKey, claims: Mapping[str, object]) -> str:
    """The claims as a compact JWS (RFC 7515) under this key."""
    return _sign(key, key.header, claims)


def sign_usage(key: ProofKey, claims: Mapping[str, object]) -> str:
    """The same for a usage. Its `typ` differs, so that it cannot pass for a check's proof."""
    return _sign(key, _encode({"alg": "EdDSA", "kid": key.kid, "typ": USAGE_TYPE}), claims)


def _sign(key: ProofKey, header: str, claims: Mapping[str, object]) -> str:
    signed = f"{header}.{_encode(claims)}"
    return f"{signed}.{b64url_encode(key.signature(signed.encode('ascii')))}"


def _encode(part: Mapping[str, object]) -> str:
    return b64url_encode(_JSON.encode(part).encode("ascii"))
