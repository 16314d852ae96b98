"""The check and the release, each one call of a door."""

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from permit.check.facts import DeviceSent, LicenceFacts, ReleaseOutcome, SeatClaim
from permit.db import Database

_FIELDS = tuple(field.name for field in fields(LicenceFacts))
# What the door leaves out where the limit cannot decide, which is most checks.
_NOTHING_MORE = {"used_elsewhere": False, "seats_ahead": 0, "seated_devices": None}
_INSTANTS = (
    *("checked_at", "key_valid_until", "revoked_at", "suspended_at", "starts_at", "expires_at"),
    *("grace_ends_at", "lease_until", "refresh_at", "first_seen_at", "last_seen_at"),
    "seat_free_at",
)


def find_facts(
    database: Database, key_hash: bytes, device: DeviceSent | None
) -> LicenceFacts | None:
    """The facts for a check of this key; rewrites the device's last_seen_at when that is due."""
    answer = database.fetch_value(
        """
        SELECT permit.check_key(
            %(key_hash)s, %(fingerprint_hash)s, %(components)s, %(name)s, %(platform)s, %(version)s)
        """,
        _parameters(key_hash, device),
        is_repeatable=True,
    )
    return _facts(answer, refused=None)


def claim_seat(
    database: Database, key_hash: bytes, device: DeviceSent | None, seen: LicenceFacts
) -> LicenceFacts | None:
    """Takes a seat and begins the term, if the licence has not changed since it was read."""
    claim = database.fetch_one(
        SeatClaim,
        """
        SELECT answer, refused FROM permit.claim_seat_by_key(
            %(key_hash)s, %(fingerprint_hash)s, %(components)s, %(name)s, %(platform)s, %(version)s,
            %(licence_revision)s, %(policy_revision)s, %(unchanged_until)s)
        """,
        {
            **_parameters(key_hash, device),
            "licence_revision": seen.licence_revision,
            "policy_revision": seen.policy_revision,
            "unchanged_until": seen.unchanged_until,
        },
        is_repeatable=True,
    )
    assert claim is not None  # noqa: S101 (the door always answers one row)
    return _facts(claim.answer, refused=claim.refused)


def count_usage(
    database: Database,
    key_hash: bytes,
    seen: LicenceFacts,
    *,
    meter: str,
    quantity: int,
    request_hash: bytes | None,
) -> dict[str, Any]:
    """{outcome, used, limit, resets_at} of permit.count_usage.

    Repeated on a lost connection only where an idempotency key makes that safe.
    """
    return database.fetch_value(
        """
        SELECT permit.count_usage(
            %(key_hash)s, %(licence_revision)s, %(policy_revision)s, %(unchanged_until)s,
            %(meter)s, %(quantity)s, %(request_hash)s)
        """,
        {
            "key_hash": key_hash,
            "licence_revision": seen.licence_revision,
            "policy_revision": seen.policy_revision,
            "unchanged_until": seen.unchanged_until,
            "meter": meter,
            "quantity": quantity,
            "request_hash": request_hash,
        },
        is_repeatable=request_hash is not None,
    )


def release_device(
    database: Database, key_hash: bytes, fingerprint_hash: bytes | None, device_id: UUID | None
) -> ReleaseOutcome:
    """Not repeated on a lost connection: the second answer would deny what the first one did."""
    outcome = database.fetch_one(
        ReleaseOutcome,
        """
        SELECT code, devices_used, available_at, seat_free_at
          FROM permit.release_seat(%(key_hash)s, %(fingerprint_hash)s, %(device_id)s)
        """,
        {"key_hash": key_hash, "fingerprint_hash": fingerprint_hash, "device_id": device_id},
    )
    assert outcome is not None  # noqa: S101 (the door always answers one row)
    return outcome


def _parameters(key_hash: bytes, device: DeviceSent | None) -> dict[str, object]:
    if device is None:
        nothing = ("fingerprint_hash", "components", "name", "platform", "version")
        return {"key_hash": key_hash, **dict.fromkeys(nothing)}
    return {
        "key_hash": key_hash,
        "fingerprint_hash": device.fingerprint_hash,
        "components": None if device.components is None else Jsonb(device.components),
        "name": device.name,
        "platform": device.platform,
        "version": device.version,
    }


def _facts(answer: dict[str, Any] | None, *, refused: str | None) -> LicenceFacts | None:
    """The answer of permit.check_key, read by name.

    A newer door may answer more members than this code knows. A missing one raises KeyError: no
    verdict is made from incomplete facts.
    """
    if answer is None:
        return None
    more = answer["more"] or _NOTHING_MORE
    row: dict[str, Any] = {**answer["policy_facts"], **more, **answer, "refused": refused}
    for name in _INSTANTS:
        if row[name] is not None:
            row[name] = datetime.fromisoformat(row[name])
    row["sealed_key"] = bytes.fromhex(row["sealed_key"].removeprefix("\\x"))
    row["entitlements"] = sorted({*row["policy_entitlements"], *row["licence_entitlements"]})
    return LicenceFacts(**{name: row[name] for name in _FIELDS})
