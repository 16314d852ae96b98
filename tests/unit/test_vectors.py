"""docs/vectors: as tools/vectors makes them, and as the server's own code has it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.errors import JoseError

from permit.check.device_spec import fingerprint_hash
from permit.security import licence_keys
from permit.security.jwk import parse_jwk_set
from permit.security.proofs import ProofKey, sign, sign_usage
from tests.support.proof_reading import read_proof
from tools.vectors.__main__ import FOLDER, documents, text_of
from tools.vectors.signing import CURRENT, FINGERPRINT, KEYS, claims, header, usage
from tools.vectors.signing import jws as made_jws

PROOFS: dict[str, Any] = json.loads((FOLDER / "proofs.json").read_text("ascii"))
KEY_VECTORS: dict[str, Any] = json.loads((FOLDER / "keys.json").read_text("ascii"))
SERVER_KEY = ProofKey.from_seed(hashlib.sha256(b"permit test vectors: current").digest())


@pytest.mark.parametrize("name", sorted(documents()))
def test_they_are_as_the_script_makes_them(name: str) -> None:
    assert text_of(documents()[name]) == (FOLDER / name).read_text("ascii")


def test_no_file_is_left_over() -> None:
    assert {*documents()} == {path.name for path in Path(FOLDER).iterdir()}


@pytest.mark.parametrize("vector", KEY_VECTORS["licence_keys"], ids=lambda v: v["name"])
def test_the_server_reads_every_licence_key_alike(vector: dict[str, Any]) -> None:
    assert vector["canonical"] == licence_keys.canonical(vector["typed"])


def test_the_servers_key_set_is_one_that_vendors_embed() -> None:
    assert KEYS == parse_jwk_set(json.dumps(KEYS))
    assert CURRENT.jwk == SERVER_KEY.public_jwk


def test_the_server_signs_what_the_vectors_say() -> None:
    """Byte by byte: Ed25519 signatures are determined by key and message."""
    usage_header = header(typ="permit-usage+jwt")

    assert made_jws() == sign(SERVER_KEY, claims())
    assert made_jws(usage_header, usage()) == sign_usage(SERVER_KEY, usage())
    assert claims()["dev"] == fingerprint_hash(FINGERPRINT).hex()


@pytest.mark.parametrize(
    # joserfc refuses members of a header that it does not know; RFC 7515 says to ignore them.
    "vector",
    [v for v in PROOFS["vectors"] if v["kind"] == "good" and "unknown member" not in v["name"]],
    ids=lambda v: v["name"],
)
def test_an_independent_library_verifies_the_good_ones(vector: dict[str, Any]) -> None:
    assert "permit-" in read_proof(vector["proof"], KEYS["keys"]).header["typ"]


@pytest.mark.parametrize(
    "vector",
    [v for v in PROOFS["vectors"] if v["outcome"] == "bad_signature"],
    ids=lambda v: v["name"],
)
def test_an_independent_library_refuses_the_bad_signatures(vector: dict[str, Any]) -> None:
    with pytest.raises((JoseError, ValueError)):
        read_proof(vector["proof"], KEYS["keys"])
