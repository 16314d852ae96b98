"""/v1/licences: issue, find, change, renew and end licences; their devices and their usage."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from permit.check.device_spec import DeviceSpec, LicenceKey
from permit.contracts import (
    LEFT_OUT,
    Answer,
    Contract,
    Entitlement,
    Id,
    Instant,
    Items,
    Name,
    Overlap,
    Reasoned,
    Term,
    answer_of,
    bounded,
    changes_of,
)
from permit.db import Database
from permit.edge.api import answer
from permit.edge.operations import VendorApi
from permit.edge.payload import Context, Response
from permit.errors import AnswerTooLarge, InvalidRequest, NotFound
from permit.folding import fold
from permit.licences import devices, licences
from permit.licences.queries import devices as device_queries
from permit.licences.queries import licences as licence_queries
from permit.licences.queries.licences import LicenceFilter
from permit.licences.refusals import (
    DeviceBlocked,
    LicenceEndMoved,
    LicenceNotStarted,
    LicencePerpetual,
    LicenceRevoked,
    NoFreeSeat,
    PolicyWithoutDuration,
    ProductArchived,
)
from permit.licences.rows import Device, Licence, MeterUsage, Status
from permit.licences.terms import Holder, LicenceRequest, LicenceTerms, MeterAnswer
from permit.paging import PageAnswer, PageQuery, page, place
from permit.people.callers import Caller
from permit.security import licence_keys
from permit.settings import VendorSettings
from permit.sizes import how_many_fit

_MOST_IN_A_BATCH = 1_000


class Batch(Contract):
    largest_body = 1024 * 1024

    licences: Annotated[list[LicenceRequest], Items(1, _MOST_IN_A_BATCH)]
    """The licences to issue: all of them, or none if one cannot be issued, or if their answer
    would have more than 5 MB."""


class PolicyMove(Reasoned):
    policy_id: Id = LEFT_OUT
    """The id of another policy of the same product; its rules apply from then on."""
    term: Literal["keep", "restart", "extend"] = LEFT_OUT
    """What becomes of the licence's end at the move; left out, it is `keep`: the end stays, or
    stays away. `restart`: the new policy's `duration` from now, or from a start yet to come.
    `extend`: that `duration` more, as a renewal adds it. With both, a policy without `duration`
    takes the end away, and a licence that waits for its first check gets its end with that. The
    present policy is no move: then nothing becomes of the end."""


class LicenceChange(changes_of(LicenceTerms, PolicyMove)):
    """What is left out stays; null removes a limit, an end or a note."""

    starts_at: Instant = LEFT_OUT  # a start can be moved, not removed
    """When the licence begins. One that has waited for its first check then ends by its policy's
    `duration`, counted from here, unless it has an end or gets one in the same change."""
    expires_at: Instant | None = LEFT_OUT
    """When the licence ends. Null: it has no end, if it has a start already."""

    def given(self) -> dict[str, Any]:
        """What is to be changed, by name."""
        return self.model_dump(exclude_unset=True, exclude={"reason"})

    @model_validator(mode="after")
    def _has_one_end(self) -> Self:
        if "term" in self.model_fields_set and "policy_id" not in self.model_fields_set:
            raise InvalidRequest(("term", "is about a move: give policy_id too"))
        if self.term in ("restart", "extend"):
            for name in ("starts_at", "expires_at"):
                if name in self.model_fields_set:
                    raise InvalidRequest((name, f'give either this or the term "{self.term}"'))
        return self


class Renewal(Reasoned):
    duration: Term | None = None
    """For how long, from the licence's end. Months count from the term's first day: from 31 January
    they end on 28 February, 31 March, 30 April. A renewal after the end counts from there too while
    the licence works (in its grace, or where `on_expiry` is not `block`), or has been blocked for
    at most a tenth of the duration, and at most a week. Later, or if that end would be past as
    well, it counts from now. Null: for the policy's `duration`."""
    expires_at: Instant | None = None
    """The new end, in place of a duration; not before the present end. Null: by the duration."""
    known_end: Instant | None = Field(default=None, alias="from")
    """The licence's end as the caller knows it, to the second. If it has moved since, the renewal
    is refused with 409 `licence_end_moved`: of two renewals for the same payment, one counts. Null:
    the licence is renewed whatever its end is."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.duration is not None and self.expires_at is not None:
            raise InvalidRequest(("expires_at", "give either duration or expires_at"))
        return self


class KeyRotation(Reasoned):
    overlap: Overlap = "PT0S"
    """For how long the old key still works."""


class Transfer(Reasoned):
    holder: Holder
    """The new holder, in place of the present one, whole. What the devices are called is forgotten
    with the present one; `notes` and `metadata` stay."""
    release_devices: bool = False
    """Whether all seats are given back; blocked devices stay blocked."""
    rotate_key: bool = False
    """Whether the licence gets a new key, since the present holder knows the old one."""
    overlap: Overlap = "PT0S"
    """With `rotate_key`, for how long the old key still works."""

    @model_validator(mode="after")
    def _overlaps_a_new_key(self) -> Self:
        if "overlap" in self.model_fields_set and not self.rotate_key:
            raise InvalidRequest(("overlap", "is about a new key: give rotate_key too"))
        return self


class KeyRequest(Contract):
    key: LicenceKey
    """The licence key, current or replaced. Case, width, dashes, blanks and the look-alikes
    I, L and O do not matter."""


class LicenceQuery(PageQuery):
    product: Name | None = None
    """Only licences of this product: its code or its id."""
    policy_id: Id | None = None
    """Only licences of this policy."""
    status: Status | None = None
    """Only licences with this status now."""
    holder: Name | None = None
    """Only licences with a holder whose name, email or reference begins with this, in any case."""
    expires_before: Instant | None = None
    """Only licences that end before this time."""
    key_hint: Annotated[str, bounded(1, 30)] | None = None
    """Only licences with these last five symbols of the key, in any case."""
    q: Name | None = None
    """Only licences with this anywhere in the holder's name, email or reference or in the key's
    last five symbols, in any case."""

    def as_filter(self) -> LicenceFilter:
        given = self.model_dump(exclude={"limit", "cursor", "holder", "key_hint", "q"})
        return LicenceFilter(
            **given,
            holder=self.holder and fold(self.holder),
            key_hint=self.key_hint and licence_keys.read(self.key_hint),
            q=self.q and fold(self.q),
        )


class DeviceQuery(PageQuery):
    state: Literal["seated", "lapsed", "released", "blocked"] | None = None
    """Only devices in this state."""


class MeterName(Reasoned):
    meter: Entitlement
    """The name of the meter to set back to 0."""


class HolderAnswer(Answer):
    name: str | None
    email: str | None
    reference: str | None


class LicenceAnswer(answer_of(Licence)):
    holder: HolderAnswer
    meters: list[MeterAnswer] | None


class NewLicenceAnswer(LicenceAnswer):
    key: str
    """The licence key. Shown this once: only its hash is kept."""


class TransferAnswer(LicenceAnswer):
    key: str | None
    """The new key, if one was asked for. Shown this once: only its hash is kept."""


class BatchAnswer(Answer):
    licences: list[NewLicenceAnswer]
    """The licences in the order in which they were sent."""


class DeviceAnswer(answer_of(Device)):
    pass


class MeterUsageAnswer(answer_of(MeterUsage)):
    pass


class UsageList(Answer):
    items: list[MeterUsageAnswer]
    """Every meter of the licence, by name."""


class LicenceList(PageAnswer):
    items: list[LicenceAnswer]


class DeviceList(PageAnswer):
    items: list[DeviceAnswer]


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
    return NewLicenceAnswer.of(licences.issue(database, caller.tenant_id, request))


@api.operation(
    "POST",
    "/v1/licences/batch",
    "licences.issue",
    request=Batch,
    answer=BatchAnswer,
    creates=True,
    refuses=(AnswerTooLarge,),
)
def issue_batch(caller: Caller, request: Batch) -> Answer:
    """Issue up to 1,000 licences, all or none."""
    new = licences.issue_all(database, caller.tenant_id, request.licences)
    most = how_many_fit(new)
    if most < len(new):
        raise AnswerTooLarge("licences", most)
    return BatchAnswer(licences=[NewLicenceAnswer.of(each) for each in new])


@api.operation("GET", "/v1/licences", "licences.list", query=LicenceQuery, answer=LicenceList)
def list_licences(caller: Caller, query: LicenceQuery) -> Answer:
    """List licences, newest first; the parameters narrow the list."""
    where = place(query)
    rows = licence_queries.list_licences(database, caller.tenant_id, query.as_filter(), where)
    return LicenceList.of(page(rows, where, lambda row: (row.created_at, row.id)))


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
    return LicenceAnswer.of(licences.look_up(database, caller.tenant_id, request.key))


@api.operation("GET", "/v1/licences/{licence_id}", "licences.read", answer=LicenceAnswer)
def get_licence(caller: Caller, licence_id: UUID) -> Answer:
    """Get a licence."""
    return LicenceAnswer.of(licences.get(database, caller.tenant_id, licence_id))


@api.operation(
    "PATCH",
    "/v1/licences/{licence_id}",
    "licences.change",
    request=LicenceChange,
    answer=LicenceAnswer,
)
def change_licence(caller: Caller, request: LicenceChange, licence_id: UUID) -> Answer:
    """Change a licence; the change applies from the next check."""
    return LicenceAnswer.of(
        licences.change(database, caller.tenant_id, licence_id, request.given())
    )


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
    return LicenceAnswer.of(licences.suspend(database, caller.tenant_id, licence_id))


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
    return LicenceAnswer.of(licences.reinstate(database, caller.tenant_id, licence_id))


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
        LicenceEndMoved,
        PolicyWithoutDuration,
    ),
)
def renew_licence(caller: Caller, request: Renewal, licence_id: UUID) -> Answer:
    """Renew a licence; with `from`, only if its end has not moved since."""
    return LicenceAnswer.of(
        licences.renew(
            database,
            caller.tenant_id,
            licence_id,
            duration=request.duration,
            expires_at=request.expires_at,
            known_end=request.known_end,
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
    return LicenceAnswer.of(licences.revoke(database, caller.tenant_id, licence_id))


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
    return NewLicenceAnswer.of(
        licences.rotate_key(database, caller.tenant_id, licence_id, overlap=request.overlap)
    )


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/transfer",
    "licences.transfer",
    request=Transfer,
    answer=TransferAnswer,
    status=200,
    creates=True,
    refuses=(LicenceRevoked,),
)
def transfer_licence(caller: Caller, request: Transfer, licence_id: UUID) -> Answer:
    """Give a licence to another holder; a new key is answered here and never again."""
    return TransferAnswer.of(
        licences.transfer(
            database,
            caller.tenant_id,
            licence_id,
            holder=request.holder.model_dump(),
            release_devices=request.release_devices,
            overlap=request.overlap if request.rotate_key else None,
        )
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
    return DeviceList.of(page(rows, where, lambda row: (row.first_seen_at, row.id)))


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
    """Activate a device by hand; a device that has a seat keeps it, with 200."""
    seating = devices.activate_device(database, licence_id, request.as_sent())
    return answer(DeviceAnswer.of(seating), status=201 if seating.is_new else 200)


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
    """Block a device: its seat is freed and it gets none until it is unblocked."""
    return DeviceAnswer.of(devices.block_device(database, caller.tenant_id, licence_id, device_id))


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/devices/{device_id}/unblock",
    "devices.unblock",
    request=Reasoned,
    answer=DeviceAnswer,
)
def unblock_device(caller: Caller, request: Reasoned, licence_id: UUID, device_id: UUID) -> Answer:
    """Unblock a device; it has no seat until it takes one."""
    return DeviceAnswer.of(
        devices.unblock_device(database, caller.tenant_id, licence_id, device_id)
    )


@api.operation("GET", "/v1/licences/{licence_id}/usage", "usage.read", answer=UsageList)
def list_usage(caller: Caller, licence_id: UUID) -> Answer:
    """What a licence has used of each meter in this period."""
    rows = device_queries.list_usage(database, caller.tenant_id, licence_id)
    if not rows:
        licences.get(database, caller.tenant_id, licence_id)
    return UsageList(items=[MeterUsageAnswer.of(row) for row in rows])


@api.operation(
    "POST",
    "/v1/licences/{licence_id}/usage/reset",
    "usage.reset",
    request=MeterName,
    answer=MeterUsageAnswer,
)
def reset_usage(caller: Caller, request: MeterName, licence_id: UUID) -> Answer:
    """Set a meter back to 0."""
    return MeterUsageAnswer.of(
        devices.reset_usage(database, caller.tenant_id, licence_id, request.meter)
    )


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
