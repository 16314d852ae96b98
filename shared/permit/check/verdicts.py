"""The verdict: ordered guards over the facts, the first that applies decides. Pure.

The codes and their order are a contract with every shipped application: append, never change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date
from typing import NamedTuple

from permit.check.facts import LicenceFacts


class Question(NamedTuple):
    """What the caller wants to know, beside the key and the device."""

    product: str | None = None
    entitlements: frozenset[str] = frozenset()
    version_date: date | None = None
    has_device: bool = False


class Verdict(NamedTuple):
    """Whether this copy may run here, and why: by a code for programs, a sentence for people."""

    code: str
    valid: bool
    detail: str


@dataclass(frozen=True, slots=True)
class _Guard:
    """A verdict, and the condition under which it applies."""

    verdict: Verdict
    applies: Callable[[LicenceFacts, Question], bool]


def _is_not_started(facts: LicenceFacts, _: Question) -> bool:
    return facts.starts_at is not None and facts.checked_at < facts.starts_at


def _is_version_covered(facts: LicenceFacts, question: Question) -> bool:
    if facts.expires_at is None:
        return True
    last_day = facts.expires_at.astimezone(UTC).date()
    return question.version_date is not None and question.version_date <= last_day


def _is_seat_missing(facts: LicenceFacts, _: Question) -> bool:
    # A lapsed device was activated once, and comes back by itself.
    is_activated = facts.device_state in ("seated", "lapsed") and facts.seat_free_at is None
    return not is_activated and facts.activation == "manual"


def _is_beyond(facts: LicenceFacts, question: Question, *, overage: int) -> bool:
    """Whether this device's place in the order of the seats is beyond `max_devices` + `overage`."""
    if not question.has_device or facts.max_devices is None:
        return False
    place = facts.seats_ahead if facts.has_seat else facts.devices_used
    return place >= facts.max_devices + overage


def _is_full(facts: LicenceFacts, question: Question) -> bool:
    return facts.refused == "full" or _is_beyond(facts, question, overage=facts.overage)


NOT_FOUND = Verdict("NOT_FOUND", False, "No licence has this key.")
MISTYPED = Verdict("NOT_FOUND", False, "The key is mistyped: no licence key reads like this.")
NOT_STARTED = Verdict("NOT_STARTED", False, "The licence has not started yet.")
METER_UNKNOWN = Verdict("METER_UNKNOWN", True, "The licence has no such meter.")
LIMIT_REACHED = Verdict("LIMIT_REACHED", True, "The limit of this period does not allow it.")
_VALID = Verdict("VALID", True, "The licence is valid.")

_GUARDS_OF_THE_LICENCE = (
    _Guard(
        Verdict("PRODUCT_MISMATCH", False, "The licence is for another product."),
        lambda f, q: q.product is not None and q.product != f.product,
    ),
    _Guard(
        Verdict("KEY_REPLACED", False, "The key was replaced by a new one."),
        lambda f, q: f.is_key_replaced,
    ),
    _Guard(
        Verdict("REVOKED", False, "The licence was revoked."),
        lambda f, q: f.revoked_at is not None,
    ),
    _Guard(
        Verdict("SUSPENDED", False, "The licence is suspended."),
        lambda f, q: f.suspended_at is not None,
    ),
    _Guard(NOT_STARTED, _is_not_started),
    _Guard(
        Verdict("EXPIRED", False, "The licence has expired."),
        lambda f, q: f.is_past_grace and f.on_expiry == "block",
    ),
    _Guard(
        Verdict(
            "VERSION_NOT_COVERED",
            False,
            "The licence covers versions built before it expired, and not this one.",
        ),
        lambda f, q: (
            f.is_past_grace and f.on_expiry == "maintain" and not _is_version_covered(f, q)
        ),
    ),
)

_GUARDS_BEFORE_THE_DEVICE = (
    *_GUARDS_OF_THE_LICENCE,
    _Guard(
        Verdict("ENTITLEMENTS_MISSING", False, "The licence does not grant what was asked for."),
        lambda f, q: not q.entitlements <= set(f.entitlements),
    ),
    _Guard(
        Verdict("DEVICE_REQUIRED", False, "The licence is checked with a device."),
        lambda f, q: f.device_required and not q.has_device,
    ),
)

_GUARDS_OF_THE_DEVICE = (
    _Guard(
        Verdict("DEVICE_BLOCKED", False, "The device is blocked."),
        lambda f, q: "blocked" in (f.device_state, f.refused),
    ),
    _Guard(
        Verdict("DEVICE_ALREADY_USED", False, "The device was used with another licence."),
        lambda f, q: f.used_elsewhere,
    ),
    _Guard(
        Verdict("DEVICE_NOT_ACTIVATED", False, "The device has not been activated."),
        lambda f, q: q.has_device and _is_seat_missing(f, q),
    ),
    _Guard(Verdict("TOO_MANY_DEVICES", False, "No seat is free for this device."), _is_full),
    _Guard(
        Verdict(
            "TOO_MANY_DEVICES", False, "The licence has met too many new devices within an hour."
        ),
        lambda f, q: f.refused == "newcomers",
    ),
    _Guard(
        Verdict("TOO_MANY_DEVICES", True, "The device is beyond the limit, and tolerated."),
        lambda f, q: _is_beyond(f, q, overage=0),
    ),
)

_GUARDS_OF_THE_TERM = (
    _Guard(
        Verdict("EXPIRED", True, "The licence has expired, and goes on working."),
        lambda f, q: f.is_past_grace,
    ),
    _Guard(
        Verdict("GRACE", True, "The licence has expired, and is in its period of grace."),
        lambda f, q: f.is_expired,
    ),
)

_GUARDS = (*_GUARDS_BEFORE_THE_DEVICE, *_GUARDS_OF_THE_DEVICE, *_GUARDS_OF_THE_TERM)


def judge(facts: LicenceFacts, question: Question) -> Verdict:
    """The verdict; a device without a seat is judged as if it took the next one."""
    for guard in _GUARDS:
        if guard.applies(facts, question):
            return guard.verdict
    return _VALID


def judge_term(facts: LicenceFacts, question: Question) -> Verdict:
    """Whether the licence is in force for this product and version, whatever the device."""
    for guard in (*_GUARDS_OF_THE_LICENCE, *_GUARDS_OF_THE_TERM):
        if guard.applies(facts, question):
            return guard.verdict
    return _VALID


def is_decided_without_device(verdict: Verdict) -> bool:
    """Whether the verdict is this one whatever device asks."""
    return verdict is NOT_FOUND or any(g.verdict is verdict for g in _GUARDS_BEFORE_THE_DEVICE)
