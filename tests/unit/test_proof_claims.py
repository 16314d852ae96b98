"""What a proof says, and how long it is good for, read by an independent library."""

import hashlib
import json
import secrets
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc.errors import BadSignatureError

from permit.check.check import CheckOutcome
from permit.check.facts import DeviceSent, LicenceFacts
from permit.check.proofs import ProofKeys, next_check_at, prove
from permit.check.verdicts import NOT_FOUND, Question, judge
from permit.secrets.sources import SecretSource
from permit.security.jwk import b64url_decode, b64url_encode
from permit.security.proofs import ProofKey
from permit.security.sealing import PROOF_KEY, MasterKeys, SealBroken, UnknownMasterKey
from tests.support.facts import DAY, NOW, TICK, facts, new_device
from tests.support.proof_reading import Proof, read_proof

IAT = int(NOW.timestamp())
MINUTE = 60
WEEK = 7 * 24 * 60 * MINUTE
MASTER_KEYS = MasterKeys(current_version="1", keys={"1": secrets.token_bytes(32)})
KEY = ProofKey.generate()
DEVICE = DeviceSent(fingerprint_hash=hashlib.sha256(b"fingerprint-of-a-machine").digest())
DEVICE_ASKS = Question(has_device=True)
TERM = {"expires_at": NOW + DAY, "grace_ends_at": NOW + 2 * DAY}
ENDED = {"expires_at": NOW - 2 * DAY, "grace_ends_at": NOW - DAY}


def signed_by(key: ProofKey, given: LicenceFacts) -> LicenceFacts:
    """The facts, with the key as the database has it."""
    sealed = MASTER_KEYS.seal(
        key.seed, tenant_id=UUID(given.tenant_id), kid=key.kid, purpose=PROOF_KEY
    )
    return replace(given, kid=key.kid, sealed_key=sealed.blob, master_version=sealed.master_version)


def signed_proof(
    given: LicenceFacts,
    *,
    product: str | None = None,
    device: DeviceSent | None = DEVICE,
    version_date: date | None = None,
    nonce: str | None = None,
    key: ProofKey = KEY,
) -> str:
    question = Question(product=product, version_date=version_date, has_device=device is not None)
    verdict = judge(given, question)
    proof = prove(
        ProofKeys(SecretSource(MASTER_KEYS.dump())),
        CheckOutcome(verdict=verdict, checked_at=NOW, facts=signed_by(key, given)),
        product=product,
        device=device,
        version_date=version_date,
        nonce=nonce,
        base_url="https://licences.example.com",
    )
    assert proof is not None
    return proof


def proof_of(given: LicenceFacts, *, key: ProofKey = KEY, **asked: Any) -> Proof:
    return read_proof(signed_proof(given, key=key, **asked), [key.public_jwk])


def test_a_proof_says_everything() -> None:
    """Header and claims of a valid proof are the contract's, no more and no less."""
    given = facts(**TERM, on_expiry="maintain")

    header, claims = proof_of(
        given, product="editor", version_date=date(2027, 3, 1), nonce="c29tZS1ub25jZQ"
    )

    assert {"alg": "EdDSA", "kid": KEY.kid, "typ": "permit-proof+jwt"} == header
    jti = claims.pop("jti")
    assert {
        "iss": f"https://licences.example.com/v1/tenants/{given.tenant_id}",
        "aud": "editor",
        "prd": "editor",
        "sub": str(given.licence_id),
        "iat": IAT,
        "nbf": IAT - 5 * MINUTE,
        "exp": IAT + WEEK,
        "valid": True,
        "code": "VALID",
        "dev": DEVICE.fingerprint_hash.hex(),
        "ent": ["export", "print"],
        "licence_expires_at": "2027-03-15T09:30:00Z",
        "on_expiry": "maintain",
        "ver": "2027-03-01",
        "nca": claims["nca"],
        "nonce": "c29tZS1ub25jZQ",
    } == claims
    assert isinstance(jti, str)


def test_what_is_absent_is_null() -> None:
    """Claims are always there: null says that none was sent, or no end is set."""
    given = new_device(device_required=False, max_devices=None)

    claims = proof_of(given, device=None).claims

    absent = {name: claims[name] for name in ("dev", "ver", "nonce", "licence_expires_at")}
    assert dict.fromkeys(absent) == absent


