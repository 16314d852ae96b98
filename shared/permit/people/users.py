"""The people and servers of a tenant, and what each proves himself by."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

from permit.db import Database
from permit.edge.operations import Caller
from permit.errors import Conflict, InvalidRequest, NotFound, Refusal, TooManyAttempts
from permit.keys.master_keys import unseal
from permit.licences.rows import ApiKey, User
from permit.people.callers import UserRole, is_above
from permit.people.queries import api_keys as team
from permit.people.queries import users
from permit.people.queries.users import LinkedUser
from permit.people.sign_in import ACCOUNT, PAIR, throttled
from permit.people.tenants import new_email
from permit.secrets.sources import SecretSource
from permit.security import api_keys, passwords, second_factor
from permit.security.passwords import UnacceptablePassword, WrongPassword
from permit.security.sealing import SECOND_FACTOR, MasterKeys, Sealed
from permit.security.throttling import parse_throttle_key, throttle_keys

_INVITATION_HOURS = 72
_RESET_HOURS = 24


class AboveYourRole(Refusal):
    """Nobody grants, edits or deactivates above his own role."""

    status = 403
    code = "above_your_role"
    title = "This goes beyond your own role"


class NotAUser(Refusal):
    """An API key has no password, no second factor and no name of its own to change."""

    status = 403
    code = "not_a_user"
    title = "This is for people, and an API key asks"


class LastOwner(Conflict):
    """Without an owner nobody could give the tenant another."""

    code = "last_owner"
    detail = "The last owner stays one, and stays active."


class NotInvited(Conflict):
    """Who has accepted needs no invitation; who has not, has no password to reset."""

    code = "wrong_state"
    detail = "The user's state does not fit: see his status."


class SecondFactorOn(Conflict):
    """A confirmed second factor is removed first."""

    code = "second_factor_on"
    detail = "A second factor is in use: remove it first."


class SecondFactorOff(Conflict):
    """There is no second factor to confirm or remove."""

    code = "second_factor_off"
    detail = "No second factor waits to be confirmed or is in use."


class InvalidLink(Refusal):
    """Unknown, used, expired: told apart nowhere."""

    status = 401
    code = "invalid_link"
    title = "The link is not valid"


class WrongProof(Refusal):
    """The present password, or the second factor's code, is not right."""

    status = 403
    code = "wrong_proof"
    title = "The password or code is wrong"


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A one-time link's token, for the vendor's own mail; shown this once."""

    user: User
    token: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NewApiKey:
    api_key: ApiKey
    key: str  # shown this once


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    secret: str
    uri: str


def get_user(database: Database, caller: Caller, user_id: UUID) -> User:
    user = users.find_user(database, caller.tenant_id, user_id)
    if user is None:
        raise NotFound
    return user


def get_self(database: Database, caller: Caller) -> User:
    return get_user(database, caller, _user_of(caller))


def rename_self(database: Database, caller: Caller, name: str | None) -> User:
    user = users.set_name(database, caller.tenant_id, _user_of(caller), name)
    if user is None:
        raise NotFound
    return user


def invite(database: Database, caller: Caller, *, email: str, role: str, name: str | None) -> Link:
    if is_above(role, caller.role):
        raise AboveYourRole
    token = api_keys.generate_link_token()
    invited = users.insert_invited(
        database,
        caller.tenant_id,
        email=new_email(email),
        role=role,
        name=name,
        token_hash=api_keys.digest(token),
        hours=_INVITATION_HOURS,
    )
    return _link(invited, token)


def invite_again(database: Database, caller: Caller, user_id: UUID) -> Link:
    """Another link, for who has not accepted yet."""
    return _new_link(database, caller, user_id, kind="invitation", hours=_INVITATION_HOURS)


def reset_password(database: Database, caller: Caller, user_id: UUID) -> Link:
    return _new_link(database, caller, user_id, kind="password_reset", hours=_RESET_HOURS)


def use_link(
    database: Database,
    *,
    kind: str,
    token: str,
    password: str,
    name: str | None,
    request: dict[str, Any],
) -> None:
    """Sets the password of whom the link is for. Raises InvalidLink, InvalidRequest."""
    token_hash = api_keys.digest(token)
    # First, so that nobody makes us hash passwords without a link.
    email = users.find_link(database, token_hash, kind)
    if email is None:
        raise InvalidLink
    password_hash = _new_hash(password, email, field="password")
    if not users.use_link(
        database, token_hash, kind, password_hash=password_hash, name=name, request=request
    ):
        raise InvalidLink


def change_member(
    database: Database, caller: Caller, user_id: UUID, *, role: str | None, is_active: bool | None
) -> User:
    """Ends the user's sessions. Raises NotFound, AboveYourRole, LastOwner."""
    user = get_user(database, caller, user_id)
    refused = users.change_member(
        database,
        user_id,
        role=role or user.role,
        is_active=user.status != "deactivated" if is_active is None else is_active,
    )
    if refused is not None:
        raise {"above": AboveYourRole, "last_owner": LastOwner}.get(refused, NotFound)
    return get_user(database, caller, user_id)


