"""The life of a licence as its vendor leads it, from issue to end; and that of its devices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from permit.db import Database
from permit.errors import InvalidRequest, NotFound
from permit.licences.queries import licences
from permit.licences.refusals import (
    LicenceNotStarted,
    LicencePerpetual,
    LicenceRevoked,
    PolicyWithoutDuration,
    ProductArchived,
)
from permit.licences.rows import Licence
from permit.licences.terms import LicenceTerms
from permit.security import licence_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class NewLicence:
    licence: Licence
    key: str = field(repr=False)  # shown this once: only its digest is stored


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A licence to be issued."""

    policy_id: UUID
    terms: LicenceTerms


_REFUSALS = {
    "policy": ("policy_id", "there is no such policy"),
    "archived": ("policy_id", "the policy's product is archived"),
    "devices": ("max_devices", "the policy does not require a device"),
    "term": ("expires_at", "must be after starts_at"),
}


def issue(database: Database, tenant_id: UUID, order: Order) -> NewLicence:
    """Raises ProductArchived, or InvalidRequest with the field."""
    [(issued, new)] = _issue(database, tenant_id, [order])
    if issued.refused == "archived":
        raise ProductArchived
    if issued.refused is not None:
        raise InvalidRequest(_REFUSALS[issued.refused])
    assert new is not None  # noqa: S101 (it was not refused)
    return new


def issue_all(database: Database, tenant_id: UUID, orders: Sequence[Order]) -> list[NewLicence]:
    """All or nothing. Raises InvalidRequest, which names each by its index."""
    outcomes = _issue(database, tenant_id, orders)
    refused = [
        (f"licences.{issued.index}.{_REFUSALS[issued.refused][0]}", _REFUSALS[issued.refused][1])
        for issued, _ in outcomes
        if issued.refused is not None
    ]
    if refused:
        raise InvalidRequest(*refused)
    return [new for _, new in outcomes if new is not None]


def get(database: Database, tenant_id: UUID, licence_id: UUID) -> Licence:
    licence = licences.find_licence(database, tenant_id, licence_id)
    if licence is None:
        raise NotFound
    return licence


def look_up(database: Database, tenant_id: UUID, key: str) -> Licence:
    """Whose key this is, or was before it was replaced."""
    canonical = licence_keys.canonical(key)
    found = canonical and licences.find_by_key(database, tenant_id, licence_keys.digest(canonical))
    if not found:
        raise NotFound
    return found


def change(
    database: Database, tenant_id: UUID, licence_id: UUID, changes: dict[str, Any]
) -> Licence:
    """Those terms that are given, by column."""
    before = licences.lock_licence(database, tenant_id, licence_id)
    if before is None:
        raise NotFound
    if not changes:
        return before
    changed = licences.set_terms(database, tenant_id, licence_id, changes)
    if changed is None:
        raise InvalidRequest(_why_unchanged(before, changes))
    return changed


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
    """By a duration (the policy's) from the later of now and expiry; or until a time."""
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
    if duration is None and licence.policy_duration is None:
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
    return NewLicence(licence=licence, key=key)


def _issue(
    database: Database, tenant_id: UUID, orders: Sequence[Order]
) -> list[tuple[licences.Issued, NewLicence | None]]:
    keys = [_new_key() for _ in orders]
    sent = [
        {
            "index": index,
            "policy_id": str(order.policy_id),
            "key_hash": key_hash.hex(),
            "key_hint": key_hint,
            **_columns(order.terms),
        }
        for index, (order, (_, key_hash, key_hint)) in enumerate(zip(orders, keys, strict=True))
    ]
    issued = licences.insert_licences(database, tenant_id, sent)
    return [
        (each, each.licence and NewLicence(licence=each.licence, key=keys[each.index][0]))
        for each in issued
    ]


def _columns(terms: LicenceTerms) -> dict[str, Any]:
    values = terms.model_dump(mode="json", exclude={"holder"})
    return {
        **values,
        **terms.holder.columns(),
        "max_devices": licences.seats(terms.max_devices),
    }


def _act(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    act: Callable[[Database, UUID, UUID], Licence | None],
) -> Licence:
    """Idempotent: what is so already stays so. Raises NotFound, LicenceRevoked."""
    changed = act(database, tenant_id, licence_id)
    if changed is not None:
        return changed
    licence = get(database, tenant_id, licence_id)
    if licence.revoked_at is not None:
        raise LicenceRevoked
    return licence


def _why_unchanged(before: Licence, changes: dict[str, Any]) -> tuple[str, str]:
    starts_at = changes.get("starts_at", before.starts_at)
    expires_at = changes.get("expires_at", before.expires_at)
    if starts_at is not None and expires_at is not None and expires_at <= starts_at:
        return "expires_at", "must be after starts_at"
    if changes.get("max_devices", -1) is not None and changes.get("max_devices", -1) >= 0:
        return "max_devices", "the policy does not require a device"
    return "policy_id", "must be a policy of the licence's product that fits its limits"


def _new_key() -> tuple[str, bytes, str]:
    key = licence_keys.generate()
    symbols = key.replace("-", "")
    return key, licence_keys.digest(symbols), licence_keys.hint(symbols)
