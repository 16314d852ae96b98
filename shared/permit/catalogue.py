"""What a vendor sells, and the licences that he issues, changes and ends."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from permit.db import Database
from permit.errors import Conflict, InvalidRequest, NotFound
from permit.models import IssuedLicence, LicenceState, PolicySummary
from permit.queries import catalogue, licences
from permit.security import licence_keys
from permit.terms import LicenceTerms, PolicyTerms


class ProductArchived(Conflict):
    """An archived product gets no new licences; existing ones go on."""

    code = "product_archived"
    detail = "The product is archived: it gets no new licences."


class LicenceRevoked(Conflict):
    """What was asked for cannot be done to a licence that was revoked for good."""

    code = "licence_revoked"
    detail = "The licence was revoked for good."


class NoFreeSeat(Conflict):
    """Every seat of the licence is taken."""

    code = "too_many_devices"
    detail = "No seat is free."


class DeviceBlocked(Conflict):
    """The device is blocked: unblock it first."""

    code = "device_blocked"
    detail = "The device is blocked."


@dataclass(frozen=True, kw_only=True, slots=True)
class NewLicence:
    licence: IssuedLicence
    key: str  # shown this once: only its digest is stored


def create_product(database: Database, tenant_id: UUID, *, code: str, name: str) -> UUID:
    return catalogue.insert_product(database, tenant_id, code=code, name=name)


def create_policy(
    database: Database, tenant_id: UUID, product_id: UUID, terms: PolicyTerms
) -> UUID:
    policy_id = catalogue.insert_policy(database, tenant_id, product_id, terms)
    if policy_id is None:
        raise InvalidRequest(("product_id", "there is no such product"))
    return policy_id


def issue_licence(
    database: Database, tenant_id: UUID, policy_id: UUID, terms: LicenceTerms
) -> NewLicence:
    policy = catalogue.find_policy(database, tenant_id, policy_id)
    if policy is None:
        raise InvalidRequest(("policy_id", "there is no such policy"))
    if policy.archived_at is not None:
        raise ProductArchived
    _require_limitable(policy, terms.max_devices)
    key, key_hash, key_hint = _new_key()
    licence = catalogue.insert_licence(
        database, tenant_id, policy_id, terms, key_hash=key_hash, key_hint=key_hint
    )
    return NewLicence(licence=licence, key=key)


def change_licence(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    max_devices: int | str | None,
    expires_at: datetime | None,
) -> None:
    policy = catalogue.find_policy_of_licence(database, tenant_id, licence_id)
    if policy is None:
        raise NotFound
    _require_limitable(policy, max_devices)
    catalogue.set_terms(
        database, tenant_id, licence_id, max_devices=max_devices, expires_at=expires_at
    )


def suspend(database: Database, tenant_id: UUID, licence_id: UUID) -> None:
    state = _lock_unrevoked(database, tenant_id, licence_id)
    if state.suspended_at is None:
        licences.set_suspended(database, tenant_id, licence_id, is_suspended=True)


def reinstate(database: Database, tenant_id: UUID, licence_id: UUID) -> None:
    state = _lock_unrevoked(database, tenant_id, licence_id)
    if state.suspended_at is not None:
        licences.set_suspended(database, tenant_id, licence_id, is_suspended=False)


def revoke(database: Database, tenant_id: UUID, licence_id: UUID) -> None:
    if _lock(database, tenant_id, licence_id).revoked_at is None:
        licences.set_revoked(database, tenant_id, licence_id)


def rotate_key(database: Database, tenant_id: UUID, licence_id: UUID, *, overlap: str) -> str:
    """The new key. The old one works for `overlap`, an ISO 8601 duration, and stays known."""
    _lock_unrevoked(database, tenant_id, licence_id)
    key, key_hash, key_hint = _new_key()
    licences.replace_key(
        database, tenant_id, licence_id, key_hash=key_hash, key_hint=key_hint, overlap=overlap
    )
    return key


def activate_device(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    fingerprint_hash: bytes,
    name: str | None,
) -> UUID:
    """By hand, whatever the policy's activation says, within the limit and the overage."""
    _lock_unrevoked(database, tenant_id, licence_id)
    activation = licences.activate_device(
        database, licence_id, fingerprint_hash=fingerprint_hash, name=name
    )
    if activation.device_id is None:
        raise DeviceBlocked if activation.refused == "blocked" else NoFreeSeat
    return activation.device_id


def block_device(database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID) -> None:
    """Frees the seat and keeps the device known, so that it gets none again."""
    _lock(database, tenant_id, licence_id)
    _set_device_state(database, tenant_id, licence_id, device_id, "blocked")


def unblock_device(database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID) -> None:
    _lock(database, tenant_id, licence_id)
    if _device_state(database, tenant_id, licence_id, device_id) == "blocked":
        _set_device_state(database, tenant_id, licence_id, device_id, "released")


def release_device(database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID) -> None:
    """By the vendor, so that max_releases does not count it. A block stays."""
    _lock(database, tenant_id, licence_id)
    if _device_state(database, tenant_id, licence_id, device_id) != "blocked":
        _set_device_state(database, tenant_id, licence_id, device_id, "released")


def _require_limitable(policy: PolicySummary, max_devices: int | str | None) -> None:
    """Where no device is required, a limit would be escaped by naming none."""
    if not policy.device_required and isinstance(max_devices, int):
        raise InvalidRequest(("max_devices", "the policy does not require a device"))


def _lock_unrevoked(database: Database, tenant_id: UUID, licence_id: UUID) -> LicenceState:
    state = _lock(database, tenant_id, licence_id)
    if state.revoked_at is not None:
        raise LicenceRevoked
    return state


def _lock(database: Database, tenant_id: UUID, licence_id: UUID) -> LicenceState:
    state = licences.lock_licence(database, tenant_id, licence_id)
    if state is None:
        raise NotFound
    return state


def _device_state(database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID) -> str:
    state = licences.find_device_state(database, tenant_id, licence_id, device_id)
    if state is None:
        raise NotFound
    return state


def _set_device_state(
    database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID, state: str
) -> None:
    if not licences.set_device_state(database, tenant_id, licence_id, device_id, state):
        raise NotFound


def _new_key() -> tuple[str, bytes, str]:
    key = licence_keys.generate()
    symbols = key.replace("-", "")
    return key, licence_keys.digest(symbols), licence_keys.hint(symbols)
