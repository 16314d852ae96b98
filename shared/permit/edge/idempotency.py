"""A creating request that is sent again gets its first answer, byte for byte, for 24 hours.

The answer is kept in the transaction of the effect, sealed under a key that is derived from the
Idempotency-Key. Of that only a hash is kept, so no licence key is stored readably.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from permit.db import Database
from permit.edge import queries
from permit.edge.payload import Response
from permit.errors import IdempotencyKeyReused, InvalidRequest

HEADER = "idempotency-key"
"""22 to 128 visible ASCII characters that the caller makes up for one request, such as a UUID.
The same request, sent again with it within 24 hours, has no second effect: it gets its first
answer byte for byte, with the header `Idempotent-Replayed: true`. Another request with it is
refused."""
_KEY = re.compile(r"[\x21-\x7e]{22,128}")  # at 22 characters, some 128 bits
_PURPOSE = b"permit/idempotent-answer/1"
_NONCE_BYTES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class SentRequest:
    key: str = field(repr=False)
    digest: bytes
    """A hash of what makes two requests the same: caller, method, path and body."""

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(self.key.encode("ascii")).digest()


def parse_key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise InvalidRequest((HEADER, "must have 22 to 128 visible ASCII characters"))
    return text


def request_digest(*parts: str) -> bytes:
    # Each part is preceded by its length, so that no two lists of parts read the same.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(
        b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
    ).digest()


def answer_once(
    database: Database, request: SentRequest, answer: Callable[[], Response]
) -> Response:
    """The first answer to this request, made now if there is none. Raises IdempotencyKeyReused.

    Runs in the transaction of the effect: a second request with the same key waits for it.
    """
    claim = queries.claim(database, request.key_hash, request.digest)
    if claim.is_new:
        response = answer()
        sealed = _seal(request, {"status": response.status_code, "body": response.body})
        queries.keep(database, request.key_hash, sealed)
        return response
    if not claim.is_same or claim.sealed is None:
        raise IdempotencyKeyReused(HEADER)
    first = _unseal(request, claim.sealed)
    return Response(
        status_code=first["status"],
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Idempotent-Replayed": "true"},
        body=first["body"],
    )


def _seal(request: SentRequest, answer: dict[str, Any]) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(request).encrypt(nonce, json.dumps(answer).encode(), request.key_hash)


def _unseal(request: SentRequest, sealed: bytes) -> dict[str, Any]:
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    return json.loads(_cipher(request).decrypt(nonce, ciphertext, request.key_hash))


def _cipher(request: SentRequest) -> AESGCM:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return AESGCM(derivation.derive(request.key.encode("ascii")))
