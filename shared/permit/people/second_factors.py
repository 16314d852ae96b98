"""Second factors: enrolled, confirmed, removed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from permit.db import Database
from permit.errors import Refusal
from permit.keys.master_keys import unseal
from permit.people.callers import Caller
from permit.people.queries import users
from permit.people.refusals import (
    SecondFactorOff,
    SecondFactorOn,
    TooManyAttempts,
    WrongProof,
)
from permit.people.throttles import ACCOUNT, PAIR, throttled
from permit.people.users import editable_user
from permit.secrets.sources import SecretSource
from permit.security import second_factor
from permit.security.sealing import SECOND_FACTOR, MasterKeys, Sealed
from permit.security.throttling import parse_throttle_key, throttle_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    secret: str = field(repr=False)
    uri: str = field(repr=False)


def enrol(database: Database, caller: Caller, master_keys: SecretSource) -> Enrolment:
    """A new secret, which login asks for once it is confirmed. Raises SecondFactorOn."""
    user_id, secret = caller.user_id, second_factor.generate_secret()
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
    user_id = caller.user_id
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
    user_id = caller.user_id
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
    """For a colleague who has lost their device and their recovery codes."""
    user = editable_user(database, caller, user_id)
    if not user.has_second_factor:
        raise SecondFactorOff
    users.remove_factor(database, caller.tenant_id, user.id)


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
