"""What facts derive: the status, and how long the verdict cannot change by time alone."""

import pytest

from permit.check.facts import LicenceFacts
from tests.support.facts import DAY, NOW, STATUS, TICK, expired, facts


@pytest.mark.parametrize("name", STATUS)
def test_the_status_is_computed(name: str) -> None:
    """The status is the strongest thing that can be said of the licence now."""
    given, status = STATUS[name]
    assert status == given.status


UNCHANGED = {
    "perpetual": (facts(), None),
    "all past": (expired(for_=DAY, key_valid_until=NOW - DAY), None),
    "its end": (expired(for_=-DAY), NOW + DAY),
    "its end before its grace's": (expired(for_=-DAY, grace=DAY), NOW + DAY),
    "the end of grace, once in it": (expired(for_=DAY, grace=3 * DAY), NOW + 2 * DAY),
    "its start": (expired(for_=-DAY, starts_at=NOW + TICK), NOW + TICK),
    "the old key's end": (expired(for_=-DAY, key_valid_until=NOW + TICK), NOW + TICK),
    "an instant that is now has come": (facts(starts_at=NOW, key_valid_until=NOW), None),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_time_alone_changes_nothing_until_then(name: str) -> None:
    """The next instant at which a guard would see another time, or none."""
    given, instant = UNCHANGED[name]
    assert instant == given.unchanged_until


@pytest.mark.parametrize("state", ["lapsed", "released", "blocked", None])
def test_only_a_seated_device_holds_a_seat(state: str | None) -> None:
    """No other state counts as a seat."""
    given: LicenceFacts = facts(device_state=state)
    assert not given.has_seat
    assert facts().has_seat
