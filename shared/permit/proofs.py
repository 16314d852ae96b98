"""Proofs: what a verdict's signature says, and the tenants' keys that make it."""

import secrets
from datetime import UTC, datetime, timedelta

from permit.licensing import CheckOutcome
from permit.models import LicenceFacts
from permit.queries.checks import DeviceSent
from permit.secret_sources import SecretSource
from permit.security.proofs import ProofKey, sign
from permit.security.sealing import MasterKeys, Sealed, UnknownMasterKey
from permit.verdicts import Verdict

_BACKDATED = timedelta(minutes=5)  # for clocks that run behind
_INVALID_LIFETIME = timedelta(minutes=10)
_KEPT_KEYS = 512


class ProofKeys:
    """The tenants' signing keys, unsealed once an execution environment."""

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
        try:
            keys = self._source.parsed(MasterKeys.parse)
            return keys.unseal(sealed, tenant_id=facts.tenant_id, kid=facts.kid)
        except UnknownMasterKey:  # sealed under a version newer than what is cached here
            keys = self._source.parsed(MasterKeys.parse, fresh=True)
            return keys.unseal(sealed, tenant_id=facts.tenant_id, kid=facts.kid)


def prove(
    keys: ProofKeys,
    outcome: CheckOutcome,
    *,
    product: str | None,
    device: DeviceSent | None,
    nonce: str | None,
    base_url: str,
) -> str | None:
    """The verdict as a compact JWS; None where there is no licence, hence no tenant to sign."""
    facts = outcome.facts
    if facts is None:
        return None
    return sign(
        keys.get(facts),
        {
            "iss": f"{base_url}/v1/tenants/{facts.tenant_id}",
            "aud": product or facts.product,
            "prd": facts.product,
            "sub": str(facts.licence_id),
            "iat": _seconds(facts.checked_at),
            "nbf": _seconds(facts.checked_at - _BACKDATED),
            "exp": _seconds(_good_until(facts, outcome.verdict)),
            "jti": secrets.token_urlsafe(16),
            "valid": outcome.verdict.valid,
            "code": outcome.verdict.code,
            "dev": None if device is None else device.fingerprint_hash.hex(),
            "ent": facts.entitlements,
            "licence_expires_at": None if facts.expires_at is None else rfc3339(facts.expires_at),
            "on_expiry": facts.on_expiry,
            "nonce": nonce,
        },
    )


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _good_until(facts: LicenceFacts, verdict: Verdict) -> datetime:
    """When the proof ends: a valid one is a lease, never longer than what it stands on."""
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
