"""/v1/users, /v1/api-keys, /v1/audit-events: a vendor's people and servers, and who did what."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, model_validator

from permit.contracts import Answer, Contract, Email, Instant, Name, Password, bounded
from permit.db import Database
from permit.edge.operations import VendorApi
from permit.errors import InvalidRequest, Refusal
from permit.paging import PageQuery, page, place
from permit.people import api_keys, own_account, second_factors, users
from permit.people.callers import ApiKeyRole, Caller, UserRole
from permit.people.queries import api_keys as api_key_queries
from permit.people.queries import audit as audit_queries
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
    ProofOfSelfRequired,
    SecondFactorOff,
    SecondFactorOn,
    TooManyAttempts,
    WrongProof,
)
from permit.people.rows import ApiKey, AuditEvent, User
from permit.people.users import Link
from permit.settings import TeamSettings

LinkToken = Annotated[str, bounded(1, 256)]
Code = Annotated[str, bounded(6, 64)]


class Invitation(Contract):
    email: Email
    role: UserRole
    name: Name | None = None


class Acceptance(Contract):
    token: LinkToken
    password: Password
    name: Name | None = None


class PasswordReset(Contract):
    token: LinkToken
    password: Password


class UserChange(Contract):
    role: UserRole


class SelfChange(Contract):
    name: Name | None


class PasswordChange(Contract):
    current_password: Password
    new_password: Password


class CodeRequest(Contract):
    code: Code
    """Of the authenticator; blanks in it do not matter."""


class RemovalRequest(Contract):
    code: Code | None = None
    """Not looked at any more: the fresh proof of self has had one."""


class SecondFactorRule(Contract):
    required: bool
    """Of all the tenant's people: who has none can then do nothing but enrol one."""


class UserAnswer(Answer):
    id: UUID
    email: str
    name: str | None
    role: str
    status: Literal["invited", "active", "deactivated"]
    has_second_factor: bool
    created_at: datetime
    deactivated_at: datetime | None


class LinkAnswer(Answer):
    user: UserAnswer
    token: str
    """Of a one-time link, for the vendor's own mail; shown this once."""
    expires_at: datetime


class InvitedAnswer(UserAnswer):
    token: str
    """Of a one-time link, for the vendor's own mail; shown this once."""
    token_expires_at: datetime


class UserList(Answer):
    items: list[UserAnswer]
    next_cursor: str | None


class EnrolmentAnswer(Answer):
    secret: str
    """Base32, to be typed into an authenticator."""
    uri: str
    """otpauth:, to be shown as a QR code."""


class SecondFactorRuleAnswer(Answer):
    required: bool


class RecoveryCodesAnswer(Answer):
    recovery_codes: list[str]
    """Each serves once; shown this once."""


class NewApiKeyRequest(Contract):
    name: Name
    role: ApiKeyRole
    expires_at: Instant | None = None


class ApiKeyAnswer(Answer):
    id: UUID
    name: str
    role: str
    key_hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """Exact to five minutes."""
    revoked_at: datetime | None


class NewApiKeyAnswer(ApiKeyAnswer):
    key: str
    """Shown this once."""


class ApiKeyList(Answer):
    items: list[ApiKeyAnswer]
    next_cursor: str | None


class AuditQuery(PageQuery):
    actor: Annotated[UUID, Field(strict=False)] | None = None
    """The id of a user or an API key."""
    action: Name | None = None
    """As in the table of roles: licences.suspend."""
    subject: Annotated[UUID, Field(strict=False)] | None = None
    """The id of what was changed."""
    subject_kind: (
        Literal["product", "policy", "licence", "device", "user", "api_key", "tenant"] | None
    ) = None
    since: Instant | None = None
    until: Instant | None = None

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.since and self.until and self.until <= self.since:
            raise InvalidRequest(("until", "must be after since"))
        return self


class Actor(Answer):
    kind: Literal["user", "api_key", "operator", "link", "password", "refresh_token"]
    """`link`: who used a one-time link, which the one named here made. `password`: who knew the
    named user's password and failed the second factor. `refresh_token`: who had one of the named
    user's, as somebody else had."""
    id: UUID | None
    """None for the operator."""
    name: str | None


class Subject(Answer):
    kind: str
    id: UUID


