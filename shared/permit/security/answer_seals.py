"""Sealing: what was answered to a request, for whoever sends it again with its Idempotency-Key.

Both the sealing key and the name that an answer is kept under come from the caller's key and a key
of the server that is not in the database. So whoever has the database alone opens no answer, and
cannot try out which keys callers made up, however short these are.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from permit.security.secret_formats import MalformedSecret, parse_key

_PURPOSE = b"permit/idempotent-answer/2\x00"
_PREVIOUS_PURPOSE = b"permit/idempotent-answer/1"
_PREVIOUS_LENGTHS = range(22, 129)  # of the caller's key, in characters
_NONCE_BYTES = 12


def parse_answer_keys(text: str) -> tuple[bytes, ...]:
    """One key, or several while it changes, separated by blanks: the first seals, each opens."""
    keys = tuple(parse_key(key, what="an answer key") for key in text.split())
    if not keys:
        raise MalformedSecret("there is no answer key")
    return keys


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSeal:
    """Seals the answer to one key of one tenant's callers."""

    name: bytes
    """What the answer is kept under: 32 bytes."""
    _key: bytes = field(repr=False)

    @classmethod
    def derive(cls, server_key: bytes, *, tenant_id: UUID, caller_key: str) -> "AnswerSeal":
        derivation = HKDF(SHA256(), length=64, salt=server_key, info=_PURPOSE + tenant_id.bytes)
        derived = derivation.derive(caller_key.encode("ascii"))
        return cls(name=derived[:32], _key=derived[32:])

    @classmethod
    def previous(cls, caller_key: str) -> "AnswerSeal":
        """As the release before made it, of the caller's key alone."""
        material = caller_key.encode("ascii")
        derivation = HKDF(SHA256(), length=32, salt=None, info=_PREVIOUS_PURPOSE)
        return cls(name=hashlib.sha256(material).digest(), _key=derivation.derive(material))

    def seal(self, answer: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, answer, self.name)

    def open(self, sealed: bytes) -> bytes:
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return AESGCM(self._key).decrypt(nonce, ciphertext, self.name)


def seals_of(
    server_keys: Sequence[bytes], *, tenant_id: UUID, caller_key: str
) -> tuple[AnswerSeal, ...]:
    """Every seal that the answer may have; a new one gets the first.

    The last one goes with the next release: under its name the release before finds that the key is
    in use, and this one finds what that release has answered.
    """
    seals = [
        AnswerSeal.derive(key, tenant_id=tenant_id, caller_key=caller_key) for key in server_keys
    ]
    if len(caller_key) in _PREVIOUS_LENGTHS:
        seals.append(AnswerSeal.previous(caller_key))
    return tuple(seals)
