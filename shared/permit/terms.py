"""The terms that a vendor sets: of a policy, and of one licence."""

import json
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from permit.contracts import (
    Contract,
    Entitlement,
    Instant,
    Lease,
    Name,
    SeatTtl,
    StorableObject,
    Term,
    bounded,
)
from permit.errors import InvalidRequest

_METADATA_BYTES = 8 * 1024
_MOST_DEVICES = 1_000_000

Id = Annotated[UUID, Field(strict=False)]
Entitlements = Annotated[list[Entitlement], Field(max_length=200)]
Devices = Annotated[int, Field(ge=0, le=_MOST_DEVICES)]


def _small(metadata: dict[str, object]) -> dict[str, object]:
    if len(json.dumps(metadata).encode()) > _METADATA_BYTES:
        raise ValueError(f"must be at most {_METADATA_BYTES} bytes of JSON")
    return metadata


class PolicyTerms(Contract):
    """The rules that licences share. Durations are ISO 8601 and calendar-true."""

    name: Name
    duration: Term | None = None
    """None: perpetual."""
    starts: Literal["on_issue", "on_first_check"] = "on_issue"
    on_expiry: Literal["block", "allow", "maintain"] = "block"
    grace: Term | None = None
    max_devices: Devices | None = None
    """None: unlimited."""
    overage: Devices = 0
    device_required: bool = True
    activation: Literal["automatic", "manual"] = "automatic"
    seat_ttl: SeatTtl | None = None
    """Set: floating; a seat lapses when its device has not checked for so long."""
    matching: Literal["exact", "any", "two", "most", "all"] = "exact"
    unique: Literal["none", "policy", "product"] = "none"
    lease: Lease = "P7D"
    entitlements: Entitlements = Field(default_factory=list)
    max_releases: Devices | None = 3
    self_service: bool = True

    @model_validator(mode="after")
    def _limits_need_devices(self) -> Self:
        if self.device_required:
            return self
        counts_devices = self.max_devices is not None or self.seat_ttl is not None
        if counts_devices or self.activation == "manual" or self.unique != "none":
            raise InvalidRequest(
                (
                    "device_required",
                    "must be true with max_devices, seat_ttl, unique or manual activation",
                )
            )
        return self


class Holder(Contract):
    """Whose licence it is, as the vendor knows him."""

    name: Name | None = None
    email: Annotated[str, bounded(3, 254)] | None = None
    reference: Name | None = None


class LicenceTerms(Contract):
    """What one licence has of its own."""

    holder: Holder = Holder()
    starts_at: Instant | None = None
    expires_at: Instant | None = None
    max_devices: Devices | Literal["unlimited"] | None = None
    """None: the policy's."""
    entitlements: Entitlements = Field(default_factory=list)
    metadata: Annotated[StorableObject, AfterValidator(_small)] = Field(default_factory=dict)
    notes: Annotated[str, bounded(0, 10_000)] | None = None

    @model_validator(mode="after")
    def _term_has_length(self) -> Self:
        if self.starts_at and self.expires_at and self.expires_at <= self.starts_at:
            raise InvalidRequest(("expires_at", "must be after starts_at"))
        return self