class AuditEventAnswer(Answer):
    id: UUID
    occurred_at: datetime
    actor: Actor
    action: str
    subject: Subject
    changes: dict[str, Any]
    """By field: from and to, or nothing for what is personal or secret."""
    reason: str | None
    request_id: str | None
    address: str | None
    """Forgotten after 90 days."""


class AuditEventList(Answer):
    items: list[AuditEventAnswer]
    next_cursor: str | None


settings = TeamSettings.from_environment()
database = Database(settings)
api = VendorApi(database, settings)


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
        **_user(link.user).model_dump(), token=link.token, token_expires_at=link.expires_at
    )


@api.operation("GET", "/v1/users", "users.read", query=PageQuery, answer=UserList)
def list_users(caller: Caller, query: PageQuery) -> Answer:
    """List the users, newest first."""
    where = place(query)
    rows = user_queries.list_users(database, caller.tenant_id, where)
    found = page(rows, where, lambda row: (row.created_at, row.id))
    return UserList(items=[_user(row) for row in found.items], next_cursor=found.next_cursor)


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
    return _user(own_account.get_self(database, caller))


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
    return _user(own_account.rename_self(database, caller, request.name))


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
def change_password(caller: Caller, request: PasswordChange) -> Response[str] | None:
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
    return EnrolmentAnswer(secret=enrolment.secret, uri=enrolment.uri)


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
    needs_fresh_proof=True,
)
def set_second_factor_rule(caller: Caller, request: SecondFactorRule) -> Answer:
    """Say whether all the tenant's people need a second factor: from now, in every session."""
    user_queries.require_factor(database, is_required=request.required)
    return SecondFactorRuleAnswer(required=request.required)


@api.operation("GET", "/v1/users/{user_id}", "users.read", answer=UserAnswer)
def get_user(caller: Caller, user_id: UUID) -> Answer:
    """Get a user."""
    return _user(users.get_user(database, caller, user_id))


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
    """Change a user's role; ends their sessions, and the links of their making."""
    return _user(users.change_member(database, caller, user_id, role=request.role, is_active=None))


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
    return _user(users.change_member(database, caller, user_id, role=None, is_active=False))


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
    return _user(users.change_member(database, caller, user_id, role=None, is_active=True))


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
    """Another link for who has not accepted yet."""
    return _link(users.invite_again(database, caller, user_id))


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
    return _link(users.reset_password(database, caller, user_id))


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
    return NewApiKeyAnswer(**_api_key(new.api_key).model_dump(), key=new.key)


@api.operation("GET", "/v1/api-keys", "api-keys.read", query=PageQuery, answer=ApiKeyList)
def list_api_keys(caller: Caller, query: PageQuery) -> Answer:
    """List the API keys with their last use, newest first."""
    where = place(query)
    rows = api_key_queries.list_api_keys(database, caller.tenant_id, where)
    found = page(rows, where, lambda row: (row.created_at, row.id))
    return ApiKeyList(items=[_api_key(row) for row in found.items], next_cursor=found.next_cursor)


@api.operation("GET", "/v1/api-keys/{key_id}", "api-keys.read", answer=ApiKeyAnswer)
def get_api_key(caller: Caller, key_id: UUID) -> Answer:
    """Get an API key, without the key itself."""
    return _api_key(api_keys.get_api_key(database, caller, key_id))


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
    rows = audit_queries.list_events(database, caller.tenant_id, wanted, where)
    found = page(rows, where, lambda row: (row.occurred_at, row.id))
    return AuditEventList(items=[_event(row) for row in found.items], next_cursor=found.next_cursor)


def _unless_refused(refusal: Refusal | None) -> Response[str] | None:
    return None if refusal is None else api.refuse(refusal)


def _user(user: User) -> UserAnswer:
    return UserAnswer.model_validate(user, from_attributes=True)


def _link(link: Link) -> LinkAnswer:
    return LinkAnswer(user=_user(link.user), token=link.token, expires_at=link.expires_at)


def _api_key(key: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer.model_validate(key, from_attributes=True)


def _event(event: AuditEvent) -> AuditEventAnswer:
    return AuditEventAnswer(
        actor=Actor.model_validate(
            {"kind": event.actor_kind, "id": event.actor_id, "name": event.actor_name}
        ),
        subject=Subject(kind=event.subject_kind, id=event.subject_id),
        **{
            name: getattr(event, name)
            for name in AuditEventAnswer.model_fields
            if name not in ("actor", "subject")
        },
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
