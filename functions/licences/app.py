"""/v1/licences: issued, found, changed, renewed, ended; their devices and their usage."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from permit.check.device_spec import DeviceSpec, LicenceKey
from permit.contracts import (
    Answer,
    Contract,
    Entitlement,
    Instant,
    Name,
    Overlap,
    Reasoned,
    Term,
    bounded,
)
from permit.db import Database
from permit.edge.api import answer
from permit.edge.operations import VendorApi
from permit.edge.payload import Response
from permit.errors import InvalidRequest, NotFound
from permit.licences import devices, licences
from permit.licences.licences import NewLicence, Order
from permit.licences.queries import devices as device_queries
from permit.licences.queries import licences as licence_queries
from permit.licences.queries.licences import LicenceFilter
from permit.licences.refusals import (
    DeviceBlocked,
    LicenceNotStarted,
    LicencePerpetual,
    LicenceRevoked,
    NoFreeSeat,
    PolicyWithoutDuration,
    ProductArchived,
)
from permit.licences.rows import Device, Licence, MeterUsage
from permit.licences.terms import (
    Devices,
    Entitlements,
    Holder,
    Id,
    LicenceTerms,
    Metadata,
    MeterAnswer,
    Meters,
    Notes,
    fold,
)
from permit.paging import PageQuery, page, place
from permit.people.callers import Caller
from permit.settings import VendorSettings

_MOST_IN_A_BATCH = 1_000
Status = Literal["not_started", "active", "grace", "expired", "suspended", "revoked"]


class LicenceRequest(LicenceTerms):
    policy_id: Id

    def as_order(self) -> Order:
        terms = LicenceTerms.model_construct(
            **{name: getattr(self, name) for name in LicenceTerms.model_fields}
        )
        return Order(policy_id=self.policy_id, terms=terms)


class Batch(Contract):
    licences: Annotated[list[LicenceRequest], Field(min_length=1, max_length=_MOST_IN_A_BATCH)]


class LicenceChange(Reasoned):
    """What is left out stays; null takes a limit, an end or a note away."""

    policy_id: Id | None = None
    """Another policy of the same product."""
    holder: Holder | None = None
    starts_at: Instant | None = None
    expires_at: Instant | None = None
    max_devices: Devices | Literal["unlimited"] | None = None
    entitlements: Entitlements | None = None
    metadata: Metadata | None = None
    notes: Notes | None = None
    meters: Meters | None = None

    @model_validator(mode="after")
    def _keeps_what_it_must_have(self) -> Self:
        for name in ("policy_id", "holder", "starts_at", "entitlements", "metadata"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise InvalidRequest((name, "must not be null"))
        return self

    def columns(self) -> dict[str, Any]:
        """What is given, as it is stored."""
        given = self.model_dump(exclude_unset=True, exclude={"reason", "holder"})
        if self.holder is not None:
            given |= self.holder.columns(given=True)
        if "max_devices" in given:
            given["max_devices"] = licence_queries.seats(self.max_devices)
        return given


class Renewal(Reasoned):
    duration: Term | None = None
    """From the later of now and expiry; the policy's duration without one."""
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.duration is not None and self.expires_at is not None:
            raise InvalidRequest(("expires_at", "give either duration or expires_at"))
        return self


class KeyRotation(Reasoned):
    overlap: Overlap = "PT0S"
    """For how long the old key still works."""


class KeyRequest(Contract):
    key: LicenceKey


class LicenceQuery(PageQuery):
    product: Name | None = None
    """A product's code, or its id."""
    policy_id: Annotated[UUID, Field(strict=False)] | None = None
    status: Status | None = None
    holder: Name | None = None
    """How the holder's name, email or reference begins, whatever its case."""
    expires_before: Instant | None = None
    key_hint: Annotated[str, bounded(1, 30)] | None = None
    q: Name | None = None
    """What occurs in the holder's name, email or reference, or in the key's hint."""

    def as_filter(self) -> LicenceFilter:
        given = self.model_dump(exclude={"limit", "cursor", "holder", "q"})
        return LicenceFilter(
            **given, holder=self.holder and fold(self.holder), q=self.q and fold(self.q)
        )


class DeviceQuery(PageQuery):
    state: Literal["seated", "lapsed", "released", "blocked"] | None = None


class MeterName(Reasoned):
    meter: Entitlement


class HolderAnswer(Answer):
    name: str | None
    email: str | None
    reference: str | None


class LicenceAnswer(Answer):
    id: UUID
    key_hint: str
    product: str
    product_id: UUID
    policy_id: UUID
    holder: HolderAnswer
    status: Status
    starts_at: datetime | None
    expires_at: datetime | None
    max_devices: int | Literal["unlimited"] | None
    """Its own limit; null: the policy's."""
    seat_limit: int | None
    """What holds; null: unlimited."""
    devices_used: int
    entitlements: list[str]
    """Its own; the check answers those of the policy too."""
    granted_entitlements: list[str]
    metadata: dict[str, Any]
    notes: str | None
    meters: list[MeterAnswer] | None
    created_at: datetime
    suspended_at: datetime | None
    revoked_at: datetime | None
    last_checked_at: datetime | None


