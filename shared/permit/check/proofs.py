"""Proofs: what a verdict's signature says, and the tenants' keys that make it."""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from permit.check.check import CheckOutcome
from permit.check.facts import DeviceSent, LicenceFacts
from permit.check.usage import UsageOutcome
from permit.check.verdicts import Verdict
from permit.keys.master_keys import unseal
from permit.secrets.sources import SecretSource
from permit.security.proofs import ProofKey, issuer, sign, sign_usage
from permit.security.sealing import PROOF_KEY, Sealed

_BACKDATED = timedelta(minutes=5)  # for clocks that run behind
_INVALID_LIFETIME = timedelta(minutes=10)
_KEPT_KEYS = 512


class ProofKeys:
    """The tenants' signing keys, each unsealed once in an execution environment."""

    def __init__(self, master_keys: SecretSource) -> None:
        self._source = master_keys
        self._opened: dict[str, ProofKey] = {}

    def get(self, facts: LicenceFacts) -> ProofKey:
        """The tenant's current key. Raises SecretUnavailable, UnknownMasterKey or SealBroken."""
        key = self._opened.get(facts.kid)
        if key is None:
            if len(self._opened) >= _KEPT_KEYS:
                self._opened.clear()
            key = self._opened[facts.kid] = ProofKey.from_seed(self._unseal(facts))
        return key

    def _unseal(self, facts: LicenceFacts) -> bytes:
        sealed = Sealed(master_version=facts.master_version, blob=facts.sealed_key)
        tenant_id = UUID(facts.tenant_id)
        return unseal(self._source, sealed, tenant_id=tenant_id, kid=facts.kid, purpose=PROOF_KEY)


def prove(
    keys: ProofKeys,
    outcome: CheckOutcome,
    *,
    product: str | None,
    device: DeviceSent | None,
    nonce: str | None,
    base_url: str,
) -> str | None:
    """The verdict as a compact JWS. None without a licence: then no tenant's key can sign."""
    facts = outcome.facts
    if facts is None:
        return None
    return sign(
        keys.get(facts),
        {
            **_claims(
                facts,
                outcome.verdict,
                product=product,
                base_url=base_url,
                until=_good_until(facts, outcome.verdict),
            ),
            "dev": None if device is None else device.fingerprint_hash.hex(),
            "ent": facts.entitlements,
            "licence_expires_at": None if facts.expires_at is None else rfc3339(facts.expires_at),
            "on_expiry": facts.on_expiry,
            "nonce": nonce,
        },
    )


def prove_usage(
    keys: ProofKeys,
    outcome: UsageOutcome,
    *,
    meter: str,
    product: str | None,
    nonce: str | None,
    base_url: str,
) -> str | None:
    """The count as a compact JWS. It is never a lease, so it expires soon."""
    facts = outcome.facts
    if facts is None:
        return None
    until = facts.checked_at + _INVALID_LIFETIME
    return sign_usage(
        keys.get(facts),
        {
            **_claims(facts, outcome.verdict, product=product, base_url=base_url, until=until),
            "allowed": outcome.allowed,
            "meter": meter,
            "used": outcome.used,
            "limit": outcome.limit,
            "resets_at": None if outcome.resets_at is None else rfc3339(outcome.resets_at),
            "nonce": nonce,
        },
    )


def _claims(
    facts: LicenceFacts, verdict: Verdict, *, product: str | None, base_url: str, until: datetime
) -> dict[str, object]:
    """The claims that both kinds of proof have."""
    return {
        "iss": issuer(base_url, facts.tenant_id),
        "aud": product or facts.product,
        "prd": facts.product,
        "sub": facts.licence_id,
        "iat": _seconds(facts.checked_at),
        "nbf": _seconds(facts.checked_at - _BACKDATED),
        "exp": _seconds(until),
        "jti": secrets.token_urlsafe(16),
        "valid": verdict.valid,
        "code": verdict.code,
    }


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _good_until(facts: LicenceFacts, verdict: Verdict) -> datetime:
    """When the proof expires. A valid one is a lease, and never outlives the licence or seat."""
    if not verdict.valid:
        return facts.checked_at + _INVALID_LIFETIME
    limits = [facts.lease_until]
    if facts.on_expiry == "block" and facts.grace_ends_at is not None:
        limits.append(facts.grace_ends_at)
    if facts.seat_lapses_at is not None:
        limits.append(facts.seat_lapses_at)
    return min(limits)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())
