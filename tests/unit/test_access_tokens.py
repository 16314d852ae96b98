"""Access and refresh tokens: what is accepted, and every way to be refused."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest

from permit.security import refresh_tokens
from permit.security.access_tokens import (
    AccessClaims,
    InvalidToken,
    MalformedSecret,
    NoSigningKey,
    ProofOfSelf,
    TokenKeys,
    UnknownKid,
    issue,
    verify,
)
from permit.security.jwk import b64url_encode

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ISSUER = "https://permit.example"
CLAIMS = AccessClaims(sub=UUID(int=1), tid=UUID(int=2), role="owner", sv=3)
NONE = TokenKeys.parse('{"keys": []}')


@pytest.fixture(scope="module")
def keys() -> TokenKeys:
    return NONE.rotated(NOW)


def _forge(keys: TokenKeys, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token signed with the right key, but with other claims or another header."""
    payload = jwt.decode(
        issue(keys, CLAIMS, issuer=ISSUER, now=NOW), options={"verify_signature": False}
    )
    payload = {name: value for name, value in (payload | changes).items() if value is not None}
    key = keys.signer(NOW)
    headers = {"kid": key.kid, "typ": "at+jwt", **(header or {})}
    return jwt.encode(payload, key.private_key, algorithm="EdDSA", headers=headers)


def _refused(token: str, keys: TokenKeys, *, now: datetime = NOW) -> InvalidToken:
    with pytest.raises(InvalidToken) as refusal:
        verify(token, keys.jwks(NOW), issuer=ISSUER, now=now)
    return refusal.value


def test_an_issued_token_verifies(keys: TokenKeys) -> None:
    """An issued token is accepted until its 15 minutes are over."""
    token = issue(keys, CLAIMS, issuer=ISSUER, now=NOW)

    for age in (timedelta(), timedelta(minutes=15, seconds=-1)):
        assert verify(token, keys.jwks(NOW), issuer=ISSUER, now=NOW + age) == CLAIMS
    _refused(token, keys, now=NOW + timedelta(minutes=15))


def test_a_token_carries_every_claim(keys: TokenKeys) -> None:
    """A token holds all the claims of RFC 9068 that we need, and a jti of its own."""
    first, second = (
        jwt.decode(issue(keys, CLAIMS, issuer=ISSUER, now=NOW), options={"verify_signature": False})
        for _ in range(2)
    )
    assert set(first) == {"iss", "aud", "sub", "tid", "role", "sv", "iat", "nbf", "exp", "jti"}
    assert first["jti"] != second["jti"]


PROOF = ProofOfSelf(sid=UUID(int=4), auth_time=NOW - timedelta(minutes=3), with_second_factor=True)


def test_a_token_tells_the_last_proof_of_self(keys: TokenKeys) -> None:
    """The session, when it was, and by what: RFC 9470's auth_time, RFC 8176's amr."""
    token = issue(keys, replace(CLAIMS, proof=PROOF), issuer=ISSUER, now=NOW)

    payload = jwt.decode(token, options={"verify_signature": False})
    claims = verify(token, keys.jwks(NOW), issuer=ISSUER, now=NOW)
    assert (str(PROOF.sid), ["pwd", "otp"]) == (payload["sid"], payload["amr"])
    assert payload["iat"] - 180 == payload["auth_time"]
    assert PROOF == claims.proof


def test_a_token_of_the_version_before_is_good(keys: TokenKeys) -> None:
    """It has no proof of self, and serves for what needs none."""
    token = issue(keys, CLAIMS, issuer=ISSUER, now=NOW)

    assert verify(token, keys.jwks(NOW), issuer=ISSUER, now=NOW).proof is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"auth_time": True}, id="auth_time a boolean"),
        pytest.param({"auth_time": "1"}, id="auth_time a text"),
        pytest.param({"auth_time": 10**30}, id="auth_time beyond time"),
        pytest.param({"auth_time": -(10**30)}, id="auth_time before time"),
        pytest.param({"auth_time": int(NOW.timestamp()) + 1}, id="auth_time after iat"),
        pytest.param({"sid": None}, id="no sid"),
        pytest.param({"sid": "x"}, id="sid no id"),
        pytest.param({"amr": "otp"}, id="amr a text"),
        pytest.param({"amr": None}, id="no amr"),
        pytest.param({"sv": 2**31}, id="sv beyond Postgres"),
        pytest.param({"sv": -1}, id="sv negative"),
    ],
)
def test_a_proof_that_is_off_is_refused(keys: TokenKeys, change: dict[str, Any]) -> None:
    """Though our own key has signed it."""
    sent = {"sid": str(PROOF.sid), "auth_time": int(NOW.timestamp()), "amr": ["pwd"]}

    assert verify(_forge(keys, **sent), keys.jwks(NOW), issuer=ISSUER, now=NOW).proof
    _refused(_forge(keys, **{**sent, **change}), keys)