def test_the_audience_is_the_product_asked_for() -> None:
    """A proof for another program is not addressed to the licence's, and names its product."""
    claims = proof_of(facts(), product="viewer").claims
    assert ("viewer", "editor") == (claims["aud"], claims["prd"])
    assert (False, "PRODUCT_MISMATCH") == (claims["valid"], claims["code"])


def test_the_device_is_this_request_s() -> None:
    """`dev` is the fingerprint that was sent, known or not, so no proof fits another machine."""
    sent = DeviceSent(fingerprint_hash=hashlib.sha256(b"another-machine!").digest())

    claims = proof_of(new_device(devices_used=3), device=sent).claims

    assert hashlib.sha256(b"another-machine!").hexdigest() == claims["dev"]
    assert "TOO_MANY_DEVICES" == claims["code"]


def test_no_two_proofs_are_the_same() -> None:
    """Each has an identifier of its own."""
    assert 2 == len({proof_of(facts()).claims["jti"] for _ in range(2)})


@pytest.mark.parametrize("nonce", ["", "\u2028", "\U0001f4bb" * 128, '"},{"valid":true', "a" * 128])
def test_a_nonce_comes_back_as_it_was_sent(nonce: str) -> None:
    """Whatever is in it: it cannot become another claim."""
    claims = proof_of(facts(suspended_at=NOW), nonce=nonce).claims
    assert (nonce, False) == (claims["nonce"], claims["valid"])


LIFETIMES: dict[str, tuple[dict[str, Any], timedelta]] = {
    "the lease": ({}, 7 * DAY),
    "a shorter lease": ({"lease_until": NOW + timedelta(seconds=1)}, timedelta(seconds=1)),
    "allow, long expired": ({**ENDED, "on_expiry": "allow"}, 7 * DAY),
    "in grace": ({**TERM, "expires_at": NOW - DAY}, 7 * DAY),
    "tolerated overage": ({"overage": 9, "seats_ahead": 3, "devices_used": 4}, 7 * DAY),
    "revoked": ({"revoked_at": NOW}, timedelta(minutes=10)),
    "suspended, with a long lease": (
        {"suspended_at": NOW, "lease_until": NOW + 300 * DAY}, timedelta(minutes=10)),
    "expired": (ENDED, timedelta(minutes=10)),
    "not started": ({"starts_at": NOW + DAY}, timedelta(minutes=10)),
    "blocked, of a floating licence": (
        {"device_state": "blocked", "lease_until": NOW - DAY}, timedelta(minutes=10)),
}  # fmt: skip


@pytest.mark.parametrize("name", LIFETIMES)
def test_a_proof_is_good_for_so_long(name: str) -> None:
    """A valid one for the lease, capped by what it stands on; any other for ten minutes."""
    changes, lifetime = LIFETIMES[name]

    claims = proof_of(facts(**changes)).claims

    assert IAT + int(lifetime.total_seconds()) == claims["exp"]
    assert IAT == claims["iat"]


def next_check(given: LicenceFacts) -> timedelta:
    """From now on."""
    verdict = judge(given, DEVICE_ASKS)
    return next_check_at(CheckOutcome(verdict=verdict, checked_at=NOW, facts=given)) - NOW


def test_node_locked_devices_ask_again_at_places_of_their_own() -> None:
    """Between 50 % and 75 % of the lease, evenly spread; each device always at the same place."""
    lease = timedelta(days=8)
    fleet = [
        facts(device_id=str(uuid4()), lease_until=NOW + lease, max_devices=None) for _ in range(400)
    ]

    places = [next_check(each) / lease for each in fleet]

    assert places == [next_check(each) / lease for each in fleet]
    assert 0.5 <= min(places) < 0.51
    assert 0.74 < max(places) < 0.75
    quarters = [sum(q <= 16 * (place - 0.5) < q + 1 for place in places) for q in range(4)]
    assert min(quarters) > 70, quarters


def test_licences_without_devices_are_spread_too() -> None:
    """Then the place is the licence's own."""
    fleet = [
        new_device(licence_id=str(uuid4()), device_required=False, max_devices=None)
        for _ in range(20)
    ]

    assert 20 == len({next_check(each) for each in fleet})


