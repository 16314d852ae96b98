"""POST /v1/licences/check and /release: may this copy run here, now? And: give its seat back."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, model_validator

from permit import licensing
from permit.api import Api, answer
from permit.contracts import Answer, Contract, Day, Entitlement, Name, bounded
from permit.db import Database
from permit.errors import InvalidRequest
from permit.licensing import CheckOutcome
from permit.models import LicenceFacts
from permit.proofs import ProofKeys, prove
from permit.queries.checks import DeviceSent
from permit.settings import CheckSettings
from permit.verdicts import Question

Key = Annotated[str, bounded(1, 256)]
Fingerprint = Annotated[str, bounded(16, 256)]


class DeviceRequest(Contract):
    fingerprint: Fingerprint
    components: (
        Annotated[
            dict[Annotated[str, bounded(1, 64)], Annotated[str, bounded(1, 256)]],
            Field(max_length=16),
        ]
        | None
    ) = None
    name: Name | None = None
    platform: Name | None = None

    def as_sent(self) -> DeviceSent:
        return DeviceSent(
            fingerprint_hash=fingerprint_hash(self.fingerprint),
            components=self.components,
            name=self.name,
            platform=self.platform,
        )


class CheckRequest(Contract):
    key: Key
    product: Annotated[str, bounded(1, 64)] | None = None
    device: DeviceRequest | None = None
    entitlements: Annotated[list[Entitlement], Field(max_length=200)] | None = None
    version_date: Day | None = None
    nonce: Annotated[str, bounded(0, 128)] | None = None


class ReleaseRequest(Contract):
    key: Key
    fingerprint: Fingerprint | None = None
    device_id: Annotated[UUID, Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _names_one_device(self) -> Self:
        if (self.fingerprint is None) == (self.device_id is None):
            raise InvalidRequest(("device_id", "give either fingerprint or device_id"))
        return self


class LicenceAnswer(Answer):
    id: UUID
    product: str
    policy: str
    status: str
    expires_at: datetime | None
    entitlements: list[str]
    max_devices: int | None
    devices_used: int
    metadata: dict[str, Any]


class DeviceAnswer(Answer):
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
    licence: LicenceAnswer | None
    device: DeviceAnswer | None
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
def check() -> Response[str]:
    request = api.read_body(CheckRequest)
    device = None if request.device is None else request.device.as_sent()
    question = Question(
        product=request.product,
        entitlements=frozenset(request.entitlements or ()),
        version_date=request.version_date,
        has_device=device is not None,
    )
    outcome = licensing.check(database, request.key, device, question)
    api.note(code=outcome.verdict.code, valid=outcome.verdict.valid)
    if outcome.facts is not None:
        api.note(tenant_id=str(outcome.facts.tenant_id), licence_id=str(outcome.facts.licence_id))
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
def release() -> Response[str]:
    request = api.read_body(ReleaseRequest)
    outcome = licensing.release(
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


def fingerprint_hash(fingerprint: str) -> bytes:
    """What is stored of a fingerprint, and what a proof's `dev` says of it."""
    return hashlib.sha256(fingerprint.encode()).digest()


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
        return CheckAnswer(**fields)
    return FullAnswer(**fields, devices=[SeatedDevice(**seat) for seat in facts.seated_devices])


def _licence_answer(facts: LicenceFacts) -> LicenceAnswer:
    return LicenceAnswer(
        id=facts.licence_id,
        product=facts.product,
        policy=facts.policy,
        status=facts.status,
        expires_at=facts.expires_at,
        entitlements=facts.entitlements,
        max_devices=facts.max_devices,
        devices_used=facts.devices_used,
        metadata=facts.metadata,
    )


def _device_answer(facts: LicenceFacts) -> DeviceAnswer | None:
    if facts.device_id is None or facts.device_state is None:
        return None
    assert facts.first_seen_at is not None  # noqa: S101 (columns of the same row)
    assert facts.last_seen_at is not None  # noqa: S101
    return DeviceAnswer(
        id=facts.device_id,
        state=facts.device_state,
        first_seen_at=facts.first_seen_at,
        last_seen_at=facts.last_seen_at,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