def test_another_machines_clock_may_be_a_little_behind(keys: TokenKeys) -> None:
    """A token is good at once where the clock is 30 s behind, and not where it is more."""
    token = issue(keys, CLAIMS, issuer=ISSUER, now=NOW)

    assert verify(token, keys.jwks(NOW), issuer=ISSUER, now=NOW - timedelta(seconds=30))
    _refused(token, keys, now=NOW - timedelta(seconds=31))


def test_alg_none_is_refused(keys: TokenKeys) -> None:
    """A token without a signature is refused, whatever the case of its alg."""
    kid = keys.signer(NOW).kid
    payload = _forge(keys).split(".")[1]
    for alg in ("none", "None", "NONE"):
        header = b64url_encode(json.dumps({"alg": alg, "typ": "at+jwt", "kid": kid}).encode())
        _refused(f"{header}.{payload}.", keys)


def test_hs256_with_the_public_key_as_secret_is_refused(keys: TokenKeys) -> None:
    """The public key, in any form, is no HMAC secret."""
    jwk = keys.signer(NOW).public_jwk
    payload = _forge(keys).split(".")[1]
    for alg in ("HS256", "EdDSA"):
        header = b64url_encode(
            json.dumps({"alg": alg, "typ": "at+jwt", "kid": jwk["kid"]}).encode()
        )
        for secret in (jwk["x"].encode(), json.dumps(jwk).encode()):
            mac = hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256)
            _refused(f"{header}.{payload}.{b64url_encode(mac)}", keys)


def test_a_foreign_key_is_refused(keys: TokenKeys) -> None:
    """A token under a key of somebody else is refused, also when it borrows our kid."""
    foreign = NONE.rotated(NOW)
    kid = {"kid": keys.signer(NOW).kid}

    assert isinstance(_refused(issue(foreign, CLAIMS, issuer=ISSUER, now=NOW), keys), UnknownKid)
    assert not isinstance(_refused(_forge(foreign, header=kid), keys), UnknownKid)


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "sub", "tid", "role", "sv", "iat", "nbf", "exp", "jti"]
)
def test_a_missing_claim_is_refused(keys: TokenKeys, claim: str) -> None:
    """Each claim is required."""
    _refused(_forge(keys, **{claim: None}), keys)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"aud": "another"}, id="another audience"),
        pytest.param({"aud": ["permit", "another"]}, id="list of audiences"),
        pytest.param({"iss": "https://permit.example/"}, id="another issuer"),
        pytest.param({"sub": "root"}, id="sub no UUID"),
        pytest.param({"tid": 7}, id="tid no text"),
        pytest.param({"role": ["owner"]}, id="role no text"),
        pytest.param({"sv": True}, id="sv a boolean"),
        pytest.param({"sv": "3"}, id="sv a text"),
        pytest.param({"sv": 2**31}, id="sv beyond Postgres's integer"),
        pytest.param({"sv": -1}, id="sv negative"),
        pytest.param({"sv": 10**400}, id="sv without end"),
        pytest.param({"exp": 10**400}, id="exp without end"),
        pytest.param({"iat": -(10**400)}, id="iat without end"),
        pytest.param({"iat": 10**400}, id="iat in a future without end"),
        pytest.param({"exp": "9999999999"}, id="exp a text"),
        pytest.param({"exp": float(NOW.timestamp()) + 60}, id="exp a fraction"),
        pytest.param({"nbf": int(NOW.timestamp()) + 60}, id="not yet"),
        pytest.param({"iat": int(NOW.timestamp()) + 60}, id="issued in the future"),
        pytest.param({"exp": int(NOW.timestamp())}, id="expired now"),
        pytest.param({"header": {"typ": "JWT"}}, id="another type"),
        pytest.param({"header": {"typ": "permit-proof+jwt"}}, id="a proof"),
        pytest.param({"header": {"typ": None}}, id="no type"),
    ],
)
def test_a_claim_or_header_that_is_off_is_refused(keys: TokenKeys, change: dict[str, Any]) -> None:
    """Rightly signed, but not an access token for here and now."""
    _refused(_forge(keys, **change), keys)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "a.b.c",
        "\ud800",
        "é.é.é",
        "e30.e30.",
        "W10.W10.W10",
        "x" * 9000,
        b64url_encode(b"[" * 5000) + ".e30.e30",
        b64url_encode(b'{"a":' * 3000) + ".e30.e30",
    ],
    ids=range(10),
)
def test_what_is_no_token_is_refused(keys: TokenKeys, token: str) -> None:
    """No string makes verification fail otherwise."""
    _refused(token, keys)


