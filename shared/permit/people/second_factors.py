"""Second factors: enrolled, confirmed, removed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from permit.db import Database
from permit.errors import NotFound
from permit.keys.master_keys import unseal
from permit.people.callers import Caller
from permit.people.queries import users
from permit.people.refusals import (
    AboveYourRole,
    NotForOneself,
    SecondFactorOff,
    SecondFactorOn,
    WrongProof,
)
from permit.people.rows import SealedFactor
from permit.secrets.sources import SecretSource
from permit.security import second_factor
from permit.security.sealing import SECOND_FACTOR, MasterKeys, Sealed


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
    """The recovery codes, shown this once; ends the user's other sessions.

    Raises SecondFactorOff, SecondFactorOn, WrongProof.
    """
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
        database, step=step, recovery_hashes=[second_factor.recovery_digest(each) for each in codes]
    )
    return codes


def remove_own_factor(database: Database, caller: Caller) -> None:
    """Ends the user's other sessions. Raises SecondFactorOff."""
    _remove(database, caller.user_id)


def remove_factor_of(database: Database, caller: Caller, user_id: UUID) -> None:
    """For a colleague who has lost their device and their recovery codes; ends their sessions.

    Raises NotFound, NotForOneself, AboveYourRole, SecondFactorOff.
    """
    if user_id == caller.id:
        raise NotForOneself
    _remove(database, user_id)


def _remove(database: Database, user_id: UUID) -> None:
    refused = users.remove_factor(database, user_id)
    if refused is not None:
        raise {"missing": NotFound, "above": AboveYourRole}.get(refused, SecondFactorOff)


def _step(caller: Caller, factor: SealedFactor, master_keys: SecretSource, code: str) -> int | None:
    sealed = Sealed(master_version=factor.master_version, blob=factor.sealed)
    secret = unseal(
        master_keys,
        sealed,
        tenant_id=caller.tenant_id,
        kid=str(caller.id),
        purpose=SECOND_FACTOR,
    )
    return second_factor.matching_step(secret, code, datetime.now(UTC))
