"""POST /v1/licences/check, /release, /usage: may this copy run here? Seats and metered usage."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from permit.check import check as checks
from permit.check import usage
from permit.check.check import CheckOutcome
from permit.check.device_spec import DeviceSpec, Fingerprint, LicenceKey, fingerprint_hash
from permit.check.facts import LicenceFacts
from permit.check.proofs import ProofKeys, next_check_at, prove, prove_usage
from permit.check.usage import UsageSent
from permit.check.verdicts import MISTYPED, Question
from permit.contracts import Answer, Contract, Day, Entitlement, Id, Items, bounded
from permit.db import Database
from permit.edge.api import Api, answer
from permit.edge.payload import Context, Response
from permit.errors import InvalidRequest
from permit.settings import CheckSettings


class CheckRequest(Contract):
    key: LicenceKey
    """The licence key. Case, width, dashes, blanks and the look-alikes I, L and O do not matter."""
    product: Annotated[str, bounded(1, 64)] | None = None
    """The code of the product that asks; a licence for another product answers
    `PRODUCT_MISMATCH`. Null: not compared."""
    device: DeviceSpec | None = None
    """The machine that asks; it takes a seat if it has none and the policy gives it one. Null:
    no machine, which most policies refuse with `DEVICE_REQUIRED`."""
    entitlements: Annotated[list[Entitlement], Items(0, 200)] | None = None
    """The features that this run needs: the licence must grant every one. Null: none are needed."""
    version_date: Day | None = None
    """When this version of the program was built, for licences that cover versions up to their
    end. Null: unknown, which such a licence refuses after its end."""
    version: Annotated[str, bounded(1, 64)] | None = None
    """The program's own version, such as `4.2.1`. It decides nothing: it is kept with the device,
    for the vendor. Null: the known one stays."""
    nonce: Annotated[str, bounded(0, 128)] | None = None
    """Returned in the answer and in the proof, so that an old proof cannot replace a new one.
    Null: none."""


class ReleaseRequest(Contract):
    key: LicenceKey
    """The licence key. Case, width, dashes, blanks and the look-alikes I, L and O do not matter."""
    fingerprint: Fingerprint | None = None
    """The fingerprint of the device that gives its seat back, as the check had it. Null:
    `device_id` names the device."""
    device_id: Id | None = None
    """The id of the device that gives its seat back, as answered by a check. Null: `fingerprint`
    names the device."""

    @model_validator(mode="after")
    def _names_one_device(self) -> Self:
        if (self.fingerprint is None) == (self.device_id is None):
            raise InvalidRequest(("device_id", "give either fingerprint or device_id"))
        return self


class UsageRequest(Contract):
    key: LicenceKey
    """The licence key. Case, width, dashes, blanks and the look-alikes I, L and O do not matter."""
    meter: Entitlement
    """The name of the meter, in the policy or the licence."""
    quantity: Annotated[int, Field(ge=1, le=10**12)] = 1
    """How much is used, in the meter's own unit."""
    idempotency_key: Annotated[str, bounded(1, 128)] | None = None
    """The program makes it up for one usage; sent again within 24 hours, the usage counts once.
    Null: every request counts."""
    product: Annotated[str, bounded(1, 64)] | None = None
    """The code of the product that asks; a licence for another product answers
    `PRODUCT_MISMATCH`. Null: not compared."""
    version_date: Day | None = None
    """When this version of the program was built, for licences that cover versions up to their
    end. Null: unknown, which such a licence refuses after its end."""
    nonce: Annotated[str, bounded(0, 128)] | None = None
    """Returned in the answer and in the proof, so that an old proof cannot replace a new one.
    Null: none."""


class UsageAnswer(Answer):
    valid: bool
    """Whether the licence is in force; whether this much may be used is `allowed`."""
    code: str
    """The verdict: one of the check's, `METER_UNKNOWN` or `LIMIT_REACHED`. Programs decide by
    it; codes are only ever added."""
    detail: str
    """The verdict in a sentence, for people."""
    allowed: bool
    """Whether this much may be used, and was counted."""
    used: int | None
    """How much of the meter is used in this period. Null: nothing was looked up, as the licence
    is not in force or has no such meter."""
    limit: int | None
    """How much may be used in this period. Null: no limit, or nothing was looked up."""
    resets_at: datetime | None
    """When the count begins again at 0. Null: never, or nothing was looked up."""
    nonce: str | None
    """The `nonce` as it was sent; null where none was."""
    proof: str | None
    """The answer, signed: a compact JWS that verifies with the tenant's public keys. Null where
    no licence has the key. It is valid for ten minutes."""


