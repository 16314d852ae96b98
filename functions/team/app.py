"""/v1/tenants/me, /v1/users, /v1/api-keys, /v1/audit-events: whose side, who may, who did what."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, model_validator

from permit.contracts import (
    Answer,
    Contract,
    Email,
    Id,
    Instant,
    Name,
    NewPassword,
    OneOf,
    Password,
    answer_of,
    bounded,
)
from permit.db import Database
from permit.edge.operations import VendorApi
from permit.edge.payload import Context, Response
from permit.errors import InvalidRequest, Refusal
from permit.folding import read_token
from permit.paging import PageAnswer, PageQuery, page, place
from permit.people import api_keys, audit, own_account, second_factors, users
from permit.people.callers import EVENTS, ApiKeyRole, Caller, UserRole
from permit.people.queries import api_keys as api_key_queries
from permit.people.queries import tenants as tenant_queries
from permit.people.queries import users as user_queries
from permit.people.queries.audit import AuditFilter
from permit.people.refusals import (
    AboveYourRole,
    EmailTaken,
    InvalidLink,
    LastOwner,
    NotAUser,
    NotForOneself,
    NotInvited,
    OwnSecondFactorMissing,
    ProofOfSelfRequired,
    SecondFactorOff,
    SecondFactorOn,
    TooManyAttempts,
    WrongProof,
)
from permit.people.rows import ApiKey, AuditEvent, Tenant, User
from permit.security import proofs
from permit.settings import TeamSettings

LinkToken = Annotated[
    str,
    BeforeValidator(lambda value: read_token(value) if isinstance(value, str) else value),
    bounded(1, 256),
]
Code = Annotated[str, bounded(6, 64)]


class Invitation(Contract):
    email: Email
    """The colleague's email, which they will sign in with. No other user may have it."""
    role: UserRole
    """What the colleague may do: `owner` and `admin` everything, but an admin neither makes nor
    changes an owner; `support` reads everything, and releases, blocks and unblocks devices.
    Nobody gives more than their own."""
    name: Name | None = None
    """The person's name, for other people. Null: none."""


class Acceptance(Contract):
    token: LinkToken
    """The token of the invitation's link; it serves once, within 72 hours."""
    password: NewPassword
    """The password that the person chose; not their email."""
    name: Name | None = None
    """The person's name, for other people. Null: the invitation's stays."""


class PasswordReset(Contract):
    token: LinkToken
    """The token of the reset link; it serves once, within 24 hours."""
    password: NewPassword
    """The password that the person chose; not their email."""


class UserChange(Contract):
    role: UserRole
    """The new role. Nobody gives more than their own."""


class SelfChange(Contract):
    name: Name | None
    """One's name, for other people. Null: none."""


class PasswordChange(Contract):
    current_password: Password
    """The password as it is now."""
    new_password: NewPassword
    """The password that the person chose; not their email."""


class CodeRequest(Contract):
    code: Code
    """A code of the authenticator (6 digits, each good once) or a recovery code; blanks in it do
    not matter."""


class RemovalRequest(Contract):
    code: Code | None = None
    """Not looked at any more: the fresh proof of self has had one."""


class SecondFactorRule(Contract):
    required: bool
    """Whether all the tenant's people need one: who has none can then do nothing but enrol one."""


class TenantAnswer(answer_of(Tenant)):
    issuer: str
    """Who signs the tenant's proofs: their `iss`."""
    jwks_url: str
    """Where the public keys are that verify the tenant's proofs."""


class UserAnswer(answer_of(User)):
    pass


class LinkAnswer(Answer):
    user: UserAnswer
    """Whose link it is."""
    token: str
    """The token of a one-time link, for the vendor's own mail. Shown this once: only its hash is
    kept."""
    expires_at: datetime
    """Until when the link can be used."""


class InvitedAnswer(UserAnswer):
    token: str
    """The token of a one-time link, for the vendor's own mail. Shown this once: only its hash is
    kept."""
    token_expires_at: datetime
    """Until when the link can be used."""


class UserList(PageAnswer):
    items: list[UserAnswer]


class EnrolmentAnswer(Answer):
    secret: str
    """In Base32, to be typed into an authenticator."""
    uri: str
    """The same as an `otpauth:` address, to be shown as a QR code."""


class SecondFactorRuleAnswer(Answer):
    required: bool
    """Whether all the tenant's people need a second factor."""


class RecoveryCodesAnswer(Answer):
    recovery_codes: list[str]
    """Ten codes for a login without the authenticator. Each serves once; shown this once."""


class NewApiKeyRequest(Contract):
    name: Name
    """What people call the key, such as the server that has it."""
    role: ApiKeyRole
    """What the key may do: `admin` everything that a person with that role may; `support` reads
    everything, and releases, blocks and unblocks devices; `issuer` issues, renews and reads
    licences, and lists none."""
    expires_at: Instant | None = None
    """Until when the key works. Null: until it is revoked."""


