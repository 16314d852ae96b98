"""What a person changes about their own account."""

from permit.db import Database
from permit.errors import NotFound, Refusal
from permit.people.callers import Caller
from permit.people.credentials import new_hash
from permit.people.queries import users
from permit.people.refusals import TooManyAttempts, WrongProof
from permit.people.rows import User
from permit.people.throttles import ACCOUNT, PAIR, throttled
from permit.people.users import get_user
from permit.secrets.sources import SecretSource
from permit.security import passwords
from permit.security.passwords import WrongPassword
from permit.security.throttling import parse_throttle_key, throttle_keys


def get_self(database: Database, caller: Caller) -> User:
    return get_user(database, caller, caller.user_id)


def rename_self(database: Database, caller: Caller, name: str | None) -> User:
    user = users.set_name(database, caller.tenant_id, caller.user_id, name)
    if user is None:
        raise NotFound
    return user


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
        new_hash=new_hash(new, user.email, field="new_password"),
        forget_keys=(counted.pair, counted.account),
    )
    return None if has_changed else WrongProof()
