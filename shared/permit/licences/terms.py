"""The terms that a vendor sets: of a policy, and of one licence."""

import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from permit.contracts import (
    Answer,
    Contract,
    Entitlement,
    Id,
    Instant,
    Lease,
    Name,
    SeatTtl,
    StorableObject,
    Term,
    bounded,
    duration_seconds,
)
from permit.errors import InvalidRequest

_METADATA_BYTES = 8 * 1024
_MOST_DEVICES = 1_000_000
_SHORTEST_PERIOD, _LONGEST_PERIOD = duration_seconds("PT1M"), duration_seconds("P100Y")

Entitlements = Annotated[list[Entitlement], Field(max_length=200)]
# A limit is a number, and None is no limit. Only in a licence's own limit of devices does None mean
# the policy's, so no limit is a word there.
Devices = Annotated[int, Field(ge=0, le=_MOST_DEVICES)]
OwnLimit = Devices | Literal["unlimited"] | None


def _small(metadata: dict[str, object]) -> dict[str, object]:
    if len(json.dumps(metadata).encode()) > _METADATA_BYTES:
        raise ValueError(f"must be at most {_METADATA_BYTES} bytes of JSON")
    return metadata


def _period(text: str) -> str:
    if text in ("hour", "day", "week", "month", "year"):
        return text
    try:
        seconds = duration_seconds(text)
    except ValueError:
        seconds = 0
    if not _SHORTEST_PERIOD <= seconds <= _LONGEST_PERIOD:
        raise ValueError("must be hour, day, week, month, year, or a duration from PT1M to P100Y")
    return text


class Meter(Contract):
    """How much of something a licence may use in a period."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    limit: Annotated[int, Field(ge=0, le=10**15)] | None
    """None: counted without a limit."""
    period: Annotated[str, AfterValidator(_period)] | None = "month"
    """hour, day, week, month or year by the calendar in UTC; an ISO 8601 duration, counted from
    starts_at; None: never begins again."""


class MeterAnswer(Answer):
    name: str
    limit: int | None
    period: str | None


def _distinct(meters: list[Meter]) -> list[Meter]:
    if len({meter.name for meter in meters}) < len(meters):
        raise ValueError("must not name a meter twice")
    return meters


Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
Meters = Annotated[list[Meter], Field(max_length=50), AfterValidator(_distinct)]


Metadata = Annotated[StorableObject, AfterValidator(_small)]
Notes = Annotated[str, bounded(0, 10_000)]


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
    meters: Meters = Field(default_factory=list[Meter])

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
    max_devices: OwnLimit = None
    """None: the policy's."""
    entitlements: Entitlements = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    notes: Notes | None = None
    meters: Meters | None = None
    """None: the policy's; each named here replaces the policy's of that name."""

    @model_validator(mode="after")
    def _term_has_length(self) -> Self:
        if self.starts_at and self.expires_at and self.expires_at <= self.starts_at:
            raise InvalidRequest(("expires_at", "must be after starts_at"))
        return self


class LicenceRequest(LicenceTerms):
    policy_id: Id
