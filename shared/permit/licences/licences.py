"""What a vendor does with a licence, from issue to end."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from permit.db import Database
from permit.errors import InvalidRequest, NotFound
from permit.licences import policies
from permit.licences.queries import devices, licences
from permit.licences.queries.policies import lock_policy
from permit.licences.refusals import (
    LicenceEndMoved,
    LicenceNotStarted,
    LicencePerpetual,
    LicenceRevoked,
    PolicyWithoutDuration,
    ProductArchived,
    unknown_key,
)
from permit.licences.rows import Licence, NewLicence, Policy, Transferred
from permit.licences.terms import LicenceRequest
from permit.security import licence_keys

_REFUSALS = {
    "policy": ("policy_id", "there is no such policy"),
    "archived": ("policy_id", "the policy's product is archived"),
    "devices": ("max_devices", "the policy does not require a device"),
    "misfit": ("policy_id", "must be a policy of the licence's product that fits its limits"),
    "term": ("expires_at", "must be after starts_at"),
    "endless": ("term", 'the licence has no end to extend: "restart" gives it one'),
    "shorter": ("expires_at", "must not be before the present end: renewing never shortens"),
}
_LAST_YEAR = 8999  # as permit.contracts.Instant has it
_TOO_LATE = f"would end after the year {_LAST_YEAR}"


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
    """The licence that has this key, or had it before it was replaced.

    Raises NotFound, which says whether the key is mistyped.
    """
    canonical = licence_keys.canonical(key)
    if canonical is None:
        raise unknown_key(mistyped=True)
    licence = licences.find_by_key(database, tenant_id, licence_keys.digest(canonical))
    if licence is None:
        raise unknown_key(mistyped=False)
    return licence


def change(
    database: Database, tenant_id: UUID, licence_id: UUID, changes: dict[str, Any]
) -> Licence:
    """Changes the given terms, by name. Raises NotFound, InvalidRequest.

    A licence that has waited for its first check and gets a start ends by its policy's duration,
    unless an end is set, as at its issue.
    `term` among them says what becomes of the end at a move: `keep`, `restart` or `extend`. With
    the policy that the licence has already nothing moves, so that a repetition changes nothing.
    """
    licence = _found(licences.lock_licence(database, tenant_id, licence_id))
    changes = {**changes}
    term = changes.pop("term", "keep")
    if not changes:
        return licence
    policy = _fitting_policy(database, tenant_id, licence, changes)
    if policy is None or policy.id == licence.policy_id:
        term = "keep"
    holder = {**licence.holder, **changes.get("holder", {})}
    terms = {**terms_of(licence), **changes, "holder": holder}
    duration = policy and policy.duration
    if term == "extend" and duration and licence.starts_at and not licence.expires_at:
        raise InvalidRequest(_REFUSALS["endless"])
    changed = _found(
        licences.set_terms(database, tenant_id, licence_id, terms, term=term, duration=duration)
    )
    if term == "extend" and changed.expires_at and changed.expires_at.year > _LAST_YEAR:
        raise InvalidRequest(("term", _TOO_LATE))
    return changed


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
    known_end: datetime | None = None,
) -> Licence:
    """By a duration (else the policy's), as permit.renewed_term counts it, or until a time.

    Only if the licence ends at `known_end`, where that is given. Raises NotFound, InvalidRequest,
    and what the licence's state refuses.
    """
    renewed = licences.set_renewed(
        database,
        tenant_id,
        licence_id,
        duration=duration,
        expires_at=expires_at,
        known_end=known_end,
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
    if known_end is not None and _second(known_end) != _second(licence.expires_at):
        raise LicenceEndMoved(licence.expires_at)
    if expires_at is not None:
        raise InvalidRequest(_REFUSALS["shorter"])
    policy = policies.get_policy(database, tenant_id, licence.policy_id)
    if duration is None and policy.duration is None:
        raise PolicyWithoutDuration
    raise InvalidRequest(("duration", _TOO_LATE))


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


def transfer(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    holder: dict[str, str | None],
    release_devices: bool,
    overlap: str | None,
) -> Transferred:
    """To another holder, who replaces the present one whole. Raises NotFound, LicenceRevoked.

    What the devices were called is the old holder's, and forgotten. With `overlap` the licence gets
    another key, and the old one works for so long yet. Idempotent without.
    """
    before = licences.lock_licence(database, tenant_id, licence_id)
    licence = licences.set_holder(database, tenant_id, licence_id, holder)
    if licence is None:
        get(database, tenant_id, licence_id)
        raise LicenceRevoked
    if release_devices:
        devices.release_all(database, tenant_id, licence_id)
    if release_devices or (before and before.holder != licence.holder):
        devices.forget_names(database, tenant_id, licence_id)
    if overlap is not None:
        new = rotate_key(database, tenant_id, licence_id, overlap=overlap)
        return Transferred(**_members(new), key=new.key)
    if release_devices:
        licence = get(database, tenant_id, licence_id)
    return Transferred(**_members(licence), key=None)


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
    return NewLicence(**_members(licence), key=key)


def _members(licence: Licence) -> dict[str, Any]:
    return {each.name: getattr(licence, each.name) for each in fields(Licence)}


def _fitting_policy(
    database: Database, tenant_id: UUID, licence: Licence, changes: dict[str, Any]
) -> Policy | None:
    """The policy that the changes are about, locked; None where they are about none.

    Raises InvalidRequest where the term would have no length, or the policy would not fit.
    """
    starts_at = changes.get("starts_at", licence.starts_at)
    expires_at = changes.get("expires_at", licence.expires_at)
    if starts_at is not None and expires_at is not None and expires_at <= starts_at:
        raise InvalidRequest(_REFUSALS["term"])
    begins = starts_at is not None and licence.starts_at is None
    if not begins and changes.keys().isdisjoint({"policy_id", "max_devices"}):
        return None
    # Locked, so that its rules cannot change between here and the write.
    policy = lock_policy(database, tenant_id, changes.get("policy_id", licence.policy_id))
    counts_devices = isinstance(changes.get("max_devices", licence.max_devices), int)
    if policy is None or policy.product_id != licence.product_id:
        raise InvalidRequest(_REFUSALS["misfit"])
    if counts_devices and not policy.device_required:
        raise InvalidRequest(_REFUSALS["devices" if "max_devices" in changes else "misfit"])
    return policy


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


def _second(instant: datetime) -> datetime:
    """A caller's language may know no smaller parts of one."""
    return instant.replace(microsecond=0)


def _new_key() -> tuple[str, bytes, str]:
    key = licence_keys.generate()
    symbols = key.replace("-", "")
    return key, licence_keys.digest(symbols), licence_keys.hint(symbols)
