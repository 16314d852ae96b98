"""The vendor's public keys, which are part of the build: nothing else is ever trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union, cast

from permit_client.digests import sha256
from permit_client.strict import Malformed, b64url_decode, b64url_encode, parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Keys = Union[Mapping[str, Any], str, Sequence[Mapping[str, Any]]]

_KEY_BYTES = 32
_MOST_KEYS = 16


class Trust:
    """Ed25519 public keys by `kid`, and the issuer where the key set names it."""

    def __init__(self, keys: Mapping[str, bytes], issuer: str | None) -> None:
        self.issuer = issuer
        self._raw = keys
        self._loaded: dict[str, Any] = {}

    @property
    def kids(self) -> tuple[str, ...]:
        return tuple(self._raw)

    def knows(self, kid: str) -> bool:
        return kid in self._raw

    def signed(self, kid: str, message: bytes, signature: bytes) -> bool:
        """Whether this key, and no other, made the signature."""
        # Imported here: a program that has not been asked to verify anything starts faster.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = self._loaded.get(kid)
        if key is None:
            key = self._loaded[kid] = Ed25519PublicKey.from_public_bytes(self._raw[kid])
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def read_keys(keys: Keys) -> Trust:
    """From a JWKS (a mapping or its JSON text) or a list of JWKs.

    Raises ValueError: a program that embeds wrong keys is a mistake of its vendor.
    """
    issuer: Optional[str] = None
    listed: object = keys
    if isinstance(keys, str):
        try:
            listed = parse_object(keys.encode())
        except (Malformed, UnicodeEncodeError):
            raise ValueError("keys: the text is not a JSON Web Key Set") from None
    if hasattr(listed, "get"):
        key_set = cast("Mapping[str, object]", listed)
        named = key_set.get("issuer")
        if named is not None and not isinstance(named, str):
            raise ValueError("keys: `issuer` is not a text")
        issuer, listed = named, key_set.get("keys")
    if not isinstance(listed, (list, tuple)):
        raise ValueError('keys: give the JWKS with its list "keys", its JSON text, or the list')
    parts = cast("Sequence[object]", listed)
    if not 1 <= len(parts) <= _MOST_KEYS:
        raise ValueError(f"keys: 1 to {_MOST_KEYS} keys are needed, the vendor's current and next")
    found = [_read_jwk(part) for part in parts]
    by_kid = dict(found)
    if len(by_kid) != len(found):
        raise ValueError("keys: two keys have the same kid")
    return Trust(by_kid, issuer)


def _read_jwk(value: object) -> tuple[str, bytes]:
    """Its kid and its 32 bytes."""
    if not hasattr(value, "get"):
        raise ValueError("keys: a key is not a JSON Web Key")
    jwk = cast("Mapping[str, object]", value)
    if "d" in jwk:
        raise ValueError("keys: a PRIVATE key is embedded: take it out, and withdraw it")
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise ValueError("keys: a key is not Ed25519")
    if jwk.get("alg") not in (None, "EdDSA") or jwk.get("use") not in (None, "sig"):
        raise ValueError("keys: a key is not one that signs by EdDSA")
    x = jwk.get("x")
    try:
        raw = b64url_decode(x) if isinstance(x, str) else b""
    except Malformed:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ValueError("keys: a key's `x` is not 32 bytes in base64url")
    kid = thumbprint(raw)
    if jwk.get("kid") not in (None, kid):
        raise ValueError("keys: a key's kid is not its thumbprint (RFC 7638)")
    return kid, raw


def thumbprint(raw: bytes) -> str:
    """RFC 7638, of an Ed25519 public key."""
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{b64url_encode(raw)}"}}'
    return b64url_encode(sha256(members.encode()))
