"""POST /v1/licences/check, /release, /usage: may this copy run here? Its seat back; its use."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from permit.check import check as checks
from permit.check import usage
from permit.check.check import CheckOutcome
from permit.check.device_spec import DeviceSpec, Fingerprint, LicenceKey, fingerprint_hash
from permit.check.facts import LicenceFacts
from permit.check.proofs import ProofKeys, prove, prove_usage
from permit.check.usage import UsageSent
from permit.check.verdicts import Question
from permit.contracts import Answer, Contract, Day, Entitlement, bounded
from permit.db import Database
from permit.edge.api import Api, answer
from permit.edge.payload import Response
from permit.errors import InvalidRequest
from permit.settings import CheckSettings


class CheckRequest(Contract):
    key: LicenceKey
    product: Annotated[str, bounded(1, 64)] | None = None
    device: DeviceSpec | None = None
    entitlements: Annotated[list[Entitlement], Field(max_length=200)] | None = None
    version_date: Day | None = None
    nonce: Annotated[str, bounded(0, 128)] | None = None


class ReleaseRequest(Contract):
    key: LicenceKey
    fingerprint: Fingerprint | None = None
    device_id: Annotated[UUID, Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _names_one_device(self) -> Self:
        if (self.fingerprint is None) == (self.device_id is None):
            raise InvalidRequest(("device_id", "give either fingerprint or device_id"))
        return self


class UsageRequest(Contract):
    key: LicenceKey
    meter: Entitlement
    quantity: Annotated[int, Field(ge=1, le=10**12)] = 1
    idempotency_key: Annotated[str, bounded(1, 128)] | None = None
    """Of a usage that may be sent again: within 24 hours it counts once."""
    product: Annotated[str, bounded(1, 64)] | None = None
    version_date: Day | None = None
    nonce: Annotated[str, bounded(0, 128)] | None = None


class UsageAnswer(Answer):
    valid: bool
    """Whether the licence is in force; whether this much may be used is `allowed`."""
    code: str
    detail: str
    allowed: bool
    used: int | None
    limit: int | None
    resets_at: datetime | None
    nonce: str | None
    proof: str | None


class CheckedLicence(Answer):
    id: UUID
    product: str
    policy: str
    status: str
    expires_at: datetime | None
    entitlements: list[str]
    max_devices: int | None
    devices_used: int
    metadata: dict[str, Any]


class CheckedDevice(Answer):
    id: UUID
    state: str
    first_seen_at: datetime
    last_seen_at: datetime


class SeatedDevice(Answer):
    id: UUID
    name: str | None
    platform: str | None
    last_seen_at: datetime


class CheckAnswer(Answer):
    valid: bool
    code: str
    detail: str
    checked_at: datetime
    nonce: str | None
    licence: CheckedLicence | None
    device: CheckedDevice | None
    proof: str | None


class FullAnswer(CheckAnswer):
    """With TOO_MANY_DEVICES, where the policy lets the key's holder help himself."""

    devices: list[SeatedDevice]


class ReleaseAnswer(Answer):
    released: bool
    code: str
    devices_used: int | None
    available_at: datetime | None


settings = CheckSettings.from_environment()
database = Database(settings)
proof_keys = ProofKeys(settings.master_keys)
api = Api(database, settings.origin_secret)


@api.post("/v1/licences/check")
def check() -> Response:
    """May this copy run here, now? 200 whatever the verdict, with a proof of it."""
    request = api.read_body(CheckRequest)
    device = None if request.device is None else request.device.as_sent()
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
    return answer(
        ReleaseAnswer(
            released=outcome.code == "RELEASED",
            code=outcome.code,
            devices_used=outcome.devices_used,
            available_at=outcome.available_at,
        )
    )


@api.post("/v1/licences/usage")
def use() -> Response:
    """Use so much of a meter, if the licence is in force and its limit allows it."""
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
        nonce=request.nonce,
        base_url=api.base_url(settings.public_url),
    )
    return answer(
        UsageAnswer(
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
    )


def _check_answer(outcome: CheckOutcome, nonce: str | None, proof: str | None) -> CheckAnswer:
    verdict, facts = outcome.verdict, outcome.facts
    fields: dict[str, Any] = {
        "valid": verdict.valid,
        "code": verdict.code,
        "detail": verdict.detail,
        "checked_at": outcome.checked_at,
        "nonce": nonce,
        "licence": None if facts is None else _licence_answer(facts),
        "device": None if facts is None else _device_answer(facts),
        "proof": proof,
    }
    if facts is None or verdict.code != "TOO_MANY_DEVICES" or facts.seated_devices is None:
        return CheckAnswer.model_validate(fields)
    return FullAnswer.model_validate({**fields, "devices": facts.seated_devices})


def _licence_answer(facts: LicenceFacts) -> dict[str, Any]:
    """As CheckedLicence, which reads it."""
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
    """As CheckedDevice, which reads it."""
    if facts.device_id is None:
        return None
    return {
        "id": facts.device_id,
        "state": facts.device_state,
        "first_seen_at": facts.first_seen_at,
        "last_seen_at": facts.last_seen_at,
    }


handler = api.resolve
