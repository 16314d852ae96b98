"""The people of a tenant: invited, changed, and helped when they are locked out."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from permit.db import Database
from permit.errors import NotFound
from permit.people.callers import Caller, UserRole, is_above
from permit.people.credentials import new_email, new_hash
from permit.people.queries import users
from permit.people.refusals import (
    AboveYourRole,
    EmailTaken,
    InvalidLink,
    LastOwner,
    NotForOneself,
    NotInvited,
)
from permit.people.rows import LinkedUser, User
from permit.people.throttles import Attempt
from permit.secrets.sources import SecretSource
from permit.security import api_keys
from permit.security.throttling import parse_throttle_key

_INVITATION_HOURS = 72
_RESET_HOURS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A one-time link's token, for the vendor's own mail; shown this once."""

    user: User
    token: str = field(repr=False)
    expires_at: datetime


def get_user(database: Database, caller: Caller, user_id: UUID) -> User:
    user = users.find_user(database, caller.tenant_id, user_id)
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
    """Another link, for a user who has not accepted yet."""
    return _new_link(database, caller, user_id, kind="invitation", hours=_INVITATION_HOURS)


def reset_password(database: Database, caller: Caller, user_id: UUID) -> Link:
    if user_id == caller.id:
        raise NotForOneself
    return _new_link(database, caller, user_id, kind="password_reset", hours=_RESET_HOURS)


def use_link(
    database: Database,
    *,
    kind: str,
    token: str,
    password: str,
    name: str | None,
    throttle_key: SecretSource,
    request: dict[str, Any],
) -> None:
    """Sets the password of whom the link is for: their place is known then, as after a login.

    Raises InvalidLink, InvalidRequest, EmailTaken.
    """
    token_hash = api_keys.digest(token)
    # First, so that nobody makes us hash passwords without a link.
    owner = users.find_linked(database, token_hash, kind)
    if owner is None:
        raise InvalidLink
    refused = users.redeem_link(
        database,
        token_hash,
        kind,
        password_hash=new_hash(password, owner.email, field="password"),
        name=name,
        places=[
            Attempt.at(throttle_key.parsed(parse_throttle_key), account, request["address"]).place
            for account in (owner.email, str(owner.user_id))
        ],
        request=request,
    )
    if refused is not None:
        raise EmailTaken if refused == "taken" else InvalidLink


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
