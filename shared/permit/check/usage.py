"""Metered usage: counted while the licence is in force, and never past its limit."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from permit.check import queries
from permit.check.facts import LicenceFacts
from permit.check.verdicts import (
    LIMIT_REACHED,
    METER_UNKNOWN,
    MISTYPED,
    NOT_FOUND,
    NOT_STARTED,
    Question,
    Verdict,
    judge_term,
)
from permit.db import Database
from permit.errors import DatabaseUnavailable, IdempotencyKeyReused
from permit.security import licence_keys
from permit.security.api_keys import digest

# A count is stale only while somebody else is changing the licence or its policy.
_ATTEMPTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageSent:
    """How much of which meter is to be used."""

    meter: str
    quantity: int
    idempotency_key: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageOutcome:
    """The answer to a usage."""

    verdict: Verdict
    """Valid where the licence is in force, allowed or not."""
    allowed: bool
    used: int | None
    limit: int | None
    resets_at: datetime | None
    facts: LicenceFacts | None  # None where no licence has the key


def use(database: Database, key: str, sent: UsageSent, question: Question) -> UsageOutcome:
    """Two round trips: the facts, and the count. Raises IdempotencyKeyReused."""
    canonical = licence_keys.canonical(key)
    if canonical is None:  # a mistyped key never reaches the database
        return _uncounted(MISTYPED, None)
    key_hash = licence_keys.digest(canonical)
    for _ in range(_ATTEMPTS):
        facts = queries.find_facts(database, key_hash, None)
        if facts is None:
            return _uncounted(NOT_FOUND, None)
        verdict = judge_term(facts, question)
        if not verdict.valid:
            return _uncounted(verdict, facts)
        if facts.starts_at is None:  # only a check begins the term
            return _uncounted(NOT_STARTED, facts)
        counted = queries.count_usage(
            database,
            key_hash,
            facts,
            meter=sent.meter,
            quantity=sent.quantity,
            request_hash=None if sent.idempotency_key is None else digest(sent.idempotency_key),
        )
        if counted["outcome"] != "stale":
            return _outcome(verdict, facts, counted)
    raise DatabaseUnavailable("licence changed during every count")


def _outcome(verdict: Verdict, facts: LicenceFacts, counted: dict[str, Any]) -> UsageOutcome:
    outcome = counted["outcome"]
    if outcome == "reused":
        raise IdempotencyKeyReused("idempotency_key")
    if outcome == "unknown":
        return _uncounted(METER_UNKNOWN, facts)
    resets_at = counted["resets_at"]
    return UsageOutcome(
        verdict=verdict if outcome == "counted" else LIMIT_REACHED,
        allowed=outcome == "counted",
        used=counted["used"],
        limit=counted["limit"],
        resets_at=None if resets_at is None else datetime.fromisoformat(resets_at).astimezone(UTC),
        facts=facts,
    )


def _uncounted(verdict: Verdict, facts: LicenceFacts | None) -> UsageOutcome:
    return UsageOutcome(
        verdict=verdict, allowed=False, used=None, limit=None, resets_at=None, facts=facts
    )
