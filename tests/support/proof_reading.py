"""Proofs read as a vendor's program would: by an independent JOSE library and published keys."""

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