NEXT_CHECKS: dict[str, tuple[dict[str, Any], float, float]] = {
    "floating: a third of seat_ttl": (
        {"lease_until": NOW + timedelta(minutes=30), "refresh_at": NOW + timedelta(minutes=10)},
        600, 600),
    "floating, with a lease that is shorter": (
        {"lease_until": NOW + timedelta(minutes=4), "refresh_at": NOW + timedelta(minutes=10)},
        120, 180),
    "a lease that is cut short": ({"lease_until": NOW + timedelta(minutes=2)}, 60, 90),
    "a second is left": ({"lease_until": NOW + timedelta(seconds=1)}, 0.5, 0.75),
    "refused": ({"suspended_at": NOW}, 600, 600),
    "refused, floating": ({"suspended_at": NOW, "refresh_at": NOW + TICK}, 600, 600),
    "replaced": ({"key_valid_until": NOW}, 600, 600),
}  # fmt: skip


@pytest.mark.parametrize("name", NEXT_CHECKS)
def test_the_next_check_comes_before_the_proof_ends(name: str) -> None:
    """After a refusal in ten minutes: then there is nothing that could end."""
    changes, earliest, latest = NEXT_CHECKS[name]
    given = facts(**changes)

    seconds = next_check(given).total_seconds()
    claims = proof_of(given).claims

    assert earliest <= seconds <= latest
    assert int(NOW.timestamp() + seconds) == claims["nca"] <= claims["exp"]


def test_a_replaced_key_is_told_nothing() -> None:
    """Its proof has every claim, and of the licence only what the holder knows: id and product."""
    given = facts(**TERM, key_valid_until=NOW, max_devices=0, on_expiry="maintain")

    for product in ("editor", "viewer"):
        claims = proof_of(given, product=product).claims

        told = {name: claims[name] for name in ("ent", "licence_expires_at", "on_expiry")}
        assert {"ent": [], "licence_expires_at": None, "on_expiry": None} == told
        assert not claims["valid"]


def test_nobody_signs_for_an_unknown_key() -> None:
    """Without a licence there is no tenant, and so no proof."""
    outcome = CheckOutcome(verdict=NOT_FOUND, checked_at=NOW, facts=None)

    proof = prove(
        ProofKeys(SecretSource(MASTER_KEYS.dump())),
        outcome,
        product=None,
        device=None,
        version_date=None,
        nonce=None,
        base_url="https://x.example",
    )

    assert proof is None


def test_another_key_does_not_verify_it() -> None:
    """Neither another tenant's key nor a changed claim passes."""
    given = signed_by(KEY, facts(revoked_at=NOW))
    outcome = CheckOutcome(verdict=judge(given, Question()), checked_at=NOW, facts=given)
    keys = ProofKeys(SecretSource(MASTER_KEYS.dump()))
    proof = prove(
        keys,
        outcome,
        product=None,
        device=None,
        version_date=None,
        nonce=None,
        base_url="https://x.example",
    )
    assert proof is not None
    header, payload, signature = proof.split(".")
    claims = json.loads(b64url_decode(payload)) | {"valid": True}
    forged = f"{header}.{b64url_encode(json.dumps(claims).encode())}.{signature}"

    for text, key in ((proof, ProofKey.generate()), (forged, KEY)):
        with pytest.raises(BadSignatureError):
            read_proof(text, [{**key.public_jwk, "kid": KEY.kid}])


def test_a_seal_opens_for_its_own_tenant_only() -> None:
    """A sealed key that was moved to another tenant's row signs nothing."""
    stolen = replace(signed_by(KEY, facts()), tenant_id=str(UUID(int=1)))
    keys = ProofKeys(SecretSource(MASTER_KEYS.dump()))

    with pytest.raises(SealBroken):
        keys.get(stolen)


def test_a_newer_master_key_is_read_when_it_is_met(tmp_path: Path) -> None:
    """A key sealed under a version not cached yet makes the secret be read again, once in 5 s."""
    now = [0.0]
    secret = tmp_path / "master-keys"
    secret.write_text(MASTER_KEYS.dump())
    source = SecretSource(f"file:{secret}", clock=lambda: now[0])
    source.read()
    newer = MASTER_KEYS.with_new_version().with_newest_current()
    sealed = newer.seal(KEY.seed, tenant_id=UUID(facts().tenant_id), kid=KEY.kid, purpose=PROOF_KEY)
    given = replace(facts(), kid=KEY.kid, sealed_key=sealed.blob, master_version="2")
    secret.write_text(newer.dump())

    with pytest.raises(UnknownMasterKey):
        ProofKeys(source).get(given)
    now[0] = 6.0
    key = ProofKeys(source).get(given)

    assert KEY.kid == key.kid
