"""Rows of the vendor's side; apart from those of the check, whose cold start would pay for them.

Product, Policy, Licence, Device and MeterUsage are answered as they are: each field is public.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Status = Literal["not_started", "active", "grace", "expired", "suspended", "revoked"]


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
    unique: str
    lease: str
    entitlements: list[str]
    max_releases: int | None
    self_service: bool
    meters: list[dict[str, Any]]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Licence:
    """As its vendor sees it; permit.licences.terms.LicenceTerms says what each term means."""

    id: UUID
    key_hint: str
    product: str
    product_id: UUID
    policy_id: UUID
    holder: dict[str, str | None]
    status: Status
    starts_at: datetime | None
    expires_at: datetime | None
    max_devices: int | Literal["unlimited"] | None
    """Its own limit; None: the policy's."""
    seat_limit: int | None
    """What holds, the policy's or its own; None: unlimited."""
    devices_used: int
    entitlements: list[str]
    """Its own."""
    granted_entitlements: list[str]
    """Its own and the policy's."""
    metadata: dict[str, Any]
    notes: str | None
    meters: list[dict[str, Any]] | None
    created_at: datetime
    suspended_at: datetime | None
    revoked_at: datetime | None
    last_checked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewLicence(Licence):
    key: str = field(repr=False)
    """Shown this once: only its digest is stored."""


@dataclass(frozen=True, kw_only=True)
class Issued(Licence):
    """A licence that was issued, or why it was not: then the rest is empty."""

    refused: str | None


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
class Seating(Device):
    """A device that was seated by hand, or why it was not: then the rest is empty."""

    is_new: bool
    """The licence had not known it."""
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class MeterUsage:
    meter: str
    used: int
    limit: int | None
    period: str | None
    period_starts_at: datetime | None
    resets_at: datetime | None
