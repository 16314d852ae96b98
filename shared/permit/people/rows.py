"""Rows of people: sign-ins, users, API keys, the audit log, exports."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A login attempt that was let in, or how many seconds it must wait.

    Without a password_hash nobody can sign in by this email, and the other columns are empty.
    """

    retry_after: int | None
    is_known_place: bool
    """It has signed in lately: the attempt was counted there alone."""
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
    is_known_place: bool
    email: str
    role: str
    totp_sealed: bytes | None = field(repr=False)
    totp_master_version: str


@dataclass(frozen=True, kw_only=True)
class ProofAdmission:
    """As Admission, for a fresh proof; without a password_hash the token is good no longer."""

    retry_after: int | None
    is_known_place: bool
    password_hash: str | None = field(repr=False)
    totp_sealed: bytes | None = field(repr=False)
    """None where no second factor is in use."""
    totp_master_version: str


@dataclass(frozen=True, kw_only=True)
class RenewedSession:
    tenant_id: UUID
    user_id: UUID
    role: str
    session_version: int
    session_id: UUID
    signed_in_at: datetime
    with_second_factor: bool
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
    status: str
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
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    action: str
    subject_kind: str
    subject_id: UUID
    changes: dict[str, Any]
    reason: str | None
    request_id: str | None
    address: str | None


@dataclass(frozen=True, kw_only=True)
class LinkedUser(User):
    """A user with their new link's expiry; None where they got none."""

    link_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class PasswordAdmission:
    """As Admission, for one's own present password."""

    retry_after: int | None
    is_known_place: bool
    recipe: str = field(repr=False)
    """How the password is hashed: the stored hash with a digest of zeros."""


@dataclass(frozen=True, kw_only=True)
class SealedFactor:
    sealed: bytes = field(repr=False)
    master_version: str
    is_confirmed: bool


@dataclass(frozen=True, kw_only=True)
class EnteredWithToken:
    role: str
    has_second_factor: bool
    must_enrol: bool
    """The tenant requires a second factor, and the user has none."""


@dataclass(frozen=True, kw_only=True)
class EnteredWithKey:
    tenant_id: UUID
    api_key_id: UUID
    role: str
