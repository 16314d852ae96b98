"""Proofs as a vendor's program sees them: verified with published keys, through every rotation."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.errors import JoseError

from tests.support.deployment import FINGERPRINT, Deployment, Vendor
from tests.support.proof_reading import Proof, read_proof


def published(deployment: Deployment, vendor: Vendor | None = None) -> list[dict[str, Any]]:
    path = f"/v1/tenants/{(vendor or deployment.vendor).tenant_id}/jwks.json"
    answer = deployment.send("tenant_jwks", path=path)
    assert 200 == answer.status
    return answer.body["keys"]


def kids(deployment: Deployment) -> list[str]:
    return [key["kid"] for key in published(deployment)]


def proof_of(deployment: Deployment, answer: dict[str, Any]) -> Proof:
    return read_proof(answer["proof"], published(deployment))


def rotate_master_key(deployment: Deployment, stage: str, **arguments: object) -> Any:
    return deployment.operator("rotate-master-key", stage=stage, **arguments)


def test_a_proof_agrees_with_the_answer(deployment: Deployment) -> None:
    """Every claim that the answer tells too is the same, and names this request's device."""
    policy = deployment.vendor.policy(duration="P1Y", lease="P3D", entitlements=["export"])
    licence = deployment.vendor.licence(policy)

    answer = deployment.check(
        licence["key"], product="editor", nonce="n", version_date="2026-11-22"
    )
    header, claims = proof_of(deployment, answer)

    checked_at = int(datetime.fromisoformat(answer["checked_at"]).timestamp())
    claims.pop("jti")
    assert {"alg": "EdDSA", "kid": kids(deployment)[0], "typ": "permit-proof+jwt"} == header
    assert {
        "iss": "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
        f"/v1/tenants/{deployment.vendor.tenant_id}",
        "aud": "editor",
        "prd": "editor",
        "sub": licence["id"],
        "iat": checked_at,
        "nbf": checked_at - 300,
        "exp": checked_at + 3 * 86_400,
        "valid": True,
        "code": "VALID",
        "dev": hashlib.sha256(FINGERPRINT.encode()).hexdigest(),
        "ent": ["export"],
        "licence_expires_at": answer["licence"]["expires_at"],
        "on_expiry": "block",
        "ver": "2026-11-22",
        "nca": int(datetime.fromisoformat(answer["next_check_at"]).timestamp()),
        "nonce": "n",
    } == claims


def test_the_issuer_is_the_configured_address(deployment: Deployment) -> None:
    """Behind a domain of its own the issuer is where the keys are found, not API Gateway's name."""
    licence = deployment.vendor.licence()
    deployment.environments["licence_check"] = deployment.start(
        "licence_check", PERMIT_PUBLIC_URL="https://licences.example.com/"
    )

    claims = proof_of(deployment, deployment.check(licence["key"])).claims

    tenant_id = deployment.vendor.tenant_id
    assert f"https://licences.example.com/v1/tenants/{tenant_id}" == claims["iss"]


@pytest.mark.parametrize(
    ("first", "due"), [(True, False), (False, False), (False, True)], ids=["new", "known", "due"]
)
def test_a_floating_lease_ends_with_the_seat(
    deployment: Deployment, first: bool, due: bool
) -> None:
    """The proof outlives no seat: it ends seat_ttl after the device was last noted as seen."""
    licence = deployment.vendor.licence(deployment.vendor.policy(seat_ttl="PT20M"))
    answer = deployment.check(licence["key"])
    if not first:
        seconds = 300 if due else 240
        deployment.sql("UPDATE test_clock SET shift = shift + make_interval(secs => %s)", seconds)
        answer = deployment.check(licence["key"])

    claims = proof_of(deployment, answer).claims

    last_seen_at = datetime.fromisoformat(answer["device"]["last_seen_at"]).timestamp()
    assert int(last_seen_at + 1200) == claims["exp"]
    assert (first or due) == (claims["exp"] - claims["iat"] >= 1199)


DAYS = 86_400
LEASES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "perpetual: the lease": ({}, {}, 7 * DAYS),
    "the term's end does not cap": ({"grace": "P30D"}, {"days": 1}, 7 * DAYS),
    "block: the end of grace caps": ({"grace": "P1D"}, {"days": 1}, 2 * DAYS),
    "block: the end caps without grace": ({}, {"days": 1}, 1 * DAYS),
    "in grace": ({"grace": "P3D"}, {"days": -1}, 2 * DAYS),
    "allow: nothing caps": ({"on_expiry": "allow", "grace": "P1D"}, {"days": 1}, 7 * DAYS),
    "maintain: nothing caps": ({"on_expiry": "maintain", "grace": "P1D"}, {"days": 1}, 7 * DAYS),
    "allow, long expired": ({"on_expiry": "allow"}, {"days": -30}, 7 * DAYS),
    "floating: its seat's end caps": ({"seat_ttl": "PT50M"}, {}, 50 * 60),
    "floating, expiring sooner": ({"seat_ttl": "P3D", "grace": "P1D"}, {"days": 1}, 2 * DAYS),
    "floating, a longer seat than lease": ({"seat_ttl": "P30D"}, {}, 7 * DAYS),
}


