"""The proof, signed with PyJWT: the claims of permit.proofs."""

import secrets
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from permit.check.facts import LicenceFacts
from permit.check.verdicts import Verdict
from permit.security.sealing import PROOF_KEY, MasterKeys, Sealed

_private_keys: dict[str, Ed25519PrivateKey] = {}


def prove(
    facts: LicenceFacts,
    verdict: Verdict,
    *,
    master_keys: str,
    issuer: str,
    audience: str,
    fingerprint_hash: bytes | None,
    version_date: date | None,
    next_at: datetime,
    nonce: str | None,
) -> str:
    issued_at = int(facts.checked_at.timestamp())
    claims = {
        "iss": f"{issuer}/v1/tenants/{facts.tenant_id}",
        "aud": audience,
        "prd": facts.product,
        "sub": facts.licence_id,
        "iat": issued_at,
        "nbf": issued_at - 300,
        "exp": _expiry(facts, verdict),
        "jti": secrets.token_urlsafe(16),
        "valid": verdict.valid,
        "code": verdict.code,
        "dev": None if fingerprint_hash is None else fingerprint_hash.hex(),
        "ent": facts.entitlements,
        "licence_expires_at": (
            None if facts.expires_at is None else facts.expires_at.astimezone(UTC).isoformat()
        ),
        "on_expiry": facts.on_expiry,
        "ver": None if version_date is None else version_date.isoformat(),
        "nca": int(next_at.timestamp()),
        "nonce": nonce,
    }
    return jwt.encode(
        claims,
        _private_key(facts, master_keys),
        algorithm="EdDSA",
        headers={"kid": facts.kid, "typ": "permit-proof+jwt"},
    )


def _expiry(facts: LicenceFacts, verdict: Verdict) -> int:
    if not verdict.valid:
        return int((facts.checked_at + timedelta(minutes=10)).timestamp())
    return int(facts.lease_until.timestamp())


def _private_key(facts: LicenceFacts, master_keys: str) -> Ed25519PrivateKey:
    """Unsealed once a process, as Permit does."""
    if facts.kid not in _private_keys:
        sealed = Sealed(master_version=facts.master_version, blob=facts.sealed_key)
        seed = _parsed(master_keys).unseal(
            sealed, tenant_id=UUID(facts.tenant_id), kid=facts.kid, purpose=PROOF_KEY
        )
        _private_keys[facts.kid] = Ed25519PrivateKey.from_private_bytes(seed)
    return _private_keys[facts.kid]


@cache
def _parsed(master_keys: str) -> MasterKeys:
    return MasterKeys.parse(Path(master_keys.removeprefix("file:")).read_text(encoding="utf-8"))