class UnknownKeyUsage(UsageAnswer):
    """With NOT_FOUND."""

    mistyped: bool
    """Whether the key has a typing error, as its check symbols do not fit, or is no key at all;
    false where it could be one, and no licence has it."""


class CheckedLicence(Answer):
    id: UUID
    """The licence's id."""
    product: str
    """The code of the licence's product."""
    policy: str
    """The name of the licence's policy."""
    status: str
    """`not_started`, `active`, `grace`, `expired`, `suspended` or `revoked`."""
    expires_at: datetime | None
    """When the licence ends. Null: it has no end, or has not begun."""
    entitlements: list[str]
    """All features that the licence grants, its policy's and its own."""
    max_devices: int | None
    """How many devices may have a seat at the same time. Null: no limit."""
    devices_used: int
    """How many devices have a seat; exact to 1,000, or to the limit where that is more."""
    metadata: dict[str, Any]
    """What the vendor's program should know about the licence, as the vendor has set it."""


class CheckedDevice(Answer):
    id: UUID
    """The device's id, by which it can be released."""
    state: str
    """`seated`, `lapsed` (its floating seat ran out), `released` or `blocked`."""
    first_seen_at: datetime
    """When the licence first saw the device."""
    last_seen_at: datetime
    """When the device last checked, exact to five minutes."""


class SeatedDevice(Answer):
    id: UUID
    """The device's id, by which it can be released."""
    name: str | None
    """What people call the machine. Null: not known."""
    platform: str | None
    """What the machine runs. Null: not known."""
    last_seen_at: datetime
    """When the device last checked, exact to five minutes."""


class CheckAnswer(Answer):
    valid: bool
    """Whether the program may run."""
    code: str
    """The verdict, such as `VALID`, `EXPIRED` or `TOO_MANY_DEVICES`. Programs decide by it;
    codes are only ever added."""
    detail: str
    """The verdict in a sentence, for people."""
    checked_at: datetime
    """When the check was decided, by the database's clock."""
    next_check_at: datetime
    """When the program should ask again; after a valid check that is before its proof ends."""
    nonce: str | None
    """The `nonce` as it was sent; null where none was."""
    licence: CheckedLicence | None
    """The licence. Null where no licence has the key, or the key was replaced."""
    device: CheckedDevice | None
    """The device. Null where none was named, this licence does not know it, or the key was
    replaced."""
    proof: str | None
    """The answer, signed: a compact JWS that verifies with the tenant's public keys. Null where
    no licence has the key. After a valid check it is valid for the policy's `lease`, or less if
    the licence, the seat or the overlap of a replaced key ends earlier; otherwise for ten
    minutes."""


class UnknownKeyAnswer(CheckAnswer):
    """With NOT_FOUND."""

    mistyped: bool
    """Whether the key has a typing error, as its check symbols do not fit, or is no key at all;
    false where it could be one, and no licence has it."""


class FullAnswer(CheckAnswer):
    """With TOO_MANY_DEVICES, where the policy's `self_service` is on."""

    devices: list[SeatedDevice]
    """The devices that have the seats, so that one can be released: at most 100, longest unused
    first."""


class ReleaseAnswer(Answer):
    released: bool
    """Whether the device has given its seat back just now."""
    code: str
    """`RELEASED`, `NOT_ACTIVATED` (the device has no seat), `RELEASE_LIMIT` (the policy's
    `max_releases` are used up) or `NOT_FOUND` (no licence has the key)."""
    devices_used: int | None
    """How many devices have a seat now, with those that were given back and are not yet free.
    Null where no licence has the key."""
    available_at: datetime | None
    """With `RELEASE_LIMIT`: when the next release will be possible; null if never. Null with any
    other code."""
    seat_free_at: datetime | None
    """When another device can have the seat that was given back: a floating seat waits for the
    end of its last proof if that is more than 15 minutes away. Null: at once, or the device has
    given none back."""


class UnknownKeyRelease(ReleaseAnswer):
    """With NOT_FOUND."""

    mistyped: bool
    """Whether the key has a typing error, as its check symbols do not fit, or is no key at all;
    false where it could be one, and no licence has it."""


settings = CheckSettings.from_environment()
database = Database(settings)
proof_keys = ProofKeys(settings.master_keys)
api = Api(database, settings.origin_secret)