class ApiKeyAnswer(answer_of(ApiKey)):
    pass


class NewApiKeyAnswer(ApiKeyAnswer):
    key: str
    """The key itself. Shown this once: only its hash is kept."""


class ApiKeyList(PageAnswer):
    items: list[ApiKeyAnswer]


class AuditQuery(PageQuery):
    actor: Id | None = None
    """Only what this user or API key did: their id."""
    action: Annotated[str, OneOf(EVENTS)] | None = None
    """Only this action: one of the table of roles that changes something, a sign-in's, or an
    operator's command."""
    subject: Id | None = None
    """Only what was done to this thing, or to what belongs to it: its id. A licence's finds its
    devices' events too, a product's its policies'."""
    subject_kind: (
        Literal["product", "policy", "licence", "device", "user", "api_key", "tenant"] | None
    ) = None
    """Only what was done to things of this kind."""
    since: Instant | None = None
    """Only what happened at this time or later."""
    until: Instant | None = None
    """Only what happened before this time."""

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.since and self.until and self.until <= self.since:
            raise InvalidRequest(("until", "must be after since"))
        return self


class Actor(Answer):
    kind: Literal["user", "api_key", "operator", "link", "password", "refresh_token"]
    """`user`, `api_key`, or `operator` for whoever runs the service; each of them has proven it.
    `link`: whoever used a one-time link that the user or key named here made. `password`: whoever
    knew the named user's password and failed the second factor. `refresh_token`: whoever had a
    token of the named user that somebody else had too."""
    id: UUID | None
    """The user's or the key's id. Null for an operator."""
    name: str | None
    """The user's name, or their email where they have none; the key's name. Null for an
    operator."""


class Subject(Answer):
    kind: str
    """`product`, `policy`, `licence`, `device`, `user`, `api_key` or `tenant`."""
    id: UUID
    """Its id."""


class AuditEventAnswer(answer_of(AuditEvent)):
    actor: Actor
    """Who did it."""
    subject: Subject
    """What it was done to."""


class AuditEventList(PageAnswer):
    items: list[AuditEventAnswer]


settings = TeamSettings.from_environment()
database = Database(settings)
api = VendorApi(database, settings)


@api.operation("GET", "/v1/tenants/me", "tenants.read", answer=TenantAnswer)
def get_tenant(caller: Caller) -> Answer:
    """Which tenant one is of, and where its proofs are verified."""
    tenant = tenant_queries.get_tenant(database, caller.tenant_id)
    issuer = proofs.issuer(api.base_url(settings.public_url), tenant.id)
    return TenantAnswer(**asdict(tenant), issuer=issuer, jwks_url=f"{issuer}/jwks.json")


@api.operation(
    "POST",
    "/v1/users",
    "users.invite",
    request=Invitation,
    answer=InvitedAnswer,
    creates=True,
    refuses=(
        EmailTaken,
        AboveYourRole,
    ),
    needs_fresh_proof=True,
)
def invite_user(caller: Caller, request: Invitation) -> Answer:
    """Invite a colleague: the answer has the token of a link that is good for 72 hours.

    It ends earlier with any change of the colleague's account, and with its maker's.
    """
    link = users.invite(database, caller, email=request.email, role=request.role, name=request.name)
    return InvitedAnswer(
        **UserAnswer.of(link.user).model_dump(), token=link.token, token_expires_at=link.expires_at
    )


@api.operation("GET", "/v1/users", "users.read", query=PageQuery, answer=UserList)
def list_users(caller: Caller, query: PageQuery) -> Answer:
    """List the users, newest first."""
    where = place(query)
    rows = user_queries.list_users(database, caller.tenant_id, where)
    return UserList.of(page(rows, where, lambda row: (row.created_at, row.id)))


@api.operation(
    "POST",
    "/v1/users/accept",
    None,
    request=Acceptance,
    refuses=(InvalidLink, EmailTaken),
)
def accept_invitation(request: Acceptance) -> None:
    """Accept an invitation with a password of one's own."""
    users.use_link(
        database,
        kind="invitation",
        token=request.token,
        password=request.password,
        name=request.name,
        throttle_key=settings.throttle_key,
        request=api.request_facts("users.accept"),
    )


@api.operation(
    "POST", "/v1/users/reset-password", None, request=PasswordReset, refuses=(InvalidLink,)
)
def use_password_reset(request: PasswordReset) -> None:
    """Choose another password by a reset link; ends every session."""
    users.use_link(
        database,
        kind="password_reset",
        token=request.token,
        password=request.password,
        name=None,
        throttle_key=settings.throttle_key,
        request=api.request_facts("users.use-password-reset"),
    )


