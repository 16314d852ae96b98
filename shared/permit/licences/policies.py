"""The policies that licences share: created, changed, deleted."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from permit.contracts import validate
from permit.db import Database
from permit.errors import InvalidRequest, NotFound
from permit.licences.queries import policies
from permit.licences.rows import Policy, PolicyReach
from permit.licences.terms import PolicyTerms

_LIMITED = ("device_required", "must be true: licences have limits of their own")


def create_policy(
    database: Database, tenant_id: UUID, product_id: UUID, terms: PolicyTerms
) -> Policy:
    policy = policies.insert_policy(database, tenant_id, product_id, terms)
    if policy is None:
        raise InvalidRequest(("product_id", "there is no such product"))
    return policy


def get_policy(database: Database, tenant_id: UUID, policy_id: UUID) -> Policy:
    return _found_policy(policies.find_policy(database, tenant_id, policy_id))


def change_policy(
    database: Database, tenant_id: UUID, policy_id: UUID, changes: dict[str, Any]
) -> Policy:
    """Changes the given terms; the policy's licences follow at their next check."""
    policy = _found_policy(policies.lock_policy(database, tenant_id, policy_id))
    changed = validate(PolicyTerms, {**terms_of(policy), **changes})
    if not changes or changed == validate(PolicyTerms, terms_of(policy)):
        return policy
    updated = policies.set_terms(database, tenant_id, policy_id, changed)
    if updated is None:
        raise InvalidRequest(_LIMITED)
    return updated


def try_change(
    database: Database, tenant_id: UUID, policy_id: UUID, changes: dict[str, Any]
) -> tuple[Policy, PolicyReach]:
    """The policy as it would be, and what that would touch. It refuses what a change refuses."""
    policy = get_policy(database, tenant_id, policy_id)
    changed = validate(PolicyTerms, {**terms_of(policy), **changes})
    if not changed.device_required and policies.is_limited_by_licences(
        database, tenant_id, policy_id
    ):
        raise InvalidRequest(_LIMITED)
    reach = policies.find_reach(database, tenant_id, policy_id, changed)
    return replace(policy, **changed.model_dump()), reach


def delete_policy(database: Database, tenant_id: UUID, policy_id: UUID) -> None:
    if not policies.delete_policy(database, tenant_id, policy_id):
        raise NotFound


def terms_of(policy: Policy) -> dict[str, Any]:
    """The policy's terms, as they were sent."""
    return {name: getattr(policy, name) for name in PolicyTerms.model_fields}


def _found_policy(policy: Policy | None) -> Policy:
    if policy is None:
        raise NotFound
    return policy
