"""The terms that a vendor sets: of a policy, and of one licence."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from permit.contracts import (
    Answer,
    Composed,
    Contract,
    Email,
    Entitlement,
    Id,
    Instant,
    Items,
    Lease,
    Name,
    SeatTtl,
    StorableObject,
    Term,
    Words,
    bounded,
    duration_seconds,
)
from permit.errors import InvalidRequest
from permit.sizes import written_size

_METADATA_BYTES = 8 * 1024
_MOST_DEVICES = 1_000_000
_PERIOD_WORDS = (
    '"hour", "day", "week", "month", "year", or an ISO 8601 duration in whole numbers '
    "from PT1M to P100Y"
)
_METADATA_WORDS = (
    f"a JSON object of at most {_METADATA_BYTES:,} bytes, with its numbers written out "
    "(1e3 as 1000), and 32 levels"
)

Entitlements = Annotated[list[Entitlement], Items(0, 200)]
# A limit is a number, and None is no limit. The exception is a licence's own limit of devices:
# there None means the policy's limit, and the word `unlimited` means none.
Devices = Annotated[int, Field(ge=0, le=_MOST_DEVICES)]
OwnLimit = Devices | Literal["unlimited"] | None


def _small(metadata: dict[str, object]) -> dict[str, object]:
    if written_size(metadata) > _METADATA_BYTES:
        raise ValueError(f"must be {_METADATA_WORDS}")
    return metadata


def _period(text: str) -> str:
    if text in ("hour", "day", "week", "month", "year"):
        return text
    try:
        seconds = duration_seconds(text)
    except ValueError:
        seconds = 0
    if not duration_seconds("PT1M") <= seconds <= duration_seconds("P100Y"):
        raise ValueError(f"must be {_PERIOD_WORDS}")
    return text


class Meter(Contract):
    """How much of something a licence may use in a period."""

    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$"),
        Words("1 to 64 of a-z, 0-9, _, . and -, the first a letter or a digit"),
    ]
    """What is counted: a usage names it."""
    limit: Annotated[int, Field(ge=0, le=10**15)] | None
    """How much may be used in a period. Null: counted without a limit."""
    period: Annotated[str, AfterValidator(_period), Words(_PERIOD_WORDS)] | None = "month"
    """When the count begins again at 0: with each hour, day, week, month or year of the calendar
    in UTC, or each time such a duration has passed since the licence's `starts_at`. Null: never."""


class MeterAnswer(Answer):
    name: str
    limit: int | None
    period: str | None


def _distinct(meters: list[Meter]) -> list[Meter]:
    if len({meter.name for meter in meters}) < len(meters):
        raise ValueError("must not name a meter twice")
    return meters


Code = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$"),
    Words("2 to 63 of a-z, 0-9 and -, the first a letter or a digit"),
]
Meters = Annotated[list[Meter], Items(0, 50), AfterValidator(_distinct)]


Metadata = Annotated[StorableObject, AfterValidator(_small), Words(_METADATA_WORDS)]
Notes = Annotated[str, bounded(0, 10_000), Composed()]