def test_every_refusal_says_the_same(keys: TokenKeys) -> None:
    """The message is the same for an expired and for a forged token."""
    refusals = [
        _refused("x", keys),
        _refused(_forge(keys, exp=1), keys),
        _refused(issue(NONE.rotated(NOW), CLAIMS, issuer=ISSUER, now=NOW), keys),
    ]
    assert {str(refusal) for refusal in refusals} == {"the access token is not valid"}


def test_without_a_key_login_is_refused_by_name() -> None:
    """No key that signs: the message names the variable and the way out."""
    with pytest.raises(NoSigningKey, match=r"PERMIT_TOKEN_KEYS.*rotate-token-key"):
        issue(NONE, CLAIMS, issuer=ISSUER, now=NOW)


def test_a_first_key_signs_at_once_and_a_second_an_hour_later(keys: TokenKeys) -> None:
    """A new key is published an hour before it signs."""
    rotated = keys.rotated(NOW)
    old, new = rotated.keys

    assert keys.signer(NOW).kid == old.kid == rotated.signer(NOW + timedelta(minutes=59)).kid
    assert new.kid == rotated.signer(NOW + timedelta(hours=1)).kid
    assert [old.kid, new.kid] == [key["kid"] for key in rotated.jwks(NOW)["keys"]]


def test_an_old_key_is_published_while_its_tokens_live(keys: TokenKeys) -> None:
    """A key leaves the set and, at the next rotation, the secret with its last token's end."""
    rotated = keys.rotated(NOW)
    # signing passes on after an hour, is noticed within 5 minutes, and tokens live for 15
    last = NOW + timedelta(hours=1, minutes=20)

    assert len(rotated.jwks(last - timedelta(seconds=1))["keys"]) == 2
    assert [rotated.keys[1].kid] == [key["kid"] for key in rotated.jwks(last)["keys"]]
    assert [rotated.keys[1].kid] == [key.kid for key in rotated.rotated(last).keys[:-1]]


def test_the_keys_survive_their_secret(keys: TokenKeys) -> None:
    """What is dumped parses to the same keys."""
    rotated = keys.rotated(NOW)
    assert rotated == TokenKeys.parse(rotated.dump())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kid": "another"}, id="kid"),
        pytest.param({"seed": "ab"}, id="seed"),
        pytest.param({"seed": None}, id="no seed"),
        pytest.param({"signs_from": "yesterday"}, id="time"),
        pytest.param({"signs_from": "2026-11-22T12:00:00"}, id="time without zone"),
        pytest.param({"signs_from": 0}, id="time no text"),
    ],
)
def test_malformed_token_keys_are_refused_and_not_quoted(
    keys: TokenKeys, change: dict[str, Any]
) -> None:
    """A malformed key is refused without a word of its seed."""
    entry = json.loads(keys.dump())["keys"][0]
    with pytest.raises(MalformedSecret) as refusal:
        TokenKeys.parse(json.dumps({"keys": [entry | change]}))
    assert entry["seed"] not in str(refusal.value)
    assert entry["seed"] not in repr(keys)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}', '{"keys": ["a"]}'])
def test_what_is_no_set_of_token_keys_is_refused(text: str) -> None:
    """Another shape is refused."""
    with pytest.raises(MalformedSecret):
        TokenKeys.parse(text)


def test_a_refresh_token_is_256_bits_and_stored_as_its_hash() -> None:
    """Refresh tokens differ, are recognisable, and only their SHA-256 is kept."""
    first, second = refresh_tokens.generate(), refresh_tokens.generate()

    assert first != second
    assert first.startswith("permit_rt_")
    assert len(first) == len("permit_rt_") + 43
    assert hashlib.sha256(first.encode()).digest() == refresh_tokens.digest(first)


def test_any_string_has_a_digest() -> None:
    """What a client sends as a refresh token may be anything."""
    assert len({refresh_tokens.digest(text) for text in ("", "\0", "\ud800", "é", "x" * 9999)}) == 5
