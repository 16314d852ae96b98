"""What the service takes and answers: the fields of functions/licence_check/app.py."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from permit.contracts import Contract, Entitlement, Name, bounded


class DeviceRequest(Contract):
    fingerprint: Annotated[str, bounded(16, 256)]
    components: (
        Annotated[
            dict[Annotated[str, bounded(1, 64)], Annotated[str, bounded(1, 256)]],
            Field(max_length=16),
        ]
        | None
    ) = None
    name: Name | None = None
    platform: Name | None = None


class CheckRequest(Contract):
    key: Annotated[str, bounded(1, 256)]
    product: Annotated[str, bounded(1, 64)] | None = None
    device: DeviceRequest | None = None
    entitlements: Annotated[list[Entitlement], Field(max_length=200, default_factory=list)]
    version_date: Annotated[date, Field(strict=False)] | None = None
    version: Annotated[str, bounded(1, 64)] | None = None
    nonce: Annotated[str, bounded(0, 128)] | None = None


class LicenceAnswer(BaseModel):
    id: UUID
    product: str
    policy: str
    status: str
    expires_at: datetime | None
    entitlements: list[str]
    max_devices: int | None
    devices_used: int
    metadata: dict[str, Any]


class DeviceAnswer(BaseModel):
    id: UUID
    state: str
    first_seen_at: datetime
    last_seen_at: datetime


class CheckAnswer(BaseModel):
    valid: bool
    code: str
    detail: str
    checked_at: datetime
    next_check_at: datetime
    nonce: str | None
    licence: LicenceAnswer | None
    device: DeviceAnswer | None
    proof: str | None
