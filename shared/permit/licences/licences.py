"""What a vendor does with a licence, from issue to end."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from permit.db import Database
from permit.errors import InvalidRequest, NotFound
from permit.licences import policies
from permit.licences.queries import licences
from permit.licences.queries.policies import lock_policy
from permit.licences.refusals import (
    LicenceNotStarted,
    LicencePerpetual,
    LicenceRevoked,
    PolicyWithoutDuration,
    ProductArchived,
)
from permit.licences.rows import Licence, NewLicence
from permit.licences.terms import LicenceRequest
from permit.security import licence_keys

_REFUSALS = {
    "policy": ("policy_id", "there is no such policy"),
    "archived": ("policy_id", "the policy's product is archived"),
    "devices": ("max_devices", "the policy does not require a device"),
    "misfit": ("policy_id", "must be a policy of the licence's product that fits its limits"),
    "term": ("expires_at", "must be after starts_at"),
}


def issue(database: Database, tenant_id: UUID, order: LicenceRequest) -> NewLicence:
    """Raises ProductArchived, or InvalidRequest with the field."""
    [issued] = _issue(database, tenant_id, [order])
    if issued == "archived":
        raise ProductArchived
    if isinstance(issued, str):
        raise InvalidRequest(_REFUSALS[issued])
    return issued


def issue_all(
    database: Database, tenant_id: UUID, orders: Sequence[LicenceRequest]
) -> list[NewLicence]:
    """All or nothing. Raises InvalidRequest, which names each by its index."""
    outcomes = _issue(database, tenant_id, orders)
    refused = [
        (f"licences.{index}.{_REFUSALS[issued][0]}", _REFUSALS[issued][1])
        for index, issued in enumerate(outcomes)
        if isinstance(issued, str)
    ]
    if refused:
        raise InvalidRequest(*refused)
    return [issued for issued in outcomes if not isinstance(issued, str)]


def get(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence:
    return _found(licences.find_licence(database, tenant_id, licence_id))


def look_up(database: Database, tenant_id: UUID, key: str) -> Licence:
    """The licence that has this key, or had it before it was replaced."""
    canonical = licence_keys.canonical(key)
    if canonical is None:
        raise NotFound
    return _found(licences.find_by_key(database, tenant_id, licence_keys.digest(canonical)))


def change(
    database: Database, tenant_id: UUID, licence_id: UUID, changes: dict[str, Any]
) -> Licence:
    """Changes the given terms, by name. Raises NotFound, InvalidRequest."""
    licence = _found(licences.lock_licence(database, tenant_id, licence_id))
    if not changes:
        return licence
    _refuse_misfit(database, tenant_id, licence, changes)
    holder = {**licence.holder, **changes.get("holder", {})}
    terms = {**terms_of(licence), **changes, "holder": holder}
    return _found(licences.set_terms(database, tenant_id, licence_id, terms))


def terms_of(licence: Licence) -> dict[str, Any]:
    """All terms that its vendor sets, by name."""
    return {name: getattr(licence, name) for name in LicenceRequest.model_fields}


def suspend(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence:
    return _act(database, tenant_id, licence_id, licences.set_suspended)


def reinstate(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence:
    return _act(database, tenant_id, licence_id, licences.set_reinstated)


def revoke(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence:
    revoked = licences.set_revoked(database, tenant_id, licence_id)
    return revoked or get(database, tenant_id, licence_id)


def renew(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    duration: str | None,
    expires_at: datetime | None,
) -> Licence:
    """By a duration (else the policy's) from the later of now and expiry, or until a time."""
    renewed = licences.set_renewed(
        database, tenant_id, licence_id, duration=duration, expires_at=expires_at
    )
    if renewed is not None:
        return renewed
    licence = get(database, tenant_id, licence_id)
    if licence.revoked_at is not None:
        raise LicenceRevoked
    if licence.starts_at is None:
        raise LicenceNotStarted
    if licence.expires_at is None:
        raise LicencePerpetual
    if expires_at is not None:
        raise InvalidRequest(("expires_at", "must be after starts_at"))
    policy = policies.get_policy(database, tenant_id, licence.policy_id)
    if duration is None and policy.duration is None:
        raise PolicyWithoutDuration
    raise InvalidRequest(("duration", "would end after the year 8999"))


def rotate_key(
    database: Database, tenant_id: UUID, licence_id: UUID, *, overlap: str
) -> NewLicence:
    """The new key. The old one works for `overlap`, an ISO 8601 duration, and stays known."""
    key, key_hash, key_hint = _new_key()
    licence = licences.replace_key(
        database, tenant_id, licence_id, key_hash=key_hash, key_hint=key_hint, overlap=overlap
    )
    if licence is None:
        get(database, tenant_id, licence_id)
        raise LicenceRevoked
    return _with_key(licence, key)


def _issue(
    database: Database, tenant_id: UUID, orders: Sequence[LicenceRequest]
) -> list[NewLicence | str]:
    """For each order, in turn: the licence, or why it is refused (a name of `_REFUSALS`)."""
    keys = [_new_key() for _ in orders]
    sent = [
        {
            **order.model_dump(include=set(LicenceRequest.model_fields)),
            "key_hash": key_hash.hex(),
            "key_hint": key_hint,
        }
        for order, (_, key_hash, key_hint) in zip(orders, keys, strict=True)
    ]
    issued = licences.insert_licences(database, tenant_id, sent)
    return [
        each.refused or _with_key(each, key) for each, (key, *_) in zip(issued, keys, strict=True)
    ]


def _with_key(licence: Licence, key: str) -> NewLicence:
    return NewLicence(
        **{each.name: getattr(licence, each.name) for each in fields(Licence)}, key=key
    )


def _refuse_misfit(
    database: Database, tenant_id: UUID, licence: Licence, changes: dict[str, Any]
) -> None:
    """Raises InvalidRequest where the term would have no length, or the policy would not fit."""
    starts_at = changes.get("starts_at", licence.starts_at)
    expires_at = changes.get("expires_at", licence.expires_at)
    if starts_at is not None and expires_at is not None and expires_at <= starts_at:
        raise InvalidRequest(_REFUSALS["term"])
    if changes.keys().isdisjoint({"policy_id", "max_devices"}):
        return
    # Locked, so that its rules cannot change between here and the write.
    policy = lock_policy(database, tenant_id, changes.get("policy_id", licence.policy_id))
    counts_devices = isinstance(changes.get("max_devices", licence.max_devices), int)
    if policy is None or policy.product_id != licence.product_id:
        raise InvalidRequest(_REFUSALS["misfit"])
    if counts_devices and not policy.device_required:
        raise InvalidRequest(_REFUSALS["devices" if "max_devices" in changes else "misfit"])


def _act(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    act: Callable[[Database, UUID, UUID], Licence | None],
) -> Licence:
    """Idempotent: where nothing is to change, nothing does. Raises NotFound, LicenceRevoked."""
    changed = act(database, tenant_id, licence_id)
    if changed is not None:
        return changed
    licence = get(database, tenant_id, licence_id)
    if licence.revoked_at is not None:
        raise LicenceRevoked
    return licence


def _found(licence: Licence | None) -> Licence:
    if licence is None:
        raise NotFound
    return licence


def _new_key() -> tuple[str, bytes, str]:
    key = licence_keys.generate()
    symbols = key.replace("-", "")
    return key, licence_keys.digest(symbols), licence_keys.hint(symbols)
