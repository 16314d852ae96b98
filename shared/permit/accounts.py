"""Login, renewal and logout: the order of the steps."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from permit.db import Database
from permit.errors import InvalidCredentials, InvalidRefreshToken, TooManyAttempts
from permit.models import Admission, RenewedSession
from permit.queries import accounts
from permit.secret_sources import SecretSource
from permit.security import access_tokens, passwords, refresh_tokens
from permit.security.access_tokens import AccessClaims, TokenKeys
from permit.security.throttling import parse_throttle_key, throttle_keys


class _Throttle(NamedTuple):
    free_attempts: int
    delay_cap: int  # seconds


# A pair waits long, so guessing from one place is hopeless. The account as a whole waits briefly,
# so that nobody can lock a person out. An address is an office as often as an attacker.
_PAIR = _Throttle(free_attempts=5, delay_cap=900)
_ACCOUNT = _Throttle(free_attempts=10, delay_cap=30)
_ADDRESS = _Throttle(free_attempts=50, delay_cap=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    access_token: str
    refresh_token: str
    expires_in: int  # seconds, of the access token


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginSecrets:
    token_keys: SecretSource
    throttle_key: SecretSource


def fold_email(email: str) -> str:
    """The form in which emails are compared and kept."""
    return email.strip().casefold()


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

    An unknown email takes the same steps at the same cost as a wrong password, and is throttled
    alike, or the throttle itself would tell which emails exist.

    Raises TooManyAttempts, InvalidCredentials.
    """
    # First, for its failures: without a key no login can complete, and none should be counted.
    keys = _signing_keys(secrets.token_keys)
    counted = throttle_keys(
        secrets.throttle_key.parsed(parse_throttle_key), email=email, address=address
    )
    limits = (_PAIR, _ACCOUNT, _ADDRESS)
    admission = accounts.admit_login(
        database,
        fold_email(email),
        keys=(counted.pair, counted.account, counted.address),
        free_attempts=[limit.free_attempts for limit in limits],
        delay_caps=[limit.delay_cap for limit in limits],
    )
    if admission.retry_after is not None:
        raise TooManyAttempts(admission.retry_after)

    new_hash = _verify(admission, password)
    refresh_token = refresh_tokens.generate()
    has_begun = accounts.begin_session(
        database,
        admission,
        token_hash=refresh_tokens.digest(refresh_token),
        forget_keys=(counted.pair, counted.account),
        new_password_hash=new_hash,
    )
    if not has_begun:
        raise InvalidCredentials
    return _tokens(keys, _claims(admission), refresh_token, issuer)


def renew(
    database: Database, token_keys: SecretSource, *, refresh_token: str, issuer: str
) -> Tokens:
    """Replaces the refresh token. Raises InvalidRefreshToken."""
    keys = _signing_keys(token_keys)
    successor = refresh_tokens.generate()
    renewed = accounts.renew_session(
        database,
        token_hash=refresh_tokens.digest(refresh_token),
        new_hash=refresh_tokens.digest(successor),
    )
    if renewed is None or renewed.is_reused:
        raise InvalidRefreshToken
    return _tokens(keys, _claims(renewed), successor, issuer)


def log_out(database: Database, refresh_token: str) -> None:
    accounts.end_session(database, refresh_tokens.digest(refresh_token))


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