class NewLicenceAnswer(LicenceAnswer):
    key: str
    """Shown this once."""


class BatchAnswer(Answer):
    licences: list[NewLicenceAnswer]


class DeviceAnswer(Answer):
    id: UUID
    name: str | None
    platform: str | None
    state: str
    seated_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime


class MeterUsageAnswer(Answer):
    meter: str
    used: int
    limit: int | None
    period: str | None
    period_starts_at: datetime | None
    resets_at: datetime | None


class UsageList(Answer):
    items: list[MeterUsageAnswer]


class LicenceList(Answer):
    items: list[LicenceAnswer]
    next_cursor: str | None


class DeviceList(Answer):
    items: list[DeviceAnswer]
    next_cursor: str | None


settings = VendorSettings.from_environment()
database = Database(settings)
api = VendorApi(database, settings)


@api.operation(
    "POST",
    "/v1/licences",
    "licences.issue",
    request=LicenceRequest,
    answer=NewLicenceAnswer,
    creates=True,
    refuses=(ProductArchived,),
)
def issue_licence(caller: Caller, request: LicenceRequest) -> Answer:
    """Issue a licence; its key is answered here and never again."""
    return _new_licence(licences.issue(database, caller.tenant_id, request.as_order()))


@api.operation(
    "POST",
    "/v1/licences/batch",
    "licences.issue",
    request=Batch,
    answer=BatchAnswer,
    creates=True,
)
def issue_batch(caller: Caller, request: Batch) -> Answer:
    """Issue up to 1,000 licences, all or none."""
    orders = [each.as_order() for each in request.licences]
    new = licences.issue_all(database, caller.tenant_id, orders)
    return BatchAnswer(licences=[_new_licence(each) for each in new])


@api.operation("GET", "/v1/licences", "licences.list", query=LicenceQuery, answer=LicenceList)
def list_licences(caller: Caller, query: LicenceQuery) -> Answer:
    """List licences, newest first, by what they are found by."""
    where = place(query)
    rows = licence_queries.list_licences(database, caller.tenant_id, query.as_filter(), where)
    found = page(rows, where, lambda row: (row.created_at, row.id))
    return LicenceList(items=[_licence(row) for row in found.items], next_cursor=found.next_cursor)


@api.operation(
    "POST",
    "/v1/licences/lookup",
    "licences.lookup",
    request=KeyRequest,
    answer=LicenceAnswer,
    refuses=(NotFound,),
)
def look_up_licence(caller: Caller, request: KeyRequest) -> Answer:
    """Find the licence of a key, current or replaced."""
    return _licence(licences.look_up(database, caller.tenant_id, request.key))


@api.operation("GET", "/v1/licences/{licence_id}", "licences.read", answer=LicenceAnswer)
def get_licence(caller: Caller, licence_id: UUID) -> Answer:
    """Get a licence."""
    return _licence(licences.get(database, caller.tenant_id, licence_id))


@api.operation(
    "PATCH",
    "/v1/licences/{licence_id}",
    "licences.change",
    request=LicenceChange,
    answer=LicenceAnswer,
)
def change_licence(caller: Caller, request: LicenceChange, licence_id: UUID) -> Answer:
    """Change a licence; it holds from the next check."""
    return _licence(licences.change(database, caller.tenant_id, licence_id, request.columns()))


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/suspend",
    "licences.suspend",
    request=Reasoned,
    answer=LicenceAnswer,
    refuses=(LicenceRevoked,),
)
def suspend_licence(caller: Caller, request: Reasoned, licence_id: UUID) -> Answer:
    """Suspend a licence until it is reinstated."""
    return _licence(licences.suspend(database, caller.tenant_id, licence_id))


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/reinstate",
    "licences.reinstate",
    request=Reasoned,
    answer=LicenceAnswer,
    refuses=(LicenceRevoked,),
)
def reinstate_licence(caller: Caller, request: Reasoned, licence_id: UUID) -> Answer:
    """Reinstate a suspended licence."""
    return _licence(licences.reinstate(database, caller.tenant_id, licence_id))


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/renew",
    "licences.renew",
    request=Renewal,
    answer=LicenceAnswer,
    status=200,
    creates=True,
    refuses=(
        LicenceRevoked,
        LicencePerpetual,
        LicenceNotStarted,
        PolicyWithoutDuration,
    ),
)
def renew_licence(caller: Caller, request: Renewal, licence_id: UUID) -> Answer:
    """Renew a licence."""
    return _licence(
        licences.renew(
            database,
            caller.tenant_id,
            licence_id,
            duration=request.duration,
            expires_at=request.expires_at,
        )
    )


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/revoke",
    "licences.revoke",
    request=Reasoned,
    answer=LicenceAnswer,
)
def revoke_licence(caller: Caller, request: Reasoned, licence_id: UUID) -> Answer:
    """Revoke a licence for good."""
    return _licence(licences.revoke(database, caller.tenant_id, licence_id))


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/rotate-key",
    "licences.rotate-key",
    request=KeyRotation,
    answer=NewLicenceAnswer,
    status=200,
    creates=True,
    refuses=(LicenceRevoked,),
)
def rotate_key(caller: Caller, request: KeyRotation, licence_id: UUID) -> Answer:
    """Replace a licence's key; the new one is answered here and never again."""
    return _new_licence(
        licences.rotate_key(database, caller.tenant_id, licence_id, overlap=request.overlap)
    )


