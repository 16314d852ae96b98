"""The guards as a table: facts and a question on the left, a code and its validity on the right."""

from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from permit.check.facts import LicenceFacts
from permit.check.verdicts import NOT_FOUND, Question, is_decided_without_device, judge
from tests.support.facts import DAY, NOW, TICK, expired, facts, new_device

DEVICE = Question(has_device=True)
NO_DEVICE = Question()
NOTHING = timedelta(0)


def asked(**changes: Any) -> Question:
    return DEVICE._replace(**changes)


CASES: dict[str, tuple[LicenceFacts, Question, str, bool]] = {
    "in good standing": (facts(), DEVICE, "VALID", True),
    "its own product": (facts(), asked(product="editor"), "VALID", True),
    "another product": (facts(), asked(product="viewer"), "PRODUCT_MISMATCH", False),
    "a product in another case": (facts(), asked(product="Editor"), "PRODUCT_MISMATCH", False),
    "key in its overlap": (facts(key_valid_until=NOW + TICK), DEVICE, "VALID", True),
    "key at the overlap's end": (facts(key_valid_until=NOW), DEVICE, "KEY_REPLACED", False),
    "key long replaced": (facts(key_valid_until=NOW - DAY), DEVICE, "KEY_REPLACED", False),
    "revoked": (facts(revoked_at=NOW), DEVICE, "REVOKED", False),
    "suspended": (facts(suspended_at=NOW), DEVICE, "SUSPENDED", False),
    "just before its start": (facts(starts_at=NOW + TICK), DEVICE, "NOT_STARTED", False),
    "at its start": (facts(starts_at=NOW), DEVICE, "VALID", True),
    "waiting for its first check": (facts(starts_at=None), DEVICE, "VALID", True),
    "no entitlement asked": (facts(entitlements=[]), DEVICE, "VALID", True),
    "every entitlement granted": (
        facts(), asked(entitlements=frozenset({"export", "print"})), "VALID", True),
    "one entitlement of two missing": (
        facts(), asked(entitlements=frozenset({"export", "sync"})), "ENTITLEMENTS_MISSING", False),
    "an entitlement in another case": (
        facts(), asked(entitlements=frozenset({"Export"})), "ENTITLEMENTS_MISSING", False),
    "no device where one is needed": (new_device(), NO_DEVICE, "DEVICE_REQUIRED", False),
    "no device where none is needed": (
        new_device(device_required=False, max_devices=None), NO_DEVICE, "VALID", True),
    "blocked": (facts(device_state="blocked"), DEVICE, "DEVICE_BLOCKED", False),
    "found blocked when it claimed": (
        new_device(refused="blocked"), DEVICE, "DEVICE_BLOCKED", False),
    "seated elsewhere": (new_device(used_elsewhere=True), DEVICE, "DEVICE_ALREADY_USED", False),
    "new, activated by hand only": (
        new_device(activation="manual"), DEVICE, "DEVICE_NOT_ACTIVATED", False),
    "released, activated by hand only": (
        facts(activation="manual", device_state="released"), DEVICE, "DEVICE_NOT_ACTIVATED", False),
    "lapsed, activated by hand once": (
        facts(activation="manual", device_state="lapsed"), DEVICE, "VALID", True),
    "given back, activated by hand only": (
        facts(activation="manual", seat_free_at=NOW + DAY), DEVICE, "DEVICE_NOT_ACTIVATED", False),
    "given back, and comes again": (
        facts(seat_free_at=NOW + DAY, devices_used=3), DEVICE, "VALID", True),
    "seated by hand": (facts(activation="manual"), DEVICE, "VALID", True),
    "new, a seat free": (new_device(devices_used=2), DEVICE, "VALID", True),
    "new, none free": (new_device(devices_used=3), DEVICE, "TOO_MANY_DEVICES", False),
    "lapsed, a seat free": (facts(device_state="lapsed", devices_used=2), DEVICE, "VALID", True),
    "lapsed, none free": (
        facts(device_state="lapsed", devices_used=3), DEVICE, "TOO_MANY_DEVICES", False),
    "seated, the last within the limit": (
        facts(devices_used=3, seats_ahead=2), DEVICE, "VALID", True),
    "seated, within a lowered limit": (facts(max_devices=1, devices_used=3), DEVICE, "VALID", True),
    "seated, beyond a lowered limit": (
        facts(max_devices=1, devices_used=3, seats_ahead=1), DEVICE, "TOO_MANY_DEVICES", False),
    "no seats at all": (
        new_device(max_devices=0, devices_used=0), DEVICE, "TOO_MANY_DEVICES", False),
    "unlimited": (facts(max_devices=None, devices_used=10**6), DEVICE, "VALID", True),
    "new, within the overage": (
        new_device(overage=1, devices_used=3), DEVICE, "TOO_MANY_DEVICES", True),
    "seated, within the overage": (
        facts(overage=1, devices_used=4, seats_ahead=3), DEVICE, "TOO_MANY_DEVICES", True),
    "new, beyond the overage": (
        new_device(overage=1, devices_used=4), DEVICE, "TOO_MANY_DEVICES", False),
    "seated, beyond the overage": (
        facts(overage=1, devices_used=5, seats_ahead=4), DEVICE, "TOO_MANY_DEVICES", False),
    "claimed the last seat too late": (
        new_device(refused="full", devices_used=2), DEVICE, "TOO_MANY_DEVICES", False),
    "one of too many newcomers": (
        new_device(refused="newcomers"), DEVICE, "TOO_MANY_DEVICES", False),
}  # fmt: skip

