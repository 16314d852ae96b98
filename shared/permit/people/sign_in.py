"""Login, renewal and logout, and the fresh proof of self: the order of the steps."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from permit.db import Database
from permit.errors import InvalidRequest
from permit.folding import fold_email
from permit.keys.master_keys import unseal
from permit.people.queries import sign_in as queries
from permit.people.refusals import (
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    SecondFactorRequired,
    TooManyAttempts,
    WrongProof,
)
from permit.people.rows import Admission, ProofAdmission, SecondFactorAdmission
from permit.people.throttles import SECOND_STEP, Attempt
from permit.secrets.sources import SecretSource
from permit.security import access_tokens, passwords, refresh_tokens, second_factor
from permit.security.access_tokens import (
    FIRST_STEP,
    AccessClaims,
    InvalidToken,
    ProofOfSelf,
    TokenKeys,
)
from permit.security.sealing import SECOND_FACTOR, Sealed
from permit.security.throttling import parse_throttle_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int  # seconds, of the access token


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginSecrets:
    token_keys: SecretSource
    throttle_key: SecretSource
    master_keys: SecretSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Of the request that is answered."""

    address: str
    request_id: str
    issuer: str
    """Where the caller reached us: who issues the tokens."""

    def facts(self) -> dict[str, Any]:
        """What the audit log keeps of it."""
        return {"address": self.address, "request_id": self.request_id}


def log_in(
    database: Database, secrets: LoginSecrets, asked: Asked, *, email: str, password: str
) -> Tokens:
    """Two round trips: admission under the throttle, and the session.

    With a second factor the first step ends in SecondFactorRequired: its attempt was no guess.

    An unknown email takes the same steps at the same cost as a wrong password, and is throttled
    alike, or the throttle itself would tell which emails exist.

    Raises TooManyAttempts, InvalidCredentials.
    """
    # First, for its failures: without a key no login can complete, and none should be counted.
    keys, now = _signing_keys(secrets.token_keys), datetime.now(UTC)
    throttle_key = secrets.throttle_key.parsed(parse_throttle_key)
    attempt = Attempt.at(throttle_key, email, asked.address)
    admission = queries.admit_password(database, fold_email(email), attempt)
    if admission.retry_after is not None:
        raise TooManyAttempts(admission.retry_after)

    new_hash = _verify(admission, password)
    claims = AccessClaims(
        sub=admission.user_id,
        tid=admission.tenant_id,
        role=admission.role,
        sv=admission.session_version,
    )
    if admission.has_second_factor:
        charged = attempt.charged(is_known_place=admission.is_known_place)
        queries.take_back_attempt(database, charged)
        raise SecondFactorRequired(
            access_tokens.issue(keys, claims, issuer=asked.issuer, now=now, kind=FIRST_STEP)
        )
    refresh_token = refresh_tokens.generate()
    session_id = queries.open_session(
        database,
        admission,
        new_password_hash=new_hash,
        token_hash=refresh_tokens.digest(refresh_token),
        success=attempt.success(
            Attempt.at(throttle_key, str(claims.sub), asked.address).place,
            is_known_place=admission.is_known_place,
        ),
        request=asked.facts(),
    )
    if session_id is None:
        raise InvalidCredentials
    proof = ProofOfSelf(sid=session_id, auth_time=now, with_second_factor=False)
    return _tokens(keys, replace(claims, proof=proof), refresh_token, asked)


def complete(
    database: Database, secrets: LoginSecrets, asked: Asked, *, mfa_token: str, code: str
) -> Tokens:
    """The second step: a code of the authenticator, or a recovery code; each serves once.

    Raises TooManyAttempts, InvalidCode.
    """
    keys, now = _signing_keys(secrets.token_keys), datetime.now(UTC)
    try:
        claims = access_tokens.verify(
            mfa_token, keys.jwks(now), issuer=asked.issuer, now=now, kind=FIRST_STEP
        )
    except InvalidToken:
        raise InvalidCode from None
    throttle_key = secrets.throttle_key.parsed(parse_throttle_key)
    attempt = Attempt.at(throttle_key, str(claims.sub), asked.address, of_account=SECOND_STEP)
    admission = queries.admit_code(database, claims, attempt)
    if admission.retry_after is not None:
        raise TooManyAttempts(admission.retry_after)
    if admission.totp_sealed is None:
        raise InvalidCode
    refresh_token = refresh_tokens.generate()
    session_id = queries.open_verified_session(
        database,
        claims,
        totp_step=_totp_step(secrets.master_keys, claims, admission, code, now),
        recovery_hash=second_factor.recovery_digest(code),
        token_hash=refresh_tokens.digest(refresh_token),
        success=attempt.success(
            Attempt.at(throttle_key, admission.email, asked.address).place,
            is_known_place=admission.is_known_place,
        ),
        request=asked.facts(),
    )
    if session_id is None:
        raise InvalidCode
    proof = ProofOfSelf(sid=session_id, auth_time=now, with_second_factor=True)
    claims = replace(claims, role=admission.role, proof=proof)
    return _tokens(keys, claims, refresh_token, asked)


