"""Every term of a licence or policy is sent, stored, answered, changed and exported.

To add a term, give it a value here; the tests that fail then show where it is still missing.
"""

from typing import Any

import pytest
from pydantic import BaseModel

from permit.licences.terms import LicenceTerms, PolicyTerms
from tests.support.deployment import Deployment, Vendor

# For each term a value that is not its default.
LICENCE: dict[str, Any] = {
    "holder": {"name": "Ada", "email": "ada@example.com", "reference": "C-1815"},
    "starts_at": "2026-01-01T00:00:00Z",
    "expires_at": "2099-01-01T00:00:00Z",
    "max_devices": "unlimited",
    "entitlements": ["export"],
    "metadata": {"plan": "gold"},
    "notes": "pays late",
    "meters": [{"name": "exports", "limit": 5, "period": "month"}],
}
POLICY: dict[str, Any] = {
    "name": "Team",
    "duration": "P1Y",
    "starts": "on_first_check",
    "on_expiry": "maintain",
    "grace": "P7D",
    "max_devices": 5,
    "overage": 1,
    "device_required": True,
    "activation": "manual",
    "seat_ttl": "PT1H",
    "matching": "most",
    "unique": "policy",
    "lease": "P2D",
    "entitlements": ["export"],
    "max_releases": None,
    "max_new_devices": 7,
    "self_service": False,
    "meters": [{"name": "exports", "limit": None, "period": None}],
}
# The columns of a licence and a policy that are no terms; every change raises `revision`.
NO_TERMS = {
    "licences": {
        *("tenant_id", "id", "product_id", "key_hint", "created_at", "suspended_at"),
        *("revoked_at", "term_anchor"),
    },
    "policies": {"tenant_id", "id", "product_id", "created_at"},
}


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def terms(answer: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """What an answer says of each term."""
    return {name: answer[name] for name in sent}


def row(deployment: Deployment, table: str, row_id: str) -> dict[str, Any]:
    [(found,)] = deployment.sql(
        f"SELECT to_jsonb(t) FROM permit.{table} AS t WHERE t.id = %s", row_id
    )
    return found


def exported(vendor: Vendor, kind: str, row_id: str) -> dict[str, Any]:
    page = vendor.deployment.operator("export-tenant", tenant_id=vendor.tenant_id)
    [found] = [each for each in page["items"] if (kind, row_id) == (each["kind"], each["id"])]
    return found


@pytest.mark.parametrize(("contract", "values"), [(LicenceTerms, LICENCE), (PolicyTerms, POLICY)])
def test_every_term_is_known_here(contract: type[BaseModel], values: dict[str, Any]) -> None:
    """A new one needs a line in the tables above."""
    assert set(contract.model_fields) == set(values)


def test_a_licence_is_issued_with_every_term(vendor: Vendor) -> None:
    """Each is answered as it was sent, in every answer."""
    body = {"policy_id": vendor.policy(), **LICENCE}

    issued = vendor.call("POST", "/v1/licences", body, status=201)
    [listed] = vendor.call("GET", "/v1/licences")["items"]

    assert LICENCE == terms(issued, LICENCE)
    assert issued == listed | {"key": issued["key"]}


def test_a_licence_s_term_is_changed_alone(vendor: Vendor) -> None:
    """It becomes what is sent, and every other term stays."""
    policy = vendor.policy()
    for term, value in LICENCE.items():
        issued = vendor.call("POST", "/v1/licences", {"policy_id": policy}, status=201)

        changed = vendor.call("PATCH", f"/v1/licences/{issued['id']}", {term: value})

        assert issued[term] != value, term
        assert terms(issued, LICENCE) | {term: value} == terms(changed, LICENCE), term


def test_a_licence_s_columns_are_its_terms(deployment: Deployment, vendor: Vendor) -> None:
    """A change of every term writes every column, except those that are not terms."""
    issued = vendor.call("POST", "/v1/licences", {"policy_id": vendor.policy()}, status=201)
    before = row(deployment, "licences", issued["id"])

    body = {**LICENCE, "policy_id": vendor.policy()}
    vendor.call("PATCH", f"/v1/licences/{issued['id']}", body)

    after = row(deployment, "licences", issued["id"])
    assert NO_TERMS["licences"] == {name for name in after if before[name] == after[name]}


def test_a_licence_is_exported_with_every_term(vendor: Vendor) -> None:
    """The holder in parts, no limit as it is stored, and the rest as it was sent."""
    body = {"policy_id": vendor.policy(), **LICENCE}
    issued = vendor.call("POST", "/v1/licences", body, status=201)

    item = exported(vendor, "licence", issued["id"])

    holder = {f"holder_{part}": text for part, text in LICENCE["holder"].items()}
    sent = {**LICENCE, **holder, "max_devices": -1}
    sent |= {name: sent[name].replace("Z", "+00:00") for name in ("starts_at", "expires_at")}
    del sent["holder"]
    assert sent == terms(item, sent)


def test_a_policy_is_created_with_every_term(vendor: Vendor) -> None:
    """Each is answered as it was sent, in every answer, and exported so."""
    body = {"product_id": vendor.product_id, **POLICY}

    created = vendor.call("POST", "/v1/policies", body, status=201)
    [listed] = vendor.call("GET", "/v1/policies")["items"]

    assert POLICY == terms(created, POLICY)
    assert created == listed
    assert POLICY == terms(exported(vendor, "policy", created["id"]), POLICY)


def test_a_policy_s_term_is_changed_alone(vendor: Vendor) -> None:
    """It becomes what is sent, and every other term stays."""
    for term, value in POLICY.items():
        policy_id = vendor.policy(device_required=term != "device_required")
        policy = vendor.call("GET", f"/v1/policies/{policy_id}")

        changed = vendor.call("PATCH", f"/v1/policies/{policy_id}", {term: value})

        assert policy[term] != value, term
        assert policy | {term: value} == changed, term


def test_a_policy_s_columns_are_its_terms(deployment: Deployment, vendor: Vendor) -> None:
    """A change of every term writes every column, except those that are not terms."""
    policy_id = vendor.policy(device_required=False)
    before = row(deployment, "policies", policy_id)

    vendor.call("PATCH", f"/v1/policies/{policy_id}", POLICY)

    after = row(deployment, "policies", policy_id)
    assert NO_TERMS["policies"] == {name for name in after if before[name] == after[name]}


def test_null_takes_a_term_away_or_is_refused(deployment: Deployment, vendor: Vendor) -> None:
    """A term that must have a value is named; nothing that is sent fails in the database."""
    licence = vendor.call(
        "POST", "/v1/licences", {"policy_id": vendor.policy(), **LICENCE}, status=201
    )
    targets = {f"/v1/licences/{licence['id']}": LICENCE, f"/v1/policies/{vendor.policy()}": POLICY}
    refused: list[str] = []
    for path, values in targets.items():
        for term in values:
            answer = deployment.call("PATCH", path, {term: None}, token=vendor.token)

            if answer.status == 200:
                assert answer.body[term] is None, term
            else:
                assert (422, term) == (answer.status, answer.body["errors"][0]["field"])
                refused.append(term)

    assert ["holder", "starts_at", "entitlements", "metadata"] == refused[:4]
    assert set(POLICY) - {
        "duration",
        "grace",
        "max_devices",
        "seat_ttl",
        "max_releases",
        "max_new_devices",
    } == set(refused[4:])