TERMS: dict[str, tuple[LicenceFacts, Question, str, bool]] = {
    "just before the end": (expired(for_=-TICK), DEVICE, "VALID", True),
    "at the end": (expired(for_=NOTHING), DEVICE, "EXPIRED", False),
    "at the end, grace to come": (expired(for_=NOTHING, grace=DAY), DEVICE, "GRACE", True),
    "just before grace ends": (expired(for_=DAY - TICK, grace=DAY), DEVICE, "GRACE", True),
    "at the end of grace": (expired(for_=DAY, grace=DAY), DEVICE, "EXPIRED", False),
    "allow, in grace": (expired(for_=NOTHING, grace=DAY, on_expiry="allow"), DEVICE, "GRACE", True),
    "allow, past grace": (expired(for_=DAY, grace=DAY, on_expiry="allow"), DEVICE, "EXPIRED", True),
    "maintain, in grace, any version": (
        expired(for_=NOTHING, grace=DAY, on_expiry="maintain"), DEVICE, "GRACE", True),
    "maintain, past, no version given": (
        expired(for_=DAY, on_expiry="maintain"), DEVICE, "VERSION_NOT_COVERED", False),
    "maintain, past, built on the last day": (
        expired(for_=DAY, on_expiry="maintain"),
        asked(version_date=(NOW - DAY).date()), "EXPIRED", True),
    "maintain, past, built the day after": (
        expired(for_=DAY, on_expiry="maintain"),
        asked(version_date=NOW.date()), "VERSION_NOT_COVERED", False),
    "maintain, not past, built in the future": (
        expired(for_=-DAY, on_expiry="maintain"),
        asked(version_date=date(2099, 1, 1)), "VALID", True),
    "block, past, built long ago": (
        expired(for_=DAY), asked(version_date=date(2020, 1, 1)), "EXPIRED", False),
}  # fmt: skip


@pytest.mark.parametrize("name", [*CASES, *TERMS])
def test_the_verdict_follows_from_the_facts(name: str) -> None:
    """These facts and this question give this code, valid or not."""
    given, question, code, valid = (CASES | TERMS)[name]

    verdict = judge(given, question)

    assert (code, valid) == (verdict.code, verdict.valid)


def test_the_last_day_of_maintenance_is_told_in_utc() -> None:
    """Where the term ends at 23:30 UTC, a zone east of it does not add a day."""
    ends_at = datetime.fromisoformat("2027-02-01T01:30:00+02:00")
    ended = facts(expires_at=ends_at, grace_ends_at=ends_at, on_expiry="maintain")

    codes = [
        judge(ended, asked(version_date=built)).code
        for built in (date(2027, 1, 31), date(2027, 2, 1))
    ]

    assert ["EXPIRED", "VERSION_NOT_COVERED"] == codes