def change_own_password(
    database: Database,
    caller: Caller,
    throttle_key: SecretSource,
    *,
    current: str,
    new: str,
    address: str,
) -> Refusal | None:
    """Ends the sessions; or what was wrong with the proof, whose attempt is to stay counted."""
    user = get_self(database, caller)
    counted = throttle_keys(
        throttle_key.parsed(parse_throttle_key), email=user.email, address=address
    )
    proof = users.admit_proof_of_self(
        database, **throttled((counted.pair, PAIR), (counted.account, ACCOUNT))
    )
    if proof.retry_after is not None:
        return TooManyAttempts(proof.retry_after)
    try:
        passwords.verify(proof.password_hash or "", current)
    except WrongPassword:
        return WrongProof()
    has_changed = users.change_own_password(
        database,
        old_hash=proof.password_hash or "",
        new_hash=_new_hash(new, user.email, field="new_password"),
        forget_keys=(counted.pair, counted.account),
    )
    return None if has_changed else WrongProof()


def enrol(database: Database, caller: Caller, master_keys: SecretSource) -> Enrolment:
    """A new secret, which login asks for once it is confirmed. Raises SecondFactorOn."""
    user_id, secret = _user_of(caller), second_factor.generate_secret()
    # Read anew: what an old copy seals may be under a version that was dropped since.
    keys = master_keys.parsed(MasterKeys.parse, fresh=True)
    sealed = keys.seal(secret, tenant_id=caller.tenant_id, kid=str(user_id), purpose=SECOND_FACTOR)
    email = users.set_factor(
        database,
        caller.tenant_id,
        user_id,
        sealed=sealed.blob,
        master_version=sealed.master_version,
    )
    if email is None:
        raise SecondFactorOn
    uri = second_factor.provisioning_uri(secret, account=email)
    return Enrolment(secret=second_factor.base32(secret), uri=uri)


def confirm(database: Database, caller: Caller, master_keys: SecretSource, code: str) -> list[str]:
    """The recovery codes, shown this once. Raises SecondFactorOff, SecondFactorOn, WrongProof."""
    user_id = _user_of(caller)
    factor = users.find_factor(database, caller.tenant_id, user_id)
    if factor is None:
        raise SecondFactorOff
    if factor.is_confirmed:
        raise SecondFactorOn
    step = _step(caller, factor, master_keys, code)
    if step is None:
        raise WrongProof
    codes = second_factor.generate_recovery_codes()
    users.confirm_factor(
        database,
        caller.tenant_id,
        user_id,
        step=step,
        recovery_hashes=[second_factor.recovery_digest(each) for each in codes],
    )
    return codes


