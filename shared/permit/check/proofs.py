"""Proofs: what a verdict's signature says, and the tenants' keys that make it."""

import hashlib
import secrets
from datetime import UTC, date, datetime, timedelta
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
_REFUSED_PAUSE = timedelta(minutes=10)  # before the next check; longer would make a customer wait
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
    version_date: date | None,
    nonce: str | None,
    base_url: str,
) -> str | None:
    """The verdict as a compact JWS. None without a licence: then no tenant's key can sign.

    To the holder of a replaced key it says nothing of the licence but its id and product.
    """
    facts, told = outcome.facts, outcome.told
    if facts is None:
        return None
    expires_at = None if told is None else told.expires_at
    return sign(
        keys.get(facts),
        {
            **_claims(
                facts,
                outcome.verdict,
                product=product,
                version_date=version_date,
                nonce=nonce,
                base_url=base_url,
                until=_good_until(facts, outcome.verdict),
            ),
            "dev": None if device is None else device.fingerprint_hash.hex(),
            "ent": [] if told is None else told.entitlements,
            "licence_expires_at": None if expires_at is None else rfc3339(expires_at),
            "on_expiry": None if told is None else told.on_expiry,
            "nca": _seconds(next_check_at(outcome)),
        },
    )


def next_check_at(outcome: CheckOutcome) -> datetime:
    """When the program should ask again: of a valid verdict always before its proof ends.

    Node-locked devices are spread over the third quarter of their lease, each always at the same
    place: else all that were installed on one day would ask on one day.
    """
    facts = outcome.facts
    if facts is None or not outcome.verdict.valid:
        return outcome.checked_at + _REFUSED_PAUSE
    lease = _good_until(facts, outcome.verdict) - facts.checked_at
    spread_at = facts.checked_at + lease * (0.5 + 0.25 * _place(facts))
    return spread_at if facts.refresh_at is None else min(spread_at, facts.refresh_at)


def _place(facts: LicenceFacts) -> float:
    """From 0 to less than 1, the same for a licence and a device at every check."""
    who = f"{facts.licence_id}/{facts.device_id}"
    digest = hashlib.sha256(who.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4]) / 2**32


def prove_usage(
    keys: ProofKeys,
    outcome: UsageOutcome,
    *,
    meter: str,
    product: str | None,
    version_date: date | None,
    nonce: str | None,
    base_url: str,
) -> str | None:
    """The count as a compact JWS. It is never a lease, so it expires soon."""
    facts = outcome.facts
    if facts is None:
        return None
    until = facts.checked_at + _INVALID_LIFETIME
    if facts.key_valid_until is not None and not facts.is_key_replaced:
        until = min(until, facts.key_valid_until)
    return sign_usage(
        keys.get(facts),
        {
            **_claims(
                facts,
                outcome.verdict,
                product=product,
                version_date=version_date,
                nonce=nonce,
                base_url=base_url,
                until=until,
            ),
            "allowed": outcome.allowed,
            "meter": meter,
            "used": outcome.used,
            "limit": outcome.limit,
            "resets_at": None if outcome.resets_at is None else rfc3339(outcome.resets_at),
        },
    )


def _claims(
    facts: LicenceFacts,
    verdict: Verdict,
    *,
    product: str | None,
    version_date: date | None,
    nonce: str | None,
    base_url: str,
    until: datetime,
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
        "ver": None if version_date is None else version_date.isoformat(),
        "nonce": nonce,
    }


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _good_until(facts: LicenceFacts, verdict: Verdict) -> datetime:
    """When the proof expires, in whole seconds as `exp` says it. A valid one is a lease."""
    until = facts.lease_until if verdict.valid else facts.checked_at + _INVALID_LIFETIME
    return until.replace(microsecond=0)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())