@api.operation(
    "GET",
    "/v1/users/me",
    "self.read",
    answer=UserAnswer,
    refuses=(NotAUser,),
)
def get_self(caller: Caller) -> Answer:
    """Who one is."""
    return UserAnswer.of(own_account.get_self(database, caller))


@api.operation(
    "PATCH",
    "/v1/users/me",
    "self.change",
    request=SelfChange,
    answer=UserAnswer,
    refuses=(NotAUser,),
)
def change_self(caller: Caller, request: SelfChange) -> Answer:
    """Change one's name."""
    return UserAnswer.of(own_account.rename_self(database, caller, request.name))


@api.operation(
    "POST",
    "/v1/users/me/password",
    "self.change-password",
    request=PasswordChange,
    refuses=(
        NotAUser,
        ProofOfSelfRequired,
        WrongProof,
        TooManyAttempts,
    ),
)
def change_password(caller: Caller, request: PasswordChange) -> Response | None:
    """Change one's password; ends every session, this one too.

    Where a second factor is in use, a fresh proof of self is needed as well.
    """
    return _unless_refused(
        own_account.change_own_password(
            database,
            caller,
            settings.throttle_key,
            current=request.current_password,
            new=request.new_password,
            address=api.caller_address(),
        )
    )


@api.operation(
    "POST",
    "/v1/users/me/second-factor",
    "self.second-factor",
    answer=EnrolmentAnswer,
    refuses=(
        NotAUser,
        SecondFactorOn,
    ),
    needs_fresh_proof=True,
)
def enrol_second_factor(caller: Caller) -> Answer:
    """Begin to use a second factor (TOTP, RFC 6238): it is asked for once it is confirmed."""
    enrolment = second_factors.enrol(database, caller, settings.master_keys)
    return EnrolmentAnswer.of(enrolment)


@api.operation(
    "POST",
    "/v1/users/me/second-factor/confirm",
    "self.second-factor",
    request=CodeRequest,
    answer=RecoveryCodesAnswer,
    refuses=(
        NotAUser,
        SecondFactorOff,
        SecondFactorOn,
        WrongProof,
    ),
    needs_fresh_proof=True,
)
def confirm_second_factor(caller: Caller, request: CodeRequest) -> Answer:
    """Confirm the second factor with a code of it; ends every other session.

    The answer has the recovery codes.
    """
    return RecoveryCodesAnswer(
        recovery_codes=second_factors.confirm(database, caller, settings.master_keys, request.code)
    )


@api.operation(
    "POST",
    "/v1/users/me/second-factor/remove",
    "self.second-factor",
    request=RemovalRequest,
    refuses=(
        NotAUser,
        SecondFactorOff,
    ),
    needs_fresh_proof=True,
)
def remove_own_second_factor(caller: Caller, request: RemovalRequest) -> None:
    """Remove one's second factor; ends every other session."""
    second_factors.remove_own_factor(database, caller)


@api.operation(
    "GET",
    "/v1/users/second-factor",
    "users.read",
    answer=SecondFactorRuleAnswer,
)
def get_second_factor_rule(caller: Caller) -> Answer:
    """Whether all the tenant's people need a second factor."""
    is_required = user_queries.is_factor_required(database, caller.tenant_id)
    return SecondFactorRuleAnswer(required=is_required)


@api.operation(
    "PATCH",
    "/v1/users/second-factor",
    "users.require-second-factor",
    request=SecondFactorRule,
    answer=SecondFactorRuleAnswer,
    refuses=(OwnSecondFactorMissing,),
    needs_fresh_proof=True,
)
def set_second_factor_rule(caller: Caller, request: SecondFactorRule) -> Answer:
    """Say whether all the tenant's people need a second factor: from now, in every session.

    Whoever has no confirmed one cannot require it.
    """
    if request.required and not caller.has_second_factor:
        raise OwnSecondFactorMissing
    user_queries.require_factor(database, is_required=request.required)
    return SecondFactorRuleAnswer(required=request.required)


@api.operation("GET", "/v1/users/{user_id}", "users.read", answer=UserAnswer)
def get_user(caller: Caller, user_id: UUID) -> Answer:
    """Get a user."""
    return UserAnswer.of(users.get_user(database, caller, user_id))


@api.operation(
    "PATCH",
    "/v1/users/{user_id}",
    "users.change",
    request=UserChange,
    answer=UserAnswer,
    refuses=(
        AboveYourRole,
        LastOwner,
    ),
    needs_fresh_proof=True,
)
def change_user(caller: Caller, request: UserChange, user_id: UUID) -> Answer:
    """Change a user's role; it ends their sessions, and the links of their making."""
    return UserAnswer.of(
        users.change_member(database, caller, user_id, role=request.role, is_active=None)
    )


