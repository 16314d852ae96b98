"""Facts of a licence in good standing, for tests that change what they are about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from permit.check.facts import LicenceFacts

NOW = datetime(2027, 3, 14, 9, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)  # the smallest step of the database's clock
DAY = timedelta(days=1)

_SEATED = LicenceFacts(
    checked_at=NOW,
    tenant_id="7d9f1c1e-5a0b-4f6e-9c3d-2b8e4a6f0c11",
    licence_id="0b1f5a62-95f0-4a3a-8d0e-1f6d4b7c2e90",
    licence_revision=1,
    policy_revision=1,
    product="editor",
    policy="Standard",
    metadata={},
    entitlements=["export", "print"],
    key_valid_until=None,
    revoked_at=None,
    suspended_at=None,
    starts_at=NOW - 30 * DAY,
    expires_at=None,
    grace_ends_at=None,
    on_expiry="block",
    device_required=True,
    activation="automatic",
    matching="exact",
    max_devices=3,
    overage=0,
    devices_used=1,
    lease_until=NOW + 7 * DAY,
    refresh_at=None,
    device_id="5c1d7f04-6c1c-4a57-9c53-d8f2f7c0a1b2",
    device_state="seated",
    first_seen_at=NOW - 2 * DAY,
    last_seen_at=NOW - DAY,
    seat_free_at=None,
    kid="kid",
    sealed_key=b"",
    master_version="1",
)


def facts(**changes: Any) -> LicenceFacts:
    """Facts of a perpetual licence with three seats; this device has the first one."""
    return replace(_SEATED, **changes)


def new_device(**changes: Any) -> LicenceFacts:
    """The same licence, asked about a device that it does not know."""
    unknown = {"device_id": None, "device_state": None, "first_seen_at": None, "last_seen_at": None}
    return facts(**{**unknown, **changes})


def expired(*, for_: timedelta, grace: timedelta = timedelta(0), **changes: Any) -> LicenceFacts:
    """The same licence, with a term that ended so long ago and with so much grace."""
    ended_at = NOW - for_
    return facts(expires_at=ended_at, grace_ends_at=ended_at + grace, **changes)


# The same of the function that the check has and of the one that the vendor's statements have.
STATUS = {
    "in force": (facts(), "active"),
    "revoked and suspended and expired": (
        expired(for_=DAY, revoked_at=NOW, suspended_at=NOW), "revoked"),
    "suspended and expired": (expired(for_=DAY, suspended_at=NOW), "suspended"),
    "waiting for its first check": (facts(starts_at=None), "not_started"),
    "waiting, and suspended": (facts(starts_at=None, suspended_at=NOW), "suspended"),
    "just before its start": (facts(starts_at=NOW + TICK), "not_started"),
    "at its start": (facts(starts_at=NOW), "active"),
    "just before its end": (expired(for_=-TICK), "active"),
    "at its end": (expired(for_=DAY * 0), "expired"),
    "at its end, with grace": (expired(for_=DAY * 0, grace=DAY), "grace"),
    "at the end of grace": (expired(for_=DAY, grace=DAY), "expired"),
    "expired, and goes on working": (expired(for_=DAY, on_expiry="allow"), "expired"),
}  # fmt: skip