@pytest.mark.parametrize("name", LEASES)
def test_a_lease_ends_with_what_it_stands_on(deployment: Deployment, name: str) -> None:
    """With the policy's lease, or before that with the licence or the seat; twice the same."""
    terms, ends, seconds = LEASES[name]
    now = datetime.now(UTC)
    own: dict[str, str] = {}
    if ends:
        own["starts_at"] = (now - timedelta(days=100)).isoformat()
        own["expires_at"] = (now + timedelta(**ends)).isoformat()
    licence = deployment.vendor.licence(deployment.vendor.policy(**terms), **own)

    leases = [proof_of(deployment, deployment.check(licence["key"])).claims for _ in range(2)]

    for claims in leases:
        assert claims["valid"]
        assert seconds - 10 <= claims["exp"] - claims["iat"] <= seconds
        assert claims["iat"] < claims["nca"] < claims["exp"]


@pytest.mark.parametrize(
    ("said", "day"),
    [(None, None), ("2026-11-22", "2026-11-22"), ("2026-11-22T23:30:00-01:00", "2026-11-23")],
)
def test_a_proof_names_the_build_that_was_asked_about(
    deployment: Deployment, said: str | None, day: str | None
) -> None:
    """A program compares it with its own day: one covered build's proof serves no later one."""
    licence = deployment.vendor.licence(deployment.vendor.policy(on_expiry="maintain"))
    asked = {"version_date": said}

    checked = deployment.check(licence["key"], **asked)
    used = deployment.send("licence_usage", {"key": licence["key"], "meter": "m", **asked}).body

    assert [day, day] == [proof_of(deployment, each).claims["ver"] for each in (checked, used)]


def test_another_tenant_s_keys_do_not_verify(deployment: Deployment) -> None:
    """Each tenant signs with keys of its own, and publishes no others'."""
    other = Vendor.create(deployment, email="other@example.com")
    answer = deployment.check(deployment.vendor.licence()["key"])

    foreign = published(deployment, other)

    assert not {key["kid"] for key in foreign} & {*kids(deployment)}
    with pytest.raises((JoseError, ValueError)):
        read_proof(answer["proof"], foreign)


def test_published_keys_are_public(deployment: Deployment) -> None:
    """Current and next, nothing private, cacheable."""
    path = f"/v1/tenants/{deployment.vendor.tenant_id}/jwks.json"

    answer = deployment.send("tenant_jwks", path=path)

    assert 2 == len(answer.body["keys"])
    assert {("kty", "crv", "x", "kid", "use", "alg")} == {tuple(key) for key in answer.body["keys"]}
    assert "public, max-age=300" == answer.headers["cache-control"]


def test_a_rotation_breaks_no_shipped_program(deployment: Deployment) -> None:
    """Programs embed both keys: proofs of before and after verify with the set of before."""
    licence = deployment.vendor.licence()
    embedded = published(deployment)
    before = deployment.check(licence["key"])

    deployment.operator("rotate-proof-key", tenant_id=deployment.vendor.tenant_id)
    after = deployment.check(licence["key"])

    signers = [read_proof(answer["proof"], embedded).header["kid"] for answer in (before, after)]
    assert [key["kid"] for key in embedded] == signers
    current, following, retired = kids(deployment)
    assert (signers[1], signers[0]) == (current, retired)
    assert following not in signers
    assert proof_of(deployment, before).claims["valid"]


@pytest.mark.parametrize("which", [0, 1], ids=["current", "next"])
def test_a_leaked_key_is_withdrawn(deployment: Deployment, which: int) -> None:
    """It is not published, what it signed verifies no longer, and there are two keys again."""
    licence = deployment.vendor.licence()
    before_kids, before = kids(deployment), deployment.check(licence["key"])
    leaked = before_kids[which]

    deployment.operator("withdraw-proof-key", tenant_id=deployment.vendor.tenant_id, kid=leaked)
    after = deployment.check(licence["key"])

    assert leaked not in kids(deployment)
    assert 2 == len(kids(deployment))
    assert before_kids[1 - which] == proof_of(deployment, after).header["kid"]
    if which == 0:
        with pytest.raises((JoseError, ValueError)):
            proof_of(deployment, before)


