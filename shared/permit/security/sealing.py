"""Sealing: tenants' private keys at rest, under a master key that is not in the database."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from permit.security.secret_formats import MalformedSecret, parse_json_object, parse_key

_NONCE_BYTES = 12
PROOF_KEY = b"permit/proof-key/1\x00"
SECOND_FACTOR = b"permit/totp/1\x00"
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


class UnknownMasterKey(LookupError):
    """The sealed data names a version that these master keys lack: they may be out of date."""


class SealBroken(Exception):
    """The sealed bytes were changed, or were sealed for another tenant or key."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """Bytes that only the master key of this version opens."""

    master_version: str
    blob: bytes


@dataclass(frozen=True, kw_only=True)
class MasterKeys:
    """All versions of the master key: the current one seals, each unseals its own."""

    current_version: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        entries = parse_json_object(text, what="the master keys")
        current = entries.pop("current", None)
        if not all(_VERSION.fullmatch(version) for version in entries):
            raise MalformedSecret("a master key's version is not a whole number from 1")
        if not isinstance(current, str) or current not in entries:
            raise MalformedSecret('the master keys\' "current" names none of their versions')
        keys = {v: parse_key(key, what=f"master key {v}") for v, key in entries.items()}
        return cls(current_version=current, keys=keys)

    def dump(self) -> str:
        keys = {version: key.hex() for version, key in self.keys.items()}
        return json.dumps({"current": self.current_version, **keys})

    def seal(self, plaintext: bytes, *, tenant_id: UUID, kid: str, purpose: bytes) -> Sealed:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self.keys[self.current_version])
        blob = nonce + cipher.encrypt(nonce, plaintext, _associated_data(purpose, tenant_id, kid))
        return Sealed(master_version=self.current_version, blob=blob)

    def unseal(self, sealed: Sealed, *, tenant_id: UUID, kid: str, purpose: bytes) -> bytes:
        try:
            cipher = AESGCM(self.keys[sealed.master_version])
        except KeyError:
            raise UnknownMasterKey(sealed.master_version) from None
        nonce, ciphertext = sealed.blob[:_NONCE_BYTES], sealed.blob[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, _associated_data(purpose, tenant_id, kid))
        except (InvalidTag, ValueError):  # ValueError: cut short, inside the nonce
            raise SealBroken("the seal does not fit these bytes, tenant and key") from None

    def with_new_version(self) -> Self:
        """With one more version, which seals nothing until it is made current."""
        version = str(max(map(int, self.keys)) + 1)
        keys = {**self.keys, version: secrets.token_bytes(32)}
        return type(self)(current_version=self.current_version, keys=keys)

    def with_newest_current(self) -> Self:
        newest = str(max(map(int, self.keys)))
        return type(self)(current_version=newest, keys=self.keys)

    def without(self, version: str) -> Self:
        """Without a version under which nothing is sealed any more."""
        if version == self.current_version:
            raise ValueError("the current master key cannot be removed")
        if version not in self.keys:
            raise UnknownMasterKey(version)
        keys = {v: key for v, key in self.keys.items() if v != version}
        return type(self)(current_version=self.current_version, keys=keys)


def _associated_data(purpose: bytes, tenant_id: UUID, kid: str) -> bytes:
    # The purpose ends with a NUL and the tenant has a fixed length, so no two give the same bytes.
    return purpose + tenant_id.bytes + kid.encode("utf-8")
