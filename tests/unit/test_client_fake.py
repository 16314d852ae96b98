"""The client's fake server gives the server's verdicts: one table, judged by both."""

import hashlib
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from permit.check.facts import LicenceFacts
from permit.check.verdicts import Question, judge
from permit_client.testing import FakeLicence, FakePermit
from tests.support.facts import DAY, NOW, expired, facts, new_device

DEVICE = hashlib.sha256(b"fake-device-0001").hexdigest()

# What is changed in the fake's licence, what is asked, and the same facts of the server's.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], LicenceFacts]] = {
    "in good standing": ({}, {}, facts()),
    "another product": ({}, {"product": "viewer"}, facts()),
    "revoked": ({"is_revoked": True}, {}, facts(revoked_at=NOW)),
    "suspended": ({"is_suspended": True}, {}, facts(suspended_at=NOW)),
    "revoked and suspended": (
        {"is_revoked": True, "is_suspended": True},
        {},
        facts(revoked_at=NOW, suspended_at=NOW),
    ),
    "not started": ({"starts_at": 1}, {}, facts(starts_at=NOW + DAY)),
    "expired": ({"expires_at": -1}, {}, expired(for_=DAY)),
    "in grace": (
        {"expires_at": -1, "grace": timedelta(days=3)},
        {},
        expired(for_=DAY, grace=timedelta(days=3)),
    ),
    "expired, and allowed": (
        {"expires_at": -1, "on_expiry": "allow"},
        {},
        expired(for_=DAY, on_expiry="allow"),
    ),
    "expired, and this build is covered": (
        {"expires_at": -1, "on_expiry": "maintain"},
        {"version_date": "2027-01-01"},
        expired(for_=DAY, on_expiry="maintain"),
    ),
    "expired, and this build is not": (
        {"expires_at": -1, "on_expiry": "maintain"},
        {"version_date": "2028-01-01"},
        expired(for_=DAY, on_expiry="maintain"),
    ),
    "expired, and the build is not known": (
        {"expires_at": -1, "on_expiry": "maintain"},
        {},
        expired(for_=DAY, on_expiry="maintain"),
    ),
    "an entitlement is missing": ({}, {"entitlements": ["fly"]}, facts()),
    "an entitlement is granted": ({}, {"entitlements": ["export"]}, facts()),
    "blocked": ({"blocked": {DEVICE}}, {}, facts(device_state="blocked")),
    "full": (
        {"seats": 1, "devices": {"another": {"seen": 0}}},
        {},
        new_device(max_devices=1, devices_used=1),
    ),
    "full, and suspended": (
        {"seats": 1, "devices": {"another": {"seen": 0}}, "is_suspended": True},
        {},
        new_device(max_devices=1, devices_used=1, suspended_at=NOW),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_fake_decides_as_the_server_does(name: str) -> None:
    changes, asked, server = CASES[name]
    fake = FakePermit()
    fake.clock.wall = NOW.timestamp()
    key = fake.issue(entitlements=("export", "print"), seats=3)
    licence: FakeLicence = fake.licence(key)
    for member, value in changes.items():
        days = member in ("expires_at", "starts_at")
        setattr(licence, member, NOW.timestamp() + value * DAY.total_seconds() if days else value)
    question = Question(
        product=asked.get("product"),
        entitlements=frozenset(asked.get("entitlements", ())),
        version_date=date.fromisoformat(asked["version_date"]) if "version_date" in asked else None,
        has_device=True,
    )

    verdict = judge(server, question)
    assert (verdict.code, verdict.valid) == fake.verdict(licence, {"key": key, **asked}, DEVICE)


def test_a_replaced_key() -> None:
    fake = FakePermit()
    old = fake.issue()
    new = fake.replace(old)
    verdict = judge(facts(key_valid_until=datetime.fromtimestamp(0, NOW.tzinfo)), Question())
    assert ("KEY_REPLACED", False) == (verdict.code, verdict.valid)
    assert verdict.code == fake.permit().check(old).why
    assert fake.permit().check(new).allowed