def test_a_retired_key_can_be_withdrawn_too(deployment: Deployment) -> None:
    """One that leaks after its rotation ends, and the two in use stay as they are."""
    old = kids(deployment)[0]
    deployment.operator("rotate-proof-key", tenant_id=deployment.vendor.tenant_id)
    in_use = kids(deployment)[:2]

    deployment.operator("withdraw-proof-key", tenant_id=deployment.vendor.tenant_id, kid=old)

    assert in_use == kids(deployment)


def test_a_foreign_or_unknown_key_is_not_withdrawn(deployment: Deployment) -> None:
    """Not for another tenant's, and not for one that never existed."""
    other = Vendor.create(deployment, email="other@example.com")
    before = kids(deployment)

    problems = [
        deployment.refused("withdraw-proof-key", tenant_id=other.tenant_id, kid=kid)
        for kid in (before[0], "unknown")
    ]

    assert ["not_found", "not_found"] == [problem["code"] for problem in problems]
    assert before == kids(deployment)


def test_the_master_key_rotates_while_checks_go_on(deployment: Deployment) -> None:
    """Add, re-seal, drop: warm and new environments sign with the same keys at every stage."""
    licence = deployment.vendor.licence()
    signers = [proof_of(deployment, deployment.check(licence["key"])).header["kid"]]

    for stage, arguments in (("add", {}), ("reseal", {}), ("drop", {"version": "1"})):
        rotate_master_key(deployment, stage, **arguments)
        signers.append(proof_of(deployment, deployment.check(licence["key"])).header["kid"])
        warm = deployment.environments["licence_check"]
        deployment.environments["licence_check"] = deployment.start("licence_check")
        signers.append(proof_of(deployment, deployment.check(licence["key"])).header["kid"])
        deployment.environments["licence_check"].database.close()
        deployment.environments["licence_check"] = warm

    assert 1 == len({*signers})
    secret = json.loads((deployment.folder / "master-keys").read_text())
    assert ("2", {"current", "2"}) == (secret["current"], {*secret})
    assert [("2",)] == deployment.sql("SELECT DISTINCT master_version FROM permit.proof_keys")


def test_a_master_key_in_use_is_not_dropped(deployment: Deployment) -> None:
    """Not before the re-sealing, not the current one, and not an unknown one."""
    licence = deployment.vendor.licence()
    rotate_master_key(deployment, "add")

    codes = [
        deployment.refused("rotate-master-key", stage="drop", version=version)["code"]
        for version in ("1", "7")
    ]
    rotate_master_key(deployment, "reseal")
    current = deployment.refused("rotate-master-key", stage="drop", version="2")["code"]

    assert ["master_key_in_use", "not_found", "master_key_in_use"] == [*codes, current]
    assert deployment.check(licence["key"])["proof"]


def test_new_keys_are_sealed_under_the_newest(deployment: Deployment) -> None:
    """After a re-sealing the old version seals nothing again, and a repeat does nothing."""
    tenant_id = deployment.vendor.tenant_id
    rotate_master_key(deployment, "add")

    first = rotate_master_key(deployment, "reseal")
    deployment.operator("rotate-proof-key", tenant_id=tenant_id)
    second = rotate_master_key(deployment, "reseal")

    assert (2, 0) == (first["resealed"], second["resealed"])
    assert [("2",)] == deployment.sql("SELECT DISTINCT master_version FROM permit.proof_keys")


def test_an_old_copy_of_the_master_keys_seals_nothing(deployment: Deployment) -> None:
    """A version may be dropped while another environment still holds it in its cache."""
    tenant_id = deployment.vendor.tenant_id
    rotate_master_key(deployment, "add")
    warm = deployment.environments["operator"]

    deployment.environments["operator"] = deployment.start("operator")
    rotate_master_key(deployment, "reseal")
    rotate_master_key(deployment, "drop", version="1")
    deployment.environments["operator"] = warm
    deployment.operator("rotate-proof-key", tenant_id=tenant_id)

    assert [("2",)] == deployment.sql("SELECT DISTINCT master_version FROM permit.proof_keys")


def test_private_keys_rest_sealed(deployment: Deployment) -> None:
    """Every row has a seal of its own, longer than a seed and different each time."""
    deployment.operator("rotate-proof-key", tenant_id=deployment.vendor.tenant_id)

    seals = [row[0] for row in deployment.sql("SELECT sealed FROM permit.proof_keys")]

    assert 3 == len({*seals})
    assert {12 + 32 + 16} == {len(seal) for seal in seals}  # nonce, seed, tag