def test_the_limit_of_newcomers_has_words_of_its_own() -> None:
    """Seats are free: who reads the detail must not look for a device to release."""
    full, newcomers = (judge(new_device(refused=why), DEVICE) for why in ("full", "newcomers"))

    assert full.code == newcomers.code == "TOO_MANY_DEVICES"
    assert "No seat is free for this device." == full.detail
    assert "The licence has met too many new devices within an hour." == newcomers.detail


# What makes each guard apply, in the order of the contract. Later ones must leave the earlier be.
ORDER: tuple[tuple[str, bool, dict[str, Any], dict[str, Any]], ...] = (
    ("PRODUCT_MISMATCH", False, {}, {"product": "viewer"}),
    ("KEY_REPLACED", False, {"key_valid_until": NOW}, {}),
    ("REVOKED", False, {"revoked_at": NOW}, {}),
    ("SUSPENDED", False, {"suspended_at": NOW}, {}),
    ("NOT_STARTED", False, {"starts_at": NOW + TICK}, {}),
    ("EXPIRED", False, {"expires_at": NOW, "grace_ends_at": NOW, "on_expiry": "block"}, {}),
    ("VERSION_NOT_COVERED", False,
     {"expires_at": NOW, "grace_ends_at": NOW, "on_expiry": "maintain"}, {}),
    ("ENTITLEMENTS_MISSING", False, {"entitlements": []}, {"entitlements": frozenset({"sync"})}),
    ("DEVICE_REQUIRED", False, {"device_required": True}, {"has_device": False}),
    ("DEVICE_BLOCKED", False, {"device_state": "blocked"}, {}),
    ("DEVICE_ALREADY_USED", False, {"used_elsewhere": True}, {}),
    ("DEVICE_NOT_ACTIVATED", False, {"device_state": "released", "activation": "manual"}, {}),
    ("TOO_MANY_DEVICES", False, {"seats_ahead": 9, "devices_used": 9}, {}),
    ("TOO_MANY_DEVICES", True, {"seats_ahead": 3, "devices_used": 3, "overage": 1}, {}),
    ("EXPIRED", True, {"expires_at": NOW, "grace_ends_at": NOW, "on_expiry": "allow"}, {}),
    ("GRACE", True, {"expires_at": NOW, "grace_ends_at": NOW + TICK}, {}),
)  # fmt: skip
PAIRS = [
    pytest.param(first, second, id=f"{first[0]}-{first[1]} before {second[0]}-{second[1]}")
    for first, second in combinations(ORDER, 2)
    # Two that say the opposite of one column cannot both apply.
    if all(second[2].get(column, value) == value for column, value in first[2].items())
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_guards_that_apply_the_earlier_decides(first: Any, second: Any) -> None:
    """With both reasons at once the earlier one decides."""
    given = facts(**{**first[2], **second[2]})
    question = asked(**{**first[3], **second[3]})

    verdict = judge(given, question)

    assert first[:2] == (verdict.code, verdict.valid)


def test_nearly_every_pair_of_guards_can_meet() -> None:
    """The table above is not hollow: most of the 120 pairs are in it."""
    assert len(PAIRS) >= 100


@pytest.mark.parametrize("row", ORDER, ids=lambda row: f"{row[0]}-{row[1]}")
def test_what_no_device_changes_is_known(row: Any) -> None:
    """Guards 1 to 10 are decided without a device, the others wait for what is known of it."""
    code, valid, changes, question = row
    places = [(each[0], each[1]) for each in ORDER]

    verdict = judge(facts(**changes), asked(**question))

    is_early = places.index((code, valid)) <= places.index(("DEVICE_REQUIRED", False))
    assert is_early == is_decided_without_device(verdict)


def test_not_found_is_decided_without_a_device() -> None:
    """No device changes that nobody has the key; a valid verdict is not decided without one."""
    assert is_decided_without_device(NOT_FOUND)
    assert not is_decided_without_device(judge(facts(), DEVICE))


def test_details_quote_nothing() -> None:
    """Each verdict says its reason in a sentence of its own, the same for every licence."""
    verdicts = [judge(facts(**row[2]), asked(**row[3])) for row in ORDER]

    assert len(ORDER) == len({verdict.detail for verdict in verdicts})
    assert all(verdict.detail.endswith(".") for verdict in verdicts)
