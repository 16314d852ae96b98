"""Login, renewal and logout: the order of the steps."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from permit.db import Database
from permit.folding import fold_email
from permit.keys.master_keys import unseal
from permit.people.queries import sign_in as queries
from permit.people.refusals import (
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    SecondFactorRequired,
    TooManyAttempts,
)
from permit.people.rows import Admission, RenewedSession, SecondFactorAdmission
from permit.people.throttles import ACCOUNT, ADDRESS, PAIR, SECOND_FACTOR_STEP, throttled
from permit.secrets.sources import SecretSource
from permit.security import access_tokens, passwords, refresh_tokens, second_factor
from permit.security.access_tokens import FIRST_STEP, AccessClaims, InvalidToken, TokenKeys
from permit.security.sealing import SECOND_FACTOR, Sealed
from permit.security.throttling import parse_throttle_key, throttle_keys


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


def log_in(
    database: Database,
    secrets: LoginSecrets,
    *,
    email: str,
    password: str,
    address: str,
    issuer: str,
) -> Tokens:
    """Two round trips: admission under the throttle, and the session.

    With a second factor the first step ends in SecondFactorRequired, and its attempt stays counted.

    An unknown email takes the same steps at the same cost as a wrong password, and is throttled
    alike, or the throttle itself would tell which emails exist.

    Raises TooManyAttempts, InvalidCredentials.
    """
    # First, for its failures: without a key no login can complete, and none should be counted.
    keys = _signing_keys(secrets.token_keys)
    counted = throttle_keys(
        secrets.throttle_key.parsed(parse_throttle_key), email=email, address=address
    )
    admission = queries.admit_sign_in(
        database,
        fold_email(email),
        **throttled((counted.pair, PAIR), (counted.account, ACCOUNT), (counted.address, ADDRESS)),
    )
    if admission.retry_after is not None:
        raise TooManyAttempts(admission.retry_after)

    new_hash = _verify(admission, password)
    if admission.has_second_factor:
        raise SecondFactorRequired(
            access_tokens.issue(
                keys, _claims(admission), issuer=issuer, now=datetime.now(UTC), kind=FIRST_STEP
            )
        )
    refresh_token = refresh_tokens.generate()
    has_begun = queries.begin_session(
        database,
        admission,
        token_hash=refresh_tokens.digest(refresh_token),
        forget_keys=(counted.pair, counted.account),
        new_password_hash=new_hash,
    )
    if not has_begun:
        raise InvalidCredentials
    return _tokens(keys, _claims(admission), refresh_token, issuer)


def complete(
    database: Database,
    secrets: LoginSecrets,
    *,
    mfa_token: str,
    code: str,
    address: str,
    issuer: str,
) -> Tokens:
    """The second step: a code of the authenticator, or a recovery code; each serves once.

    Raises TooManyAttempts, InvalidCode.
    """
    keys, now = _signing_keys(secrets.token_keys), datetime.now(UTC)
    try:
        claims = access_tokens.verify(
            mfa_token, keys.jwks(now), issuer=issuer, now=now, kind=FIRST_STEP
        )
    except InvalidToken:
        raise InvalidCode from None
    throttle_key = secrets.throttle_key.parsed(parse_throttle_key)
    counted = throttle_keys(throttle_key, email=str(claims.sub), address=address)
    admission = queries.admit_second_factor(
        database,
        claims.tid,
        claims.sub,
        claims.sv,
        **throttled(
            (counted.pair, PAIR), (counted.account, SECOND_FACTOR_STEP), (counted.address, ADDRESS)
        ),
    )
    if admission.retry_after is not None:
        raise TooManyAttempts(admission.retry_after)
    if admission.totp_sealed is None:
        raise InvalidCode
    of_password = throttle_keys(throttle_key, email=admission.email, address=address)
    refresh_token = refresh_tokens.generate()
    has_begun = queries.begin_verified_session(
        database,
        claims.tid,
        claims.sub,
        claims.sv,
        totp_step=_totp_step(secrets.master_keys, claims, admission, code, now),
        recovery_hash=second_factor.recovery_digest(code),
        token_hash=refresh_tokens.digest(refresh_token),
        forget_keys=(counted.pair, counted.account, of_password.pair, of_password.account),
    )
    if not has_begun:
        raise InvalidCode
    return _tokens(keys, replace(claims, role=admission.role), refresh_token, issuer)


def renew(
    database: Database, token_keys: SecretSource, *, refresh_token: str, issuer: str
) -> Tokens:
    """Replaces the refresh token. Raises InvalidRefreshToken."""
    keys = _signing_keys(token_keys)
    successor = refresh_tokens.generate()
    renewed = queries.renew_session(
        database,
        token_hash=refresh_tokens.digest(refresh_token),
        new_hash=refresh_tokens.digest(successor),
    )
    if renewed is None or renewed.is_reused:
        raise InvalidRefreshToken
    return _tokens(keys, _claims(renewed), successor, issuer)


def log_out(database: Database, refresh_token: str) -> None:
    queries.end_session(database, refresh_tokens.digest(refresh_token))


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


def _totp_step(
    master_keys: SecretSource,
    claims: AccessClaims,
    admission: SecondFactorAdmission,
    code: str,
    now: datetime,
) -> int | None:
    sealed = Sealed(master_version=admission.totp_master_version, blob=admission.totp_sealed or b"")
    secret = unseal(
        master_keys, sealed, tenant_id=claims.tid, kid=str(claims.sub), purpose=SECOND_FACTOR
    )
    return second_factor.matching_step(secret, code, now)


def _claims(user: Admission | RenewedSession) -> AccessClaims:
    return AccessClaims(
        sub=user.user_id, tid=user.tenant_id, role=user.role, sv=user.session_version
    )


def _tokens(keys: TokenKeys, claims: AccessClaims, refresh_token: str, issuer: str) -> Tokens:
    return Tokens(
        access_token=access_tokens.issue(keys, claims, issuer=issuer, now=datetime.now(UTC)),
        refresh_token=refresh_token,
        expires_in=int(access_tokens.LIFETIME.total_seconds()),
    )