@api.operation(
    "GET",
    "/v1/licences/{licence_id}/devices",
    "devices.read",
    query=DeviceQuery,
    answer=DeviceList,
)
def list_devices(caller: Caller, query: DeviceQuery, licence_id: UUID) -> Answer:
    """List a licence's devices, newest first."""
    where = place(query)
    rows = device_queries.list_devices(database, caller.tenant_id, licence_id, query.state, where)
    if not rows:
        licences.get(database, caller.tenant_id, licence_id)
    found = page(rows, where, lambda row: (row.first_seen_at, row.id))
    return DeviceList(items=[_device(row) for row in found.items], next_cursor=found.next_cursor)


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/devices",
    "devices.activate",
    request=DeviceSpec,
    answer=DeviceAnswer,
    creates=True,
    refuses=(
        NoFreeSeat,
        DeviceBlocked,
        LicenceRevoked,
    ),
)
def activate_device(caller: Caller, request: DeviceSpec, licence_id: UUID) -> Response:
    """Activate a device by hand; 200 and no other seat for one that the licence knows."""
    device, is_new = devices.activate_device(database, licence_id, request.as_sent())
    return answer(_device(device), status=201 if is_new else 200)


@api.operation(
    "DELETE",
    "/v1/licences/{licence_id}/devices/{device_id}",
    "devices.release",
    refuses=(DeviceBlocked,),
)
def release_device(caller: Caller, licence_id: UUID, device_id: UUID) -> None:
    """Release a device's seat; it may take one again, unless it is blocked."""
    devices.release_device(database, caller.tenant_id, licence_id, device_id)


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/devices/{device_id}/block",
    "devices.block",
    request=Reasoned,
    answer=DeviceAnswer,
)
def block_device(caller: Caller, request: Reasoned, licence_id: UUID, device_id: UUID) -> Answer:
    """Block a device: its seat is freed and it gets none again."""
    return _device(devices.block_device(database, caller.tenant_id, licence_id, device_id))


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/devices/{device_id}/unblock",
    "devices.unblock",
    request=Reasoned,
    answer=DeviceAnswer,
)
def unblock_device(caller: Caller, request: Reasoned, licence_id: UUID, device_id: UUID) -> Answer:
    """Unblock a device; it has no seat until it takes one."""
    return _device(devices.unblock_device(database, caller.tenant_id, licence_id, device_id))


@api.operation("GET", "/v1/licences/{licence_id}/usage", "usage.read", answer=UsageList)
def list_usage(caller: Caller, licence_id: UUID) -> Answer:
    """What a licence has used of each meter in this period."""
    rows = device_queries.list_usage(database, caller.tenant_id, licence_id)
    if not rows:
        licences.get(database, caller.tenant_id, licence_id)
    return UsageList(
        items=[MeterUsageAnswer.model_validate(row, from_attributes=True) for row in rows]
    )


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/usage/reset",
    "usage.reset",
    request=MeterName,
    answer=MeterUsageAnswer,
)
def reset_usage(caller: Caller, request: MeterName, licence_id: UUID) -> Answer:
    """Begin a meter again at 0."""
    usage = devices.reset_usage(database, caller.tenant_id, licence_id, request.meter)
    return _usage(usage)


def _licence(licence: Licence) -> LicenceAnswer:
    return LicenceAnswer(**_fields(licence))


def _new_licence(new: NewLicence) -> NewLicenceAnswer:
    return NewLicenceAnswer(**_fields(new.licence), key=new.key)


def _fields(licence: Licence) -> dict[str, Any]:
    values = {
        name: getattr(licence, name)
        for name in LicenceAnswer.model_fields
        if name not in ("holder", "granted_entitlements")
    }
    if licence.max_devices == licence_queries.UNLIMITED:
        values["max_devices"] = "unlimited"
    return {
        **values,
        "holder": HolderAnswer(
            name=licence.holder_name,
            email=licence.holder_email,
            reference=licence.holder_reference,
        ),
        "granted_entitlements": sorted({*licence.entitlements, *licence.policy_entitlements}),
    }


def _usage(usage: MeterUsage) -> MeterUsageAnswer:
    return MeterUsageAnswer.model_validate(usage, from_attributes=True)


def _device(device: Device) -> DeviceAnswer:
    return DeviceAnswer.model_validate(device, from_attributes=True)


handler = api.resolve