@api.operation(
    "POST",
    "/v1/users/{user_id}/deactivate",
    "users.deactivate",
    answer=UserAnswer,
    refuses=(
        AboveYourRole,
        LastOwner,
    ),
)
def deactivate_user(caller: Caller, user_id: UUID) -> Answer:
    """Deactivate a user: at once, with every session."""
    return UserAnswer.of(users.change_member(database, caller, user_id, role=None, is_active=False))


@api.operation(
    "POST",
    "/v1/users/{user_id}/reactivate",
    "users.reactivate",
    answer=UserAnswer,
    refuses=(AboveYourRole,),
    needs_fresh_proof=True,
)
def reactivate_user(caller: Caller, user_id: UUID) -> Answer:
    """Let a deactivated user sign in again."""
    return UserAnswer.of(users.change_member(database, caller, user_id, role=None, is_active=True))


@api.operation(
    "POST",
    "/v1/users/{user_id}/invitation",
    "users.invite",
    answer=LinkAnswer,
    creates=True,
    refuses=(
        AboveYourRole,
        NotInvited,
    ),
    needs_fresh_proof=True,
)
def invite_user_again(caller: Caller, user_id: UUID) -> Answer:
    """Another link for a user who has not accepted yet."""
    return LinkAnswer.of(users.invite_again(database, caller, user_id))


@api.operation(
    "POST",
    "/v1/users/{user_id}/password-reset",
    "users.reset-password",
    answer=LinkAnswer,
    creates=True,
    refuses=(
        AboveYourRole,
        NotForOneself,
        NotInvited,
    ),
    needs_fresh_proof=True,
)
def reset_password(caller: Caller, user_id: UUID) -> Answer:
    """A one-time link by which a colleague chooses another password, good for 24 hours."""
    return LinkAnswer.of(users.reset_password(database, caller, user_id))


@api.operation(
    "DELETE",
    "/v1/users/{user_id}/second-factor",
    "users.remove-second-factor",
    refuses=(
        AboveYourRole,
        NotForOneself,
        SecondFactorOff,
    ),
    needs_fresh_proof=True,
)
def remove_second_factor(caller: Caller, user_id: UUID) -> None:
    """Remove the second factor of a colleague who has lost it; ends their sessions."""
    second_factors.remove_factor_of(database, caller, user_id)


@api.operation(
    "POST",
    "/v1/api-keys",
    "api-keys.create",
    request=NewApiKeyRequest,
    answer=NewApiKeyAnswer,
    creates=True,
    refuses=(AboveYourRole,),
    needs_fresh_proof=True,
)
def create_api_key(caller: Caller, request: NewApiKeyRequest) -> Answer:
    """Create an API key for one of the vendor's servers; it is answered here and never again."""
    new = api_keys.create_api_key(
        database, caller, name=request.name, role=request.role, expires_at=request.expires_at
    )
    return NewApiKeyAnswer(**ApiKeyAnswer.of(new.api_key).model_dump(), key=new.key)


@api.operation("GET", "/v1/api-keys", "api-keys.read", query=PageQuery, answer=ApiKeyList)
def list_api_keys(caller: Caller, query: PageQuery) -> Answer:
    """List the API keys with their last use, newest first."""
    where = place(query)
    rows = api_key_queries.list_api_keys(database, caller.tenant_id, where)
    return ApiKeyList.of(page(rows, where, lambda row: (row.created_at, row.id)))


@api.operation("GET", "/v1/api-keys/{key_id}", "api-keys.read", answer=ApiKeyAnswer)
def get_api_key(caller: Caller, key_id: UUID) -> Answer:
    """Get an API key, without the key itself."""
    return ApiKeyAnswer.of(api_keys.get_api_key(database, caller, key_id))


@api.operation(
    "DELETE",
    "/v1/api-keys/{key_id}",
    "api-keys.revoke",
    refuses=(AboveYourRole,),
)
def revoke_api_key(caller: Caller, key_id: UUID) -> None:
    """Revoke an API key, at once and for good; it stays listed."""
    api_keys.revoke_api_key(database, caller, key_id)


@api.operation("GET", "/v1/audit-events", "audit.read", query=AuditQuery, answer=AuditEventList)
def list_audit_events(caller: Caller, query: AuditQuery) -> Answer:
    """Who changed what, newest first."""
    where = place(query)
    wanted = AuditFilter(**query.model_dump(exclude={"limit", "cursor"}))
    rows = audit.list_events(database, caller.tenant_id, wanted, where)
    return AuditEventList.of(page(rows, where, lambda row: (row.occurred_at, row.id)))


def _unless_refused(refusal: Refusal | None) -> Response | None:
    return None if refusal is None else api.refuse(refusal)


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
