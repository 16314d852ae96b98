"""Rows of the vendor's side, apart from the check's: a check's cold start does not load them.

Product, Policy, PolicyReach, Licence, Device and MeterUsage are answered as they are: each field
is public.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Status = Literal["not_started", "active", "grace", "expired", "suspended", "revoked"]


@dataclass(frozen=True, kw_only=True)
class Product:
    id: UUID
    """The product's id."""
    code: str
    """Names the product in checks and proofs; it never changes."""
    name: str
    """What people call the product."""
    created_at: datetime
    """When the product was made."""
    archived_at: datetime | None
    """Since when the product gets no new licences. Null: it gets them."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """permit.licences.terms.PolicyTerms says what each term means."""

    id: UUID
    """The policy's id."""
    product_id: UUID
    """The id of the product that its licences are for."""
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
    max_new_devices: int | None
    self_service: bool
    meters: list[dict[str, Any]]
    created_at: datetime
    """When the policy was made."""


@dataclass(frozen=True, kw_only=True)
class PolicyReach:
    """What a change of a policy would touch, by the terms as they would be."""

    licences: int
    """How many licences have the policy, and would follow it at their next check."""
    seats: int
    """How many seats their devices have."""
    licences_over_limit: int
    """How many of the licences have more seats taken than their limit would be: their own, else
    the policy's `max_devices`; the `overage` is not added."""
    seats_over_limit: int
    """How many of the seats are beyond the limit and the `overage`: checks of their devices would
    be refused."""
    is_complete: bool
    """Whether all licences were counted. False: the policy has more than 50,000, and each number
    is of 50,000 of them."""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """As its vendor sees it; permit.licences.terms.LicenceTerms says what each term means."""

    id: UUID
    """The licence's id."""
    key_hint: str
    """The last five symbols of the licence's key, to tell licences apart."""
    product: str
    """The code of the licence's product."""
    product_id: UUID
    """The id of the licence's product."""
    policy_id: UUID
    """The id of the licence's policy."""
    holder: dict[str, str | None]
    status: Status
    """The licence's status now; `not_started` also while it waits for its first check."""
    starts_at: datetime | None
    """When the licence begins or began. Null: it waits for its first check."""
    expires_at: datetime | None
    """When the licence ends, without the policy's grace. Null: it has no end, or has not begun."""
    max_devices: int | Literal["unlimited"] | None
    """The licence's own limit of devices in place of the policy's; `unlimited` lifts it. Null:
    the policy's."""
    seat_limit: int | None
    """How many devices may have a seat at the same time, by the policy or by the licence's own
    limit. Null: no limit."""
    devices_used: int
    """How many devices have a seat now."""
    entitlements: list[str]
    """The features that this licence grants beyond the policy's."""
    granted_entitlements: list[str]
    """All features that the licence grants, its policy's and its own."""
    metadata: dict[str, Any]
    notes: str | None
    meters: list[dict[str, Any]] | None
    created_at: datetime
    """When the licence was issued."""
    suspended_at: datetime | None
    """Since when the licence is suspended. Null: it is not."""
    revoked_at: datetime | None
    """When the licence was revoked for good. Null: it was not."""
    last_checked_at: datetime | None
    """When a program last checked the licence, exact to five minutes. Null: never."""


@dataclass(frozen=True, kw_only=True)
class NewLicence(Licence):
    key: str = field(repr=False)
    """Shown this once: only its digest is stored."""


@dataclass(frozen=True, kw_only=True)
class Transferred(Licence):
    key: str | None = field(repr=False)
    """A new key that was asked for. Shown this once: only its digest is stored."""


@dataclass(frozen=True, kw_only=True)
class Issued(Licence):
    """A licence that was issued, or why it was not: then the rest is empty."""

    refused: str | None


@dataclass(frozen=True, kw_only=True)
class Device:
    id: UUID
    """The device's id."""
    name: str | None
    """What people call the machine. Null: not known."""
    platform: str | None
    """What the machine runs. Null: not known."""
    version: str | None
    """The version of the vendor's program that last said it at a check. Null: none did."""
    state: str
    """`seated`, `lapsed` (its floating seat ran out), `released` or `blocked`."""
    seated_at: datetime | None
    """Since when the device has its seat, or had its last one. Null: it never had one."""
    seat_free_at: datetime | None
    """The key's holder has given the seat back, and it is taken until then, as a proof on it is
    still good. Null: they have not, or the device has none."""
    first_seen_at: datetime
    """When the licence first saw the device."""
    last_seen_at: datetime
    """When the device last checked, exact to five minutes."""


@dataclass(frozen=True, kw_only=True)
class Seating(Device):
    """A device that was seated by hand, or why it was not: then the rest is empty."""

    is_new: bool
    """Whether the licence had not known the device before."""
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class MeterUsage:
    meter: str
    """The meter's name."""
    used: int
    """How much is used in this period."""
    limit: int | None
    """How much may be used in this period. Null: no limit."""
    period: str | None
    """The period as the meter has it. Null: the count never begins again."""
    period_starts_at: datetime | None
    """When this period began. Null: the count never begins again."""
    resets_at: datetime | None
    """When the count begins again at 0. Null: never."""
