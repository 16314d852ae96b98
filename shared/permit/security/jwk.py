"""Ed25519 public keys as JWKs (RFC 8037), named by their thumbprint (RFC 7638)."""

import base64
import hashlib
import re
from typing import TypedDict, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from permit.security.secret_formats import MalformedSecret, parse_json_object

_B64URL = re.compile(r"[A-Za-z0-9_-]*")


class PublicJwk(TypedDict):
    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class JwkSet(TypedDict):
    keys: list[PublicJwk]


def public_jwk(key: Ed25519PublicKey) -> PublicJwk:
    x = b64url_encode(key.public_bytes_raw())
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": x,
        "kid": thumbprint(x),
        "use": "sig",
        "alg": "EdDSA",
    }


def thumbprint(x: str) -> str:
    """RFC 7638: the required members only, in the order of their names, without white space."""
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    return b64url_encode(hashlib.sha256(members.encode("ascii")).digest())


def parse_jwk_set(text: str) -> JwkSet:
    """The access-token keys that are published: public Ed25519 keys, and nothing else."""
    keys = parse_json_object(text, what="the token key set").get("keys")
    if not isinstance(keys, list):
        raise MalformedSecret('the token key set has no list "keys"')
    return {"keys": [_parse_public_jwk(key) for key in cast("list[object]", keys)]}


def _parse_public_jwk(value: object) -> PublicJwk:
    try:
        x = cast("PublicJwk", value)["x"]
        expected = public_jwk(Ed25519PublicKey.from_public_bytes(b64url_decode(x)))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise MalformedSecret("a token key is not an Ed25519 JWK") from None
    # Equal as a whole: neither a private member nor another's kid gets published.
    if value != expected:
        raise MalformedSecret("a token key is not the public JWK that its x makes")
    return expected


def b64url_encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """The bytes, or ValueError for anything but unpadded base64url."""
    if not _B64URL.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("not unpadded base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
