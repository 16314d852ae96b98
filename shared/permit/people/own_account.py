"""What a person changes about their own account."""

from datetime import UTC, datetime

from permit.db import Database
from permit.errors import NotFound, Refusal
from permit.people.callers import Caller
from permit.people.credentials import new_hash
from permit.people.queries import users
from permit.people.refusals import TooManyAttempts, WrongProof
from permit.people.rows import User
from permit.people.throttles import Attempt
from permit.people.users import get_user
from permit.secrets.sources import SecretSource
from permit.security import passwords
from permit.security.throttling import parse_throttle_key


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
    """Ends the sessions; or what was wrong with the proof, whose attempt stays counted.

    The present password is the proof; where there is a second factor, a fresh one with it is
    needed too. Raises ProofOfSelfRequired.
    """
    user = get_self(database, caller)
    if user.has_second_factor:
        caller.require_fresh_proof(datetime.now(UTC))
    attempt = Attempt.at(throttle_key.parsed(parse_throttle_key), user.email, address)
    admission = users.admit_own_password(database, attempt)
    if admission.retry_after is not None:
        return TooManyAttempts(admission.retry_after)
    has_changed = users.replace_own_password(
        database,
        present=passwords.hashes_by(admission.recipe, current),
        new_hash=new_hash(new, user.email, field="new_password"),
        places=[attempt.place],
        others=attempt.others(is_known_place=admission.is_known_place),
    )
    return None if has_changed else WrongProof()
