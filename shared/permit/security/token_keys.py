"""The keys that sign access tokens: which one signs when, and which are published."""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import zip_longest
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from permit.security.jwk import JwkSet, PublicJwk, public_jwk
from permit.security.secret_formats import MalformedSecret, parse_json_object, parse_key

LIFETIME = timedelta(minutes=15)
# A running function may sign with the keys it read this long ago.
_CACHED = timedelta(minutes=5)


class NoSigningKey(RuntimeError):
    """No token key signs yet: logins cannot work until one does."""

    def __init__(self) -> None:
        super().__init__("PERMIT_TOKEN_KEYS holds no key that signs yet: run rotate-token-key")


@dataclass(frozen=True, kw_only=True)
class TokenKey:
    seed: bytes = field(repr=False)
    signs_from: datetime

    @cached_property
    def private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def public_jwk(self) -> PublicJwk:
        return public_jwk(self.private_key.public_key())

    @property
    def kid(self) -> str:
        return self.public_jwk["kid"]


@dataclass(frozen=True, kw_only=True)
class TokenKeys:
    keys: tuple[TokenKey, ...]
    """In the order in which they begin to sign."""

    @classmethod
    def parse(cls, text: str) -> Self:
        entries = parse_json_object(text, what="the token keys").get("keys")
        if not isinstance(entries, list):
            raise MalformedSecret('the token keys have no list "keys"')
        keys: list[Any] = entries  # pyright: ignore[reportUnknownVariableType] (JSON)
        return cls(keys=_ordered(_parse_key(entry) for entry in keys))

    def dump(self) -> str:
        keys = [
            {"kid": key.kid, "seed": key.seed.hex(), "signs_from": _rfc3339(key.signs_from)}
            for key in self.keys
        ]
        return json.dumps({"keys": keys})

    def signer(self, now: datetime) -> TokenKey:
        """The newest key that signs already. Raises NoSigningKey."""
        for key in reversed(self.keys):
            if key.signs_from <= now:
                return key
        raise NoSigningKey

    def jwks(self, now: datetime) -> JwkSet:
        """The keys whose tokens may still be valid, and those that sign later."""
        return {"keys": [key.public_jwk for key in self.living(now)]}

    def rotated(self, now: datetime, *, published_before: timedelta = timedelta(hours=1)) -> Self:
        """With a new key, and without those whose last token has expired.

        The new key is published before it signs, so that verifiers know it in time. Only the
        first key signs at once, because without it nobody can log in.
        """
        signs_from = now + published_before if self.has_signer(now) else now
        new = TokenKey(seed=secrets.token_bytes(32), signs_from=signs_from)
        return type(self)(keys=_ordered([*self.living(now), new]))

    def without(self, kid: str, now: datetime) -> Self:
        """Without a leaked key. If no other key signs, a new one is added that signs at once."""
        kept = type(self)(keys=tuple(key for key in self.keys if key.kid != kid))
        return kept if kept.has_signer(now) else kept.rotated(now)

    def has_signer(self, now: datetime) -> bool:
        return any(key.signs_from <= now for key in self.keys)

    @property
    def kids(self) -> set[str]:
        return {key.kid for key in self.keys}

    def living(self, now: datetime) -> list[TokenKey]:
        """The keys whose last token has not expired, and those that sign later."""
        return [
            key
            for key, successor in zip_longest(self.keys, self.keys[1:])
            if successor is None or now < successor.signs_from + _CACHED + LIFETIME
        ]


def _parse_key(entry: Any) -> TokenKey:
    if not isinstance(entry, Mapping):
        raise MalformedSecret("a token key is not a JSON object")
    fields: Mapping[str, Any] = entry  # pyright: ignore[reportUnknownVariableType] (JSON)
    seed = parse_key(fields.get("seed"), what="a token key's seed")
    key = TokenKey(seed=seed, signs_from=_parse_time(fields.get("signs_from")))
    if fields.get("kid") != key.kid:
        raise MalformedSecret("a token key's kid is not the thumbprint of its seed's public key")
    return key


def _parse_time(value: object) -> datetime:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise MalformedSecret("a token key's signs_from is not an RFC 3339 time")
    return time.astimezone(UTC)


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _ordered(keys: Iterable[TokenKey]) -> tuple[TokenKey, ...]:
    return tuple(sorted(keys, key=lambda key: key.signs_from))