def elevate(
    database: Database,
    secrets: LoginSecrets,
    asked: Asked,
    *,
    access_token: str,
    password: str,
    code: str | None,
) -> str:
    """An access token with a fresh proof of self, in place of one without it (RFC 9470).

    Raises InvalidToken, TooManyAttempts, InvalidRequest (a code is needed), WrongProof.
    """
    keys, now = _signing_keys(secrets.token_keys), datetime.now(UTC)
    claims = access_tokens.verify(access_token, keys.jwks(now), issuer=asked.issuer, now=now)
    session_id = claims.proof.sid if claims.proof else None
    throttle_key = secrets.throttle_key.parsed(parse_throttle_key)
    attempt = Attempt.at(throttle_key, str(claims.sub), asked.address, of_account=SECOND_STEP)
    admission = queries.admit_proof(database, claims, session_id, attempt)
    if admission.retry_after is not None:
        raise TooManyAttempts(admission.retry_after)
    if admission.password_hash is None:
        raise InvalidToken
    has_factor = admission.totp_sealed is not None
    if has_factor and code is None:
        # Nothing was tried: no password was looked at.
        charged = attempt.charged(is_known_place=admission.is_known_place)
        queries.take_back_attempt(database, charged)
        raise InvalidRequest(("code", "is needed: a second factor is in use"))
    matches = _matches(admission.password_hash, password)
    is_proven = queries.prove_self(
        database,
        claims,
        session_id,
        matches=matches,
        totp_step=_totp_step(secrets.master_keys, claims, admission, code, now)
        if matches and has_factor and code is not None
        else None,
        recovery_hash=second_factor.recovery_digest(code) if code is not None else None,
        success=attempt.success(is_known_place=admission.is_known_place),
        request=asked.facts(),
    )
    if not is_proven:
        raise WrongProof
    proof = ProofOfSelf(sid=session_id, auth_time=now, with_second_factor=has_factor)
    return access_tokens.issue(keys, replace(claims, proof=proof), issuer=asked.issuer, now=now)


def renew(
    database: Database, token_keys: SecretSource, asked: Asked, *, refresh_token: str
) -> Tokens:
    """Replaces the refresh token. Raises InvalidRefreshToken."""
    keys, now = _signing_keys(token_keys), datetime.now(UTC)
    successor = refresh_tokens.generate()
    renewed = queries.refresh_session(
        database,
        token_hash=refresh_tokens.digest(refresh_token),
        new_hash=refresh_tokens.digest(successor),
        request=asked.facts(),
    )
    if renewed is None or renewed.is_reused:
        raise InvalidRefreshToken
    proof = ProofOfSelf(
        sid=renewed.session_id,
        auth_time=min(renewed.signed_in_at, now),  # two clocks
        with_second_factor=renewed.with_second_factor,
    )
    claims = AccessClaims(
        sub=renewed.user_id,
        tid=renewed.tenant_id,
        role=renewed.role,
        sv=renewed.session_version,
        proof=proof,
    )
    return _tokens(keys, claims, successor, asked)


def log_out(database: Database, asked: Asked, refresh_token: str) -> None:
    queries.close_session(database, refresh_tokens.digest(refresh_token), asked.facts())


def _signing_keys(source: SecretSource) -> TokenKeys:
    """With one that signs, or NoSigningKey; a copy from before the first was made is read again."""
    keys, now = source.parsed(TokenKeys.parse), datetime.now(UTC)
    if not keys.has_signer(now):
        keys = source.parsed(TokenKeys.parse, fresh=True)
        keys.signer(now)
    return keys


def _verify(admission: Admission, password: str) -> str | None:
    """The hash to keep from now on, where the stored one is out of date."""
    try:
        if admission.password_hash is None:
            passwords.verify_dummy(password)
        passwords.verify(admission.password_hash, password)
    except passwords.WrongPassword:
        raise InvalidCredentials from None
    needs_rehash = passwords.check_needs_rehash(admission.password_hash)
    return passwords.hash(password) if needs_rehash else None


def _matches(stored: str, password: str) -> bool:
    try:
        return passwords.verify(stored, password)
    except passwords.WrongPassword:
        return False


def _totp_step(
    master_keys: SecretSource,
    claims: AccessClaims,
    admission: SecondFactorAdmission | ProofAdmission,
    code: str,
    now: datetime,
) -> int | None:
    sealed = Sealed(master_version=admission.totp_master_version, blob=admission.totp_sealed or b"")
    secret = unseal(
        master_keys, sealed, tenant_id=claims.tid, kid=str(claims.sub), purpose=SECOND_FACTOR
    )
    return second_factor.matching_step(secret, code, now)


def _tokens(keys: TokenKeys, claims: AccessClaims, refresh_token: str, asked: Asked) -> Tokens:
    return Tokens(
        access_token=access_tokens.issue(keys, claims, issuer=asked.issuer, now=datetime.now(UTC)),
        refresh_token=refresh_token,
        expires_in=int(access_tokens.LIFETIME.total_seconds()),
    )