def remove_own_factor(
    database: Database,
    caller: Caller,
    secrets: tuple[SecretSource, SecretSource],
    *,
    code: str,
    address: str,
) -> Refusal | None:
    """By a code of it or a recovery code; counted like a login's, as change_own_password does."""
    master_keys, throttle_key = secrets
    user_id = _user_of(caller)
    counted = throttle_keys(
        throttle_key.parsed(parse_throttle_key), email=str(user_id), address=address
    )
    proof = users.admit_proof_of_self(
        database, **throttled((counted.pair, PAIR), (counted.account, ACCOUNT))
    )
    if proof.retry_after is not None:
        return TooManyAttempts(proof.retry_after)
    factor = users.find_factor(database, caller.tenant_id, user_id)
    if factor is None:
        return SecondFactorOff()
    step = _step(caller, factor, master_keys, code)
    is_fresh = step is not None and (factor.used_step is None or step > factor.used_step)
    if not is_fresh and not users.use_recovery_code(
        database, caller.tenant_id, user_id, second_factor.recovery_digest(code)
    ):
        return WrongProof()
    users.remove_factor(database, caller.tenant_id, user_id)
    return None


def remove_factor_of(database: Database, caller: Caller, user_id: UUID) -> None:
    """For a colleague who has lost his device and his recovery codes."""
    user = _editable(database, caller, user_id)
    if not user.has_second_factor:
        raise SecondFactorOff
    users.remove_factor(database, caller.tenant_id, user.id)


def create_api_key(
    database: Database, caller: Caller, *, name: str, role: str, expires_at: datetime | None
) -> NewApiKey:
    if is_above(role, caller.role):
        raise AboveYourRole
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest(("expires_at", "must be in the future"))
    key = api_keys.generate()
    api_key = team.insert_api_key(
        database,
        caller.tenant_id,
        name=name,
        role=role,
        key_hash=api_keys.digest(key),
        key_hint=api_keys.hint(key),
        expires_at=expires_at,
    )
    return NewApiKey(api_key=api_key, key=key)


def get_api_key(database: Database, caller: Caller, key_id: UUID) -> ApiKey:
    key = team.find_api_key(database, caller.tenant_id, key_id)
    if key is None:
        raise NotFound
    return key


def revoke_api_key(database: Database, caller: Caller, key_id: UUID) -> None:
    """At once, and idempotent."""
    key = get_api_key(database, caller, key_id)
    if is_above(key.role, caller.role):
        raise AboveYourRole
    team.revoke_api_key(database, caller.tenant_id, key_id)


def _user_of(caller: Caller) -> UUID:
    if caller.kind != "user":
        raise NotAUser
    return caller.id


def _editable(database: Database, caller: Caller, user_id: UUID) -> User:
    user = get_user(database, caller, user_id)
    if is_above(user.role, caller.role):
        raise AboveYourRole
    return user


def _new_link(database: Database, caller: Caller, user_id: UUID, *, kind: str, hours: int) -> Link:
    token = api_keys.generate_link_token()
    linked = users.insert_link(
        database,
        caller.tenant_id,
        user_id,
        kind=kind,
        for_pending=kind == "invitation",
        roles=[role for role in get_args(UserRole) if not is_above(role, caller.role)],
        token_hash=api_keys.digest(token),
        hours=hours,
    )
    if linked is None:
        raise NotFound
    if is_above(linked.role, caller.role):
        raise AboveYourRole
    return _link(linked, token)


def _link(linked: LinkedUser, token: str) -> Link:
    if linked.link_expires_at is None:
        raise NotInvited
    return Link(user=linked, token=token, expires_at=linked.link_expires_at)


def _new_hash(password: str, email: str, *, field: str) -> str:
    try:
        passwords.require_acceptable(password, email=email)
    except UnacceptablePassword as error:
        raise InvalidRequest((field, str(error))) from None
    return passwords.hash(password)


def _step(
    caller: Caller, factor: users.SealedFactor, master_keys: SecretSource, code: str
) -> int | None:
    sealed = Sealed(master_version=factor.master_version, blob=factor.sealed)
    secret = unseal(
        master_keys,
        sealed,
        tenant_id=caller.tenant_id,
        kid=str(caller.id),
        purpose=SECOND_FACTOR,
    )
    return second_factor.matching_step(secret, code, datetime.now(UTC))
