"""Access tokens: EdDSA JWTs that live 15 minutes and are verified without a lookup (RFC 9068).

And their lesser kin: what proves between the two steps of a login that the first was passed.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import jwt

from permit.security.secret_formats import MalformedSecret
from permit.security.token_keys import LIFETIME, NoSigningKey, TokenKey, TokenKeys

__all__ = [
    "ACCESS",
    "AUDIENCE",
    "FIRST_STEP",
    "LIFETIME",
    "AccessClaims",
    "ExpiredToken",
    "InvalidToken",
    "Kind",
    "MalformedSecret",
    "NoSigningKey",
    "ProofOfSelf",
    "TokenKey",
    "TokenKeys",
    "UnknownKid",
    "issue",
    "verify",
]

AUDIENCE = "permit"
_ALGORITHM = "EdDSA"
_REQUIRED = ["iss", "aud", "sub", "tid", "role", "sv", "iat", "nbf", "exp", "jti"]
_LARGEST_VERSION = 2**31 - 1  # Postgres's integer
# Two machines' clocks differ a little; a token must be good the moment it is issued.
_SKEW = timedelta(seconds=30)
_LATEST = 2**53  # of a time: whatever reads JSON knows it exactly


class Kind(NamedTuple):
    """Which of the tokens: none passes for another."""

    type: str
    audience: str
    lifetime: timedelta


ACCESS = Kind("at+jwt", AUDIENCE, LIFETIME)
FIRST_STEP = Kind("mfa+jwt", "permit-mfa", timedelta(minutes=5))


class InvalidToken(Exception):
    """The token is not one of ours that is valid now. Its words never say why."""

    def __init__(self) -> None:
        super().__init__("the access token is not valid")


class ExpiredToken(InvalidToken):
    """The token is one of ours, and was valid before."""


class UnknownKid(InvalidToken):
    """No key of that name is known: a newer key set may have it, so one refresh is worth while."""


@dataclass(frozen=True, kw_only=True)
class ProofOfSelf:
    """How the user last showed that it is they, by a login or since."""

    sid: UUID | None
    """The session; None for who signed in under the version before."""
    auth_time: datetime
    with_second_factor: bool
    """`otp` in the claim `amr` (RFC 8176)."""


@dataclass(frozen=True, kw_only=True)
class AccessClaims:
    sub: UUID
    """The user."""
    tid: UUID
    """The user's tenant."""
    role: str
    sv: int
    """The user's session version, which a change of rights or password raises."""
    proof: ProofOfSelf | None = None
    """None in a first step, and in a token of the version before."""


def issue(
    keys: TokenKeys, claims: AccessClaims, *, issuer: str, now: datetime, kind: Kind = ACCESS
) -> str:
    key, issued_at = keys.signer(now), int(now.timestamp())
    payload = {
        "sub": str(claims.sub),
        "tid": str(claims.tid),
        "role": claims.role,
        "sv": claims.sv,
        **_proof_claims(claims.proof),
        "iss": issuer,
        "aud": kind.audience,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + int(kind.lifetime.total_seconds()),
        "jti": secrets.token_urlsafe(16),
    }
    headers = {"kid": key.kid, "typ": kind.type}
    return jwt.encode(payload, key.private_key, algorithm=_ALGORITHM, headers=headers)


def _proof_claims(proof: ProofOfSelf | None) -> dict[str, Any]:
    if proof is None:
        return {}
    return {
        **({} if proof.sid is None else {"sid": str(proof.sid)}),
        "auth_time": int(proof.auth_time.timestamp()),
        "amr": ["pwd", "otp"] if proof.with_second_factor else ["pwd"],
    }


def verify(
    token: str, jwks: Mapping[str, Any], *, issuer: str, now: datetime, kind: Kind = ACCESS
) -> AccessClaims:
    """The claims of a valid token, or InvalidToken; of one that was valid before, ExpiredToken."""
    try:
        key = _find_key(jwt.get_unverified_header(token), jwks, kind)
        payload = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=kind.audience,
            issuer=issuer,
            # PyJWT looks at its own clock; the times are checked against `now` below.
            options={
                "require": _REQUIRED,
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken from error
    expires_at = _require_begun(payload, now)
    claims = _parse_claims(payload)
    if now.timestamp() >= expires_at:
        raise ExpiredToken
    return claims


def _find_key(header: Mapping[str, Any], jwks: Mapping[str, Any], kind: Kind) -> jwt.PyJWK:
    if header.get("alg") != _ALGORITHM or header.get("typ") != kind.type:
        raise InvalidToken
    for key in jwks["keys"]:
        if key["kid"] == header.get("kid"):
            return jwt.PyJWK(key, algorithm=_ALGORITHM)
    raise UnknownKid


def _require_begun(payload: Mapping[str, Any], now: datetime) -> int:
    """When it ends."""
    times = [payload[name] for name in ("iat", "nbf", "exp")]
    if not all(type(time) is int and abs(time) <= _LATEST for time in times):
        raise InvalidToken
    issued_at, not_before, expires_at = times
    if max(issued_at, not_before) - _SKEW.total_seconds() > now.timestamp():
        raise InvalidToken
    return expires_at


def _parse_claims(payload: Mapping[str, Any]) -> AccessClaims:
    role, session_version = payload["role"], payload["sv"]
    if not isinstance(role, str) or type(session_version) is not int:
        raise InvalidToken
    if not 0 < session_version <= _LARGEST_VERSION:
        raise InvalidToken
    try:
        return AccessClaims(
            sub=UUID(payload["sub"]),
            tid=UUID(payload["tid"]),
            role=role,
            sv=session_version,
            proof=_parse_proof(payload) if "auth_time" in payload else None,
        )
    except (ValueError, AttributeError, TypeError, KeyError, OverflowError, OSError) as error:
        raise InvalidToken from error


def _parse_proof(payload: Mapping[str, Any]) -> ProofOfSelf:
    auth_time, methods = payload["auth_time"], payload["amr"]
    if type(auth_time) is not int or auth_time > payload["iat"] or not isinstance(methods, list):
        raise InvalidToken
    return ProofOfSelf(
        sid=UUID(payload["sid"]) if "sid" in payload else None,
        auth_time=datetime.fromtimestamp(auth_time, UTC),
        with_second_factor="otp" in methods,
    )
