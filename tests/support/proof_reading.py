"""Proofs read as a vendor's program would: by an independent JOSE library and published keys."""

import base64
import json
import warnings
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.jwk import KeySet, OKPKey


class Proof(NamedTuple):
    header: dict[str, Any]
    claims: dict[str, Any]


def read_proof(proof: str, published: list[Any]) -> Proof:
    """What the proof says. Raises joserfc's own error where none of these keys signed it."""
    keys = KeySet([OKPKey.import_key(dict(key)) for key in published])
    with warnings.catch_warnings():
        # RFC 9864 calls the name EdDSA deprecated, but it is the one that every library knows.
        warnings.filterwarnings("ignore", message="EdDSA is deprecated")
        verified = jws.deserialize_compact(proof, keys, algorithms=["EdDSA"])
    return Proof(header=verified.headers(), claims=json.loads(verified.payload))


def claims_of(proof: str) -> dict[str, Any]:
    """What the proof says, whoever signed it."""
    payload = proof.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