class PolicyTerms(Contract):
    """The rules that licences share. Durations are ISO 8601 and calendar-true."""

    name: Name
    """What people call the policy; checks answer it too."""
    duration: Term | None = None
    """How long a licence lasts from its start, by the calendar: P1M from 31 January ends on the
    last day of February, and renewed for a month on 31 March. Null: without end."""
    starts: Literal["on_issue", "on_first_check"] = "on_issue"
    """When a licence without `starts_at` begins: `on_issue`, or `on_first_check`, with its first
    valid check."""
    on_expiry: Literal["block", "allow", "maintain"] = "block"
    """What happens after the end and the grace: `block` stops the licence, `allow` lets it go on
    working, `maintain` lets only versions that were built before the end go on."""
    grace: Term | None = None
    """For how long after its end a licence still works, with the verdict `GRACE`. Null: no
    longer than its end."""
    max_devices: Devices | None = None
    """How many devices may have a seat at the same time, unless the licence has a limit of its
    own. Null: no limit."""
    overage: Devices = 0
    """How many devices beyond the limit are tolerated: their checks are valid and say
    `TOO_MANY_DEVICES`."""
    device_required: bool = True
    """Whether a check must name a device. It may be false only where no devices are counted:
    `max_devices` and `seat_ttl` are null, `unique` is `none` and `activation` is `automatic`."""
    activation: Literal["automatic", "manual"] = "automatic"
    """How a device gets a seat: `automatic`, with its first valid check, or `manual`, from the
    vendor alone."""
    seat_ttl: SeatTtl | None = None
    """Floating licences: a seat is free again when its device has not checked for this long. If it
    is changed, a longer one, or none, counts for a device from its next check. Null: node-locked, a
    device keeps its seat until it is released."""
    matching: Literal["exact", "any", "two", "most", "all"] = "exact"
    """When a machine with a new fingerprint is recognised as a known one: `exact` never, the
    others if `any` one, `two`, `most` (half or more) or `all` of its components are the same."""
    unique: Literal["none", "policy", "product"] = "none"
    """Whether a machine may be used with only one licence of the `policy` or of the `product`,
    or with any number of licences (`none`)."""
    lease: Lease = "P7D"
    """For how long the proof of a valid check lets a program run offline."""
    entitlements: Entitlements = Field(default_factory=list)
    """The features that every licence of the policy grants."""
    max_releases: Devices | None = 3
    """How often in 30 days the holder of a key may move a node-locked licence: by releasing a
    device, or with a machine that is recognised by its components. Null: no limit."""
    max_new_devices: Devices | None = None
    """How many devices that it has not met before a licence takes within an hour, so that a leaked
    key does not serve endless machines; those that have given their seat back do not count once it
    is free. Null: 100, or twice its seats where that is more; 10,000 without a limit of seats."""
    self_service: bool = True
    """Whether a check that finds no free seat tells the holder of the key which devices have the
    seats, so that they can release one."""
    meters: Meters = Field(default_factory=list[Meter])
    """What may be used in a period, each under a name of its own."""

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
    """The person or company that has the licence."""

    name: Name | None = None
    """The holder's name. Null: none."""
    email: Email | None = None
    """The holder's email; Permit never writes to it. Null: none."""
    reference: Name | None = None
    """What the vendor's own systems call the holder, such as a customer number. Null: none."""


class LicenceTerms(Contract):
    """What one licence has of its own."""

    holder: Holder = Holder()
    """Who has the licence. Personal data: checks do not return it."""
    starts_at: Instant | None = None
    """When the licence begins. Null: as the policy's `starts` says."""
    expires_at: Instant | None = None
    """When the licence ends. Null: by the policy's `duration`, counted from `starts_at`."""
    max_devices: OwnLimit = None
    """The licence's own limit of devices in place of the policy's; `unlimited` lifts it. Null:
    the policy's."""
    entitlements: Entitlements = Field(default_factory=list)
    """The features that this licence grants beyond the policy's."""
    metadata: Metadata = Field(default_factory=dict)
    """Anything the vendor's program should know about the licence; checks return it as it is."""
    notes: Notes | None = None
    """Notes for the vendor's own people; checks do not return them. Null: none."""
    meters: Meters | None = None
    """The licence's own meters: each replaces the policy's of the same name, or adds one. Null:
    the policy's."""

    @model_validator(mode="after")
    def _term_has_length(self) -> Self:
        if self.starts_at and self.expires_at and self.expires_at <= self.starts_at:
            raise InvalidRequest(("expires_at", "must be after starts_at"))
        return self


class LicenceRequest(LicenceTerms):
    policy_id: Id
    """The id of the policy whose rules apply to the licence."""
