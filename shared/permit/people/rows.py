"""Rows of people: sign-ins, users, API keys, the audit log, exports.

User, ApiKey and AuditEvent are answered as they are: each field is public.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A login attempt that was let in, or how many seconds it must wait.

    Without a password_hash nobody can sign in by this email, and the other columns are empty.
    """

    retry_after: int | None
    password_hash: str | None = field(repr=False)
    tenant_id: UUID
    user_id: UUID
    role: str
    session_version: int
    has_second_factor: bool


@dataclass(frozen=True, kw_only=True)
class SecondFactorAdmission:
    """As Admission, for the second step; without a totp_sealed it cannot be passed."""

    retry_after: int | None
    email: str
    role: str
    totp_sealed: bytes | None = field(repr=False)
    totp_master_version: str


@dataclass(frozen=True, kw_only=True)
class RenewedSession:
    tenant_id: UUID
    user_id: UUID
    role: str
    session_version: int
    is_reused: bool
    """The token was replayed: the session has ended by it."""


@dataclass(frozen=True, kw_only=True)
class Account:
    tenant_id: UUID
    user_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedRow:
    """A row of an export, and what the next page begins after."""

    id: UUID
    item: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class User:
    id: UUID
    email: str
    name: str | None
    role: str
    status: Literal["invited", "active", "deactivated"]
    has_second_factor: bool
    created_at: datetime
    deactivated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    id: UUID
    name: str
    role: str
    key_hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    id: UUID
    occurred_at: datetime
    actor: dict[str, str | None]
    action: str
    subject: dict[str, str]
    changes: dict[str, Any]
    reason: str | None
    request_id: str | None
    address: str | None


@dataclass(frozen=True, kw_only=True)
class LinkedUser(User):
    """With until when his new link is good; None where he got none."""

    link_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ProofOfSelf:
    retry_after: int | None
    email: str | None
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SealedFactor:
    sealed: bytes = field(repr=False)
    master_version: str
    is_confirmed: bool
    used_step: int | None
    email: str


@dataclass(frozen=True, kw_only=True)
class EnteredWithKey:
    tenant_id: UUID
    api_key_id: UUID
    role: str
