"""The check and the release: the order of the steps."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from permit.check import queries
from permit.check.facts import DeviceSent, LicenceFacts, ReleaseOutcome
from permit.check.verdicts import (
    MISTYPED,
    NOT_FOUND,
    Question,
    Verdict,
    is_decided_without_device,
    judge,
)
from permit.db import Database
from permit.errors import DatabaseUnavailable
from permit.security import licence_keys

# A claim is stale only while somebody else is changing the licence or its policy.
_CLAIM_ATTEMPTS = 4


class CheckOutcome(NamedTuple):
    """The answer to a check."""

    verdict: Verdict
    checked_at: datetime
    facts: LicenceFacts | None  # None where no licence has the key

    @property
    def told(self) -> LicenceFacts | None:
        """The facts that the holder of the key may see: of a replaced key, none."""
        return None if self.facts is None or self.facts.is_key_replaced else self.facts


def check(
    database: Database, key: str, device: DeviceSent | None, question: Question
) -> CheckOutcome:
    """The verdict, and the seat that goes with it: one round trip, or two for a new device."""
    canonical = licence_keys.canonical(key)
    if canonical is None:  # a mistyped key never reaches the database
        return _not_found(MISTYPED)
    key_hash = licence_keys.digest(canonical)

    facts = queries.find_facts(database, key_hash, device)
    if facts is None:
        return _not_found()
    verdict = judge(facts, question)
    attempts = 0
    while _needs_claim(facts, device, verdict):
        if attempts == _CLAIM_ATTEMPTS:
            raise DatabaseUnavailable("licence changed during every claim")
        attempts += 1
        facts = queries.claim_seat(database, key_hash, device, facts)
        if facts is None:
            return _not_found()
        verdict = judge(facts, question)
        if facts.refused != "stale":
            break
    return CheckOutcome(verdict=verdict, checked_at=facts.checked_at, facts=facts)


def release(
    database: Database, key: str, fingerprint_hash: bytes | None, device_id: UUID | None
) -> ReleaseOutcome:
    """Frees the seat of the device that is named by fingerprint or by id."""
    canonical = licence_keys.canonical(key)
    if canonical is None:
        return ReleaseOutcome(
            code="NOT_FOUND",
            devices_used=None,
            available_at=None,
            seat_free_at=None,
            mistyped=True,
        )
    return queries.release_device(
        database, licence_keys.digest(canonical), fingerprint_hash, device_id
    )


def _not_found(verdict: Verdict = NOT_FOUND) -> CheckOutcome:
    """Nothing is signed and nothing was compared with a time, so our own clock will do."""
    return CheckOutcome(verdict=verdict, checked_at=datetime.now(UTC), facts=None)


def _needs_claim(facts: LicenceFacts, device: DeviceSent | None, verdict: Verdict) -> bool:
    """Whether the lock is needed: to take a seat, to begin the term, to recognise a machine."""
    is_seated = device is None or (facts.has_seat and facts.seat_free_at is None)
    if is_seated and facts.starts_at is not None:  # nearly every check
        return False
    if is_decided_without_device(verdict):
        return False
    if device is not None and facts.device_id is None:
        may_be_known = facts.matching != "exact" and device.components is not None
        return verdict.valid or may_be_known
    return verdict.valid
