"""The public key sets: of access tokens, and of each tenant's proofs."""

import json
import uuid
from datetime import timedelta

import pytest
from joserfc.jwk import KeySet

from permit.security.secret_formats import MalformedSecret
from tests.support.deployment import Answer, Deployment

PUBLIC_MEMBERS = {"kty", "crv", "x", "kid", "use", "alg"}


def tenant_keys(deployment: Deployment, tenant_id: str) -> Answer:
    return deployment.send("tenant_jwks", path=f"/v1/tenants/{tenant_id}/jwks.json")


def kids(answer: Answer) -> list[str]:
    return [key["kid"] for key in answer.body["keys"]]


def states(deployment: Deployment) -> dict[str, str]:
    return dict(deployment.sql("SELECT state, kid FROM permit.proof_keys"))


def test_a_key_set_may_be_cached(deployment: Deployment) -> None:
    """Both are JWK Sets that anybody may keep for five minutes."""
    deployment.operator("rotate-token-key")

    for answer in (
        deployment.send("jwks"),
        tenant_keys(deployment, deployment.vendor.tenant_id),
    ):
        assert 200 == answer.status
        assert "application/jwk-set+json" == answer.headers["content-type"]
        assert "public, max-age=300" == answer.headers["cache-control"]
        assert {"keys"} == set(answer.body)


def test_only_public_members_are_published(deployment: Deployment) -> None:
    """RFC 8037's, with the RFC 7638 thumbprint as kid: an independent library reads them all."""
    deployment.operator("rotate-token-key")
    sets = [deployment.send("jwks"), tenant_keys(deployment, deployment.vendor.tenant_id)]

    for answer in sets:
        imported = KeySet.import_key_set(answer.body)
        assert {frozenset(PUBLIC_MEMBERS)} == {frozenset(key) for key in answer.body["keys"]}
        assert kids(answer) == [key.thumbprint() for key in imported.keys]
        assert not any(key.is_private for key in imported.keys)


def test_current_comes_first_and_next_second(deployment: Deployment) -> None:
    """Vendors embed both in that order; the first rotation changes which is which."""
    tenant_id = deployment.vendor.tenant_id
    before = kids(tenant_keys(deployment, tenant_id))
    found = states(deployment)

    deployment.operator("rotate-proof-key", tenant_id=tenant_id)
    after = kids(tenant_keys(deployment, tenant_id))

    assert [found["current"], found["next"]] == before
    assert [before[1], states(deployment)["next"], before[0]] == after


def test_a_retired_key_is_published_as_long_as_a_lease_may_last(deployment: Deployment) -> None:
    """For more than a year, in which its proofs must verify; then it goes."""
    tenant_id = deployment.vendor.tenant_id
    [old, _] = kids(tenant_keys(deployment, tenant_id))
    deployment.operator("rotate-proof-key", tenant_id=tenant_id)

    deployment.pass_time(timedelta(days=399))
    kept = kids(tenant_keys(deployment, tenant_id))
    deployment.pass_time(timedelta(days=2))
    gone = kids(tenant_keys(deployment, tenant_id))

    assert old in kept
    assert old not in gone
    assert 2 == len(gone)


@pytest.mark.parametrize("state", ["current", "next", "retired"])
def test_a_withdrawn_key_is_published_no_longer(deployment: Deployment, state: str) -> None:
    """Whatever it was; two are published all the same, and a second withdrawal does no harm."""
    tenant_id = deployment.vendor.tenant_id
    deployment.operator("rotate-proof-key", tenant_id=tenant_id)
    leaked = states(deployment)[state]

    for _ in range(2):
        deployment.operator("withdraw-proof-key", tenant_id=tenant_id, kid=leaked)

    published = kids(tenant_keys(deployment, tenant_id))
    assert leaked not in published
    assert [states(deployment)["current"], states(deployment)["next"]] == published[:2]


def test_a_tenant_withdraws_its_own_keys_only(deployment: Deployment) -> None:
    """Another's kid is unknown to it."""
    other = deployment.operator("create-tenant", name="Other", email="other@example.com")
    [kid, _] = kids(tenant_keys(deployment, deployment.vendor.tenant_id))

    problem = deployment.refused("withdraw-proof-key", tenant_id=other["tenant_id"], kid=kid)

    assert 404 == problem["status"]
    assert kid == kids(tenant_keys(deployment, deployment.vendor.tenant_id))[0]


@pytest.mark.parametrize(
    "tenant_id",
    [str(uuid.UUID(int=1)), "not-a-uuid", "..", "0" * 500, "%00", "\x00", "' OR true --"],
)
def test_an_unknown_tenant_is_not_found(deployment: Deployment, tenant_id: str) -> None:
    """404 as a problem, which may not be cached as a key set."""
    assert deployment.vendor

    answer = tenant_keys(deployment, tenant_id)

    assert (404, "not_found") == (answer.status, answer.body["code"])
    assert "application/problem+json" == answer.headers["content-type"]


def test_tenants_have_keys_of_their_own(deployment: Deployment) -> None:
    """No key signs for two."""
    other = deployment.operator("create-tenant", name="Other", email="other@example.com")

    own = kids(tenant_keys(deployment, deployment.vendor.tenant_id))
    others = kids(tenant_keys(deployment, other["tenant_id"]))

    assert set(own).isdisjoint(others)


def test_private_keys_are_never_published(deployment: Deployment) -> None:
    """Should the variable point at the signing keys by mistake, the function stops instead."""
    deployment.operator("rotate-token-key")
    secret = (deployment.folder / "token-keys").read_text()
    deployment.environments["jwks"] = deployment.start("jwks", PERMIT_TOKEN_JWKS=secret)

    with pytest.raises(MalformedSecret, match="PERMIT_TOKEN_JWKS") as refusal:
        deployment.send("jwks")

    assert json.loads(secret)["keys"][0]["seed"] not in str(refusal.value)
