"""Rows of the vendor's side; apart from those of the check, whose cold start would pay for them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Product:
    id: UUID
    code: str
    name: str
    created_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """As permit.terms.PolicyTerms, which says what each means."""

    id: UUID
    product_id: UUID
    name: str
    duration: str | None
    starts: str
    on_expiry: str
    grace: str | None
    max_devices: int | None
    overage: int
    device_required: bool
    activation: str
    seat_ttl: str | None
    matching: str
    unique_in: str
    lease: str
    entitlements: list[str]
    max_releases: int | None
    self_service: bool
    meters: list[dict[str, Any]]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Licence:
    """As its vendor sees it."""

    id: UUID
    key_hint: str
    product: str
    product_id: UUID
    policy_id: UUID
    holder_name: str | None
    holder_email: str | None
    holder_reference: str | None
    status: str
    starts_at: datetime | None
    expires_at: datetime | None
    max_devices: int | None
    """Its own: None is the policy's, -1 unlimited."""
    seat_limit: int | None
    """What holds, the policy's or its own; None: unlimited."""
    devices_used: int
    entitlements: list[str]
    policy_entitlements: list[str]
    metadata: dict[str, Any]
    notes: str | None
    meters: list[dict[str, Any]] | None
    created_at: datetime
    suspended_at: datetime | None
    revoked_at: datetime | None
    last_checked_at: datetime | None
    device_required: bool
    policy_duration: str | None


@dataclass(frozen=True, kw_only=True)
class Device:
    id: UUID
    name: str | None
    platform: str | None
    state: str
    seated_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, kw_only=True)
class Seating:
    """A device that was seated by hand, or why it was not."""

    id: UUID | None
    name: str | None
    platform: str | None
    state: str
    seated_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    is_new: bool
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class MeterUsage:
    meter: str
    used: int
    limit: int | None
    period: str | None
    period_starts_at: datetime | None
    resets_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Issued:
    """One of the licences that were sent, by its index; or why it was not issued."""

    index: int
    refused: str | None
    licence: Licence | None


@dataclass(frozen=True, kw_only=True)
class IssuedRow(Licence):
    index: int
    refused: str | None
