"""Rows of people: sign-ins, users, API keys, the audit log, exports.

Tenant, User, ApiKey and AuditEvent are answered as they are: each field is public.
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


@dataclass(frozen=True, kw_only=True)
class Tenant:
    id: UUID
    """The tenant's id."""
    name: str
    """What the tenant is called; the operator gave it the name."""
    created_at: datetime
    """When the tenant was made."""
    requires_second_factor: bool
    """Whether all the tenant's people need a second factor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedRow:
    """A row of an export, and what the next page begins after."""

    id: UUID
    item: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class User:
    id: UUID
    """The user's id."""
    email: str
    """The email that the person signs in with."""
    name: str | None
    """The person's name. Null: none is known."""
    role: str
    """`owner`, `admin` or `support`."""
    status: Literal["invited", "active", "deactivated"]
    """`invited` until the invitation is accepted, then `active`, or `deactivated`."""
    has_second_factor: bool
    """Whether signing in asks for a second factor."""
    created_at: datetime
    """When the user was made."""
    deactivated_at: datetime | None
    """Since when the user is deactivated. Null: they are not."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    id: UUID
    """The key's id."""
    name: str
    """What people call the key."""
    role: str
    """`admin`, `support` or `issuer`."""
    key_hint: str
    """The last five characters of the key, to tell keys apart."""
    created_at: datetime
    """When the key was made."""
    expires_at: datetime | None
    """Until when the key works. Null: until it is revoked."""
    last_used_at: datetime | None
    """When the key was last used, exact to five minutes. Null: never."""
    revoked_at: datetime | None
    """When the key was revoked. Null: it was not."""


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    id: UUID
    """The event's id."""
    occurred_at: datetime
    """When it happened."""
    actor: dict[str, str | None]
    action: str
    """What was done: an action of the table of roles, or an operator's command."""
    subject: dict[str, str]
    licence_id: UUID | None
    """The licence that it was done to, or to a device of. Null: to something else."""
    product_id: UUID | None
    """The product that it was done to, or to a policy of. Null: to something else."""
    changes: dict[str, Any]
    """By field, as requests and answers call it (`holder.email` is the holder's): its value before
    (`from`) and after (`to`), or neither where it is personal or secret."""
    reason: str | None
    """Why, as the request said. Null: it did not say."""
    request_id: str | None
    """The id of the request, as its answer and the log have it. Null for an operator."""
    address: str | None
    """From which network address. Null for an operator, and after 90 days for everyone."""


@dataclass(frozen=True, kw_only=True)
class LinkedUser(User):
    """A user with their new link's expiry; None where they got none."""

    link_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LinkOwner:
    """Whom a one-time link is for."""

    user_id: UUID
    email: str = field(repr=False)


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
