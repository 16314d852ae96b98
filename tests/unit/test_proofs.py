"""Proofs and JWKs, held against RFC 8037's own example and against an independent library."""

import json

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from permit.security.jwk import b64url_decode, b64url_encode, parse_jwk_set, thumbprint
from permit.security.proofs import ProofKey, sign
from permit.security.secret_formats import MalformedSecret

# RFC 9864 calls the name EdDSA deprecated, but it is the one that every client's library knows.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

# RFC 8037, appendix A
SEED = b64url_decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
KID = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_public_jwk_is_rfc_8037s() -> None:
    """A seed gives the public JWK and thumbprint of RFC 8037's example."""
    expected = {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": KID, "use": "sig", "alg": "EdDSA"}

    assert expected == ProofKey.from_seed(SEED).public_jwk
    assert thumbprint(X) == KID


def test_a_proof_verifies_with_an_independent_library() -> None:
    """joserfc verifies a proof and reads its header and claims."""
    key = ProofKey.generate()
    claims = {"iss": "https://x", "valid": True, "dev": None, "ent": ["a"], "name": "Zoë\u2028"}

    proof = jws.deserialize_compact(
        sign(key, claims), OKPKey.import_key(dict(key.public_jwk)), algorithms=["EdDSA"]
    )

    assert {"alg": "EdDSA", "kid": key.kid, "typ": "permit-proof+jwt"} == proof.headers()
    assert claims == json.loads(proof.payload)


def test_a_proof_does_not_verify_under_another_key() -> None:
    """Another key's public half refuses the proof."""
    other = OKPKey.import_key(dict(ProofKey.generate().public_jwk))
    with pytest.raises(jws.BadSignatureError):
        jws.deserialize_compact(sign(ProofKey.generate(), {}), other, algorithms=["EdDSA"])


def test_what_json_cannot_say_is_refused() -> None:
    """A claim that is not a number in JSON is an error, not a broken proof."""
    with pytest.raises(ValueError, match="JSON compliant"):
        sign(ProofKey.generate(), {"exp": float("nan")})


def test_a_seed_must_have_32_bytes() -> None:
    """A seed of another length is refused."""
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        ProofKey.from_seed(bytes(31))


def test_a_keys_repr_shows_no_seed() -> None:
    """The repr of a key shows its kid only."""
    assert repr(ProofKey.from_seed(SEED)) == f"ProofKey(kid='{KID}')"


@pytest.mark.parametrize("text", ["a===", "a+b/", "é", "a", "YQ=="])
def test_only_unpadded_base64url_decodes(text: str) -> None:
    """Padding, the other alphabet and odd lengths are refused."""
    with pytest.raises(ValueError, match="base64url"):
        b64url_decode(text)


@pytest.mark.parametrize("data", [b"", b"a", b"\xff\xfe", bytes(range(256))])
def test_base64url_round_trips(data: bytes) -> None:
    """Encoded bytes decode to themselves."""
    assert data == b64url_decode(b64url_encode(data))


def test_a_key_set_of_public_keys_is_read() -> None:
    """A set of public keys parses to itself."""
    keys = {"keys": [ProofKey.generate().public_jwk, ProofKey.generate().public_jwk]}
    assert keys == parse_jwk_set(json.dumps(keys))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"d": "AAAA"}, id="private member"),
        pytest.param({"kid": "another"}, id="another kid"),
        pytest.param({"x": "AAAA"}, id="short x"),
        pytest.param({"x": 7}, id="x no text"),
        pytest.param({"kty": "RSA"}, id="another type"),
    ],
)
def test_a_key_set_with_anything_else_is_refused(change: dict[str, object]) -> None:
    """A private member, a foreign kid or another kind of key is not published."""
    text = json.dumps({"keys": [{**ProofKey.generate().public_jwk, **change}]})
    with pytest.raises(MalformedSecret):
        parse_jwk_set(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"keys": 1}', '{"keys": [null]}', '{"keys": ["a"]}']
)
def test_a_text_that_is_no_key_set_is_refused(text: str) -> None:
    """What is no JWK Set is refused."""
    with pytest.raises(MalformedSecret):
        parse_jwk_set(text)