@api.post("/v1/licences/check")
def check() -> Response:
    """May this copy run here, now? 200 whatever the verdict, with a signed proof of it."""
    request = api.read_body(CheckRequest)
    device = None if request.device is None else request.device.as_sent(request.version)
    question = Question(
        product=request.product,
        entitlements=frozenset(request.entitlements or ()),
        version_date=request.version_date,
        has_device=device is not None,
    )
    outcome = checks.check(database, request.key, device, question)
    api.note(code=outcome.verdict.code, valid=outcome.verdict.valid)
    if outcome.facts is not None:
        api.note(tenant_id=outcome.facts.tenant_id, licence_id=outcome.facts.licence_id)
    proof = prove(
        proof_keys,
        outcome,
        product=request.product,
        device=device,
        version_date=request.version_date,
        nonce=request.nonce,
        base_url=api.base_url(settings.public_url),
    )
    return answer(_check_answer(outcome, request.nonce, proof))


@api.post("/v1/licences/release")
def release() -> Response:
    """Give a device's seat back, by the holder of the key."""
    request = api.read_body(ReleaseRequest)
    outcome = checks.release(
        database,
        request.key,
        None if request.fingerprint is None else fingerprint_hash(request.fingerprint),
        request.device_id,
    )
    api.note(code=outcome.code)
    released = ReleaseAnswer(
        released=outcome.code == "RELEASED",
        code=outcome.code,
        devices_used=outcome.devices_used,
        available_at=outcome.available_at,
        seat_free_at=outcome.seat_free_at,
    )
    if outcome.code == "NOT_FOUND":
        released = UnknownKeyRelease(**released.model_dump(), mistyped=outcome.mistyped)
    return answer(released)


@api.post("/v1/licences/usage")
def use() -> Response:
    """Use a quantity of a meter, if the licence is in force and the limit allows it."""
    request = api.read_body(UsageRequest)
    outcome = usage.use(
        database,
        request.key,
        UsageSent(
            meter=request.meter,
            quantity=request.quantity,
            idempotency_key=request.idempotency_key,
        ),
        Question(product=request.product, version_date=request.version_date),
    )
    api.note(code=outcome.verdict.code, valid=outcome.verdict.valid)
    if outcome.facts is not None:
        api.note(tenant_id=outcome.facts.tenant_id, licence_id=outcome.facts.licence_id)
    proof = prove_usage(
        proof_keys,
        outcome,
        meter=request.meter,
        product=request.product,
        version_date=request.version_date,
        nonce=request.nonce,
        base_url=api.base_url(settings.public_url),
    )
    used = UsageAnswer(
        valid=outcome.verdict.valid,
        code=outcome.verdict.code,
        detail=outcome.verdict.detail,
        allowed=outcome.allowed,
        used=outcome.used,
        limit=outcome.limit,
        resets_at=outcome.resets_at,
        nonce=request.nonce,
        proof=proof,
    )
    if outcome.facts is None:
        used = UnknownKeyUsage(**used.model_dump(), mistyped=outcome.verdict is MISTYPED)
    return answer(used)


def _check_answer(outcome: CheckOutcome, nonce: str | None, proof: str | None) -> CheckAnswer:
    verdict, facts = outcome.verdict, outcome.told
    fields: dict[str, Any] = {
        "valid": verdict.valid,
        "code": verdict.code,
        "detail": verdict.detail,
        "checked_at": outcome.checked_at,
        "next_check_at": next_check_at(outcome),
        "nonce": nonce,
        "licence": None if facts is None else _licence_answer(facts),
        "device": None if facts is None else _device_answer(facts),
        "proof": proof,
    }
    if outcome.facts is None:
        return UnknownKeyAnswer.model_validate({**fields, "mistyped": verdict is MISTYPED})
    if verdict.code != "TOO_MANY_DEVICES" or facts is None or facts.seated_devices is None:
        return CheckAnswer.model_validate(fields)
    return FullAnswer.model_validate({**fields, "devices": facts.seated_devices})


def _licence_answer(facts: LicenceFacts) -> dict[str, Any]:
    """The members of CheckedLicence."""
    return {
        "id": facts.licence_id,
        "product": facts.product,
        "policy": facts.policy,
        "status": facts.status,
        "expires_at": facts.expires_at,
        "entitlements": facts.entitlements,
        "max_devices": facts.max_devices,
        "devices_used": facts.devices_used,
        "metadata": facts.metadata,
    }


def _device_answer(facts: LicenceFacts) -> dict[str, Any] | None:
    """The members of CheckedDevice."""
    if facts.device_id is None:
        return None
    return {
        "id": facts.device_id,
        "state": facts.device_state,
        "first_seen_at": facts.first_seen_at,
        "last_seen_at": facts.last_seen_at,
    }


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
