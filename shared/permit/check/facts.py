"""Rows as the queries return them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(kw_only=True, slots=True)  # freezing it would take 5 µs of every check
class LicenceFacts:
    """All that a verdict is made from, read at one instant of the database's clock.

    Read by name from permit.check_key's answer, which may have more members: see
    docs/architecture.md, "Releases". Ids stay text, as they came and as they are answered.
    """

    checked_at: datetime
    tenant_id: str
    licence_id: str
    licence_revision: int
    policy_revision: int
    product: str
    policy: str
    metadata: dict[str, Any]
    entitlements: list[str]
    key_valid_until: datetime | None
    revoked_at: datetime | None
    suspended_at: datetime | None
    starts_at: datetime | None
    expires_at: datetime | None
    grace_ends_at: datetime | None
    on_expiry: str
    device_required: bool
    activation: str
    matching: str
    max_devices: int | None
    overage: int
    devices_used: int
    lease_until: datetime
    """When a valid proof ends: permit.lease_ends_at says by what."""
    refresh_at: datetime | None
    """When a floating seat should be used again; None where seats do not float."""
    device_id: str | None
    device_state: str | None
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    seat_free_at: datetime | None
    """The seat was given back, and is taken until then; None: it was not, or is no longer."""
    kid: str
    sealed_key: bytes = field(repr=False)
    master_version: str
    seats_ahead: int = 0
    """How many seats were taken before this device's; 0 where the limit cannot decide."""
    used_elsewhere: bool = False
    seated_devices: list[dict[str, Any]] | None = None
    refused: str | None = None
    """Why a claim gave no seat. None: no claim was made, or it gave a seat."""

    @property
    def has_seat(self) -> bool:
        return self.device_state == "seated"

    @property
    def is_key_replaced(self) -> bool:
        return self.key_valid_until is not None and self.checked_at >= self.key_valid_until

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.checked_at >= self.expires_at

    @property
    def is_past_grace(self) -> bool:
        return self.grace_ends_at is not None and self.checked_at >= self.grace_ends_at

    @property
    def status(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        if self.suspended_at is not None:
            return "suspended"
        if self.starts_at is None or self.checked_at < self.starts_at:
            return "not_started"
        if not self.is_expired:
            return "active"
        return "expired" if self.is_past_grace else "grace"

    @property
    def unchanged_until(self) -> datetime | None:
        """The next instant at which time alone changes the verdict; None if there is none."""
        instants = (self.key_valid_until, self.starts_at, self.expires_at, self.grace_ends_at)
        return min((t for t in instants if t is not None and t > self.checked_at), default=None)


@dataclass(frozen=True, kw_only=True)
class SeatClaim:
    """The answer of permit.claim_seat_by_key: the facts as check_key has them; why no seat."""

    answer: Any
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class ReleaseOutcome:
    """Whether the seat is free now, and if not, when it can be."""

    code: str
    devices_used: int | None
    available_at: datetime | None
    seat_free_at: datetime | None
    mistyped: bool = False


class DeviceSent(NamedTuple):
    """A device as the caller describes it."""

    fingerprint_hash: bytes
    components: dict[str, str] | None = None
    name: str | None = None
    platform: str | None = None
    version: str | None = None
    """Of the program that asks; a vendor who seats a device by hand says none."""
