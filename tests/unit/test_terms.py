"""The terms that a vendor sets: what is accepted of a policy and of a licence, and what is not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from permit.errors import InvalidRequest
from permit.licences.terms import LicenceTerms, PolicyTerms


def policy(**terms: Any) -> PolicyTerms:
    return PolicyTerms.model_validate({"name": "Standard", **terms})


def test_the_defaults_close_holes() -> None:
    """Unless the vendor says otherwise a device is needed, expiry blocks, releases are counted."""
    defaults = policy()

    assert defaults.device_required is True
    assert "block" == defaults.on_expiry
    assert 0 == defaults.overage
    assert 3 == defaults.max_releases
    assert "P7D" == defaults.lease
    assert defaults.self_service is True


@pytest.mark.parametrize(
    "terms",
    [
        {"max_devices": 1},
        {"max_devices": 0},
        {"seat_ttl": "PT1H"},
        {"activation": "manual"},
        {"max_devices": 1, "seat_ttl": "PT1H", "activation": "manual"},
    ],
    ids=["limit", "limit of none", "floating", "manual", "all three"],
)
def test_a_device_is_required_where_seats_are_counted(terms: dict[str, Any]) -> None:
    """Otherwise a caller would escape the limit by naming no device."""
    with pytest.raises(InvalidRequest) as refused:
        policy(device_required=False, **terms)

    assert ["device_required"] == [field for field, _ in refused.value.errors]
    assert policy(device_required=True, **terms)


@pytest.mark.parametrize(
    "terms", [{}, {"overage": 2}, {"duration": "P1Y"}], ids=["bare", "overage", "duration"]
)
def test_a_device_may_be_left_out_where_nothing_is_counted(terms: dict[str, Any]) -> None:
    """A licence that limits no devices can be checked without one."""
    assert policy(device_required=False, **terms).device_required is False


REFUSED_POLICY: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "a\x00"},
    {"duration": "1 year"},
    {"duration": "PT0S"},
    {"duration": "P101Y"},
    {"grace": "-P1D"},
    {"seat_ttl": "PT1S"},
    {"lease": None},
    {"lease": "P2Y"},
    {"starts": "later"},
    {"on_expiry": "BLOCK"},
    {"activation": "none"},
    {"matching": "three"},
    {"unique": "tenant"},
    {"max_devices": -1},
    {"max_devices": 1_000_001},
    {"max_devices": "unlimited"},
    {"max_devices": True},
    {"max_devices": 1.0},
    {"max_devices": 10**30},
    {"overage": -1},
    {"overage": None},
    {"max_releases": -1},
    {"device_required": "no"},
    {"self_service": 0},
    {"entitlements": [""]},
    {"entitlements": ["a" * 65]},
    {"entitlements": ["a\x00"]},
    {"entitlements": ["x"] * 201},
    {"entitlements": "export"},
    {"metres": []},
    {"meters": [{"name": "a", "limit": 1}, {"name": "a", "limit": 2}]},
    {"meters": [{"name": "A", "limit": 1}]},
    {"meters": [{"name": "a", "limit": 1, "period": "PT1S"}]},
]


@pytest.mark.parametrize("terms", REFUSED_POLICY, ids=lambda terms: ascii(terms)[:40])
def test_terms_out_of_bounds_are_refused(terms: dict[str, Any]) -> None:
    """Each is refused, and named by its field."""
    with pytest.raises(ValidationError) as refused:
        policy(**terms)
    assert {*terms} == {str(error["loc"][0]) for error in refused.value.errors()}


INSTANTS = {
    "2027-01-31T10:00:00Z": datetime(2027, 1, 31, 10, tzinfo=UTC),
    "2027-01-31T10:00:00+05:30": datetime(2027, 1, 31, 4, 30, tzinfo=UTC),
    "1970-01-01T00:00:00Z": datetime(1970, 1, 1, tzinfo=UTC),
    "8999-12-31T23:59:59Z": datetime(8999, 12, 31, 23, 59, 59, tzinfo=UTC),
    "2027-01-31t10:00:00z": datetime(2027, 1, 31, 10, tzinfo=UTC),
    "2027-01-31T10:00:00+15:59": datetime(2027, 1, 30, 18, 1, tzinfo=UTC),
    "2027-01-31T10:00:00-15:59": datetime(2027, 2, 1, 1, 59, tzinfo=UTC),
}


@pytest.mark.parametrize("text", INSTANTS)
def test_an_instant_has_a_zone(text: str) -> None:
    """RFC 3339, read as the instant that it is."""
    assert INSTANTS[text] == LicenceTerms.model_validate({"expires_at": text}).expires_at


@pytest.mark.parametrize(
    "text",
    [
        *("2027-01-31T10:00:00", "2027-02-30T10:00:00Z", "tomorrow", "", "2027-01-31T25:00:00Z"),
        *("1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9000-01-01T00:00:00Z"),
        *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "10000-01-01T00:00:00Z"),
        *("2027-01-31T10:00:00+16:00", "2027-01-31T10:00:00-16:00", "2027-01-31T10:00:00+23:59"),
        *("2027-01-31T10:00:00+15:59:59", "2027-01-31T10:00:00+01:00:00.5"),
    ],
)
def test_an_instant_out_of_reach_is_refused(text: str) -> None:
    """Without a zone or in one that Postgres lacks, impossible, or too near the calendar's end."""
    with pytest.raises(ValidationError):
        LicenceTerms.model_validate({"expires_at": text})


@pytest.mark.parametrize("ends", ["2027-01-31T10:00:00Z", "2027-01-31T09:59:59Z"])
def test_a_term_has_length(ends: str) -> None:
    """A licence cannot end when it starts, or before."""
    with pytest.raises(InvalidRequest) as refused:
        LicenceTerms.model_validate({"starts_at": "2027-01-31T10:00:00Z", "expires_at": ends})
    assert ["expires_at"] == [field for field, _ in refused.value.errors]


@pytest.mark.parametrize(
    ("limit", "is_accepted"),
    [
        *((None, True), (0, True), (5, True), ("unlimited", True)),
        *(("Unlimited", False), ("5", False), (-1, False), (1.5, False)),
    ],
)
def test_a_licence_s_own_limit(limit: Any, is_accepted: bool) -> None:
    """Null inherits, a number limits, "unlimited" lifts; -1 is how that is stored, not said."""
    try:
        accepted = LicenceTerms.model_validate({"max_devices": limit}).max_devices == limit
    except ValidationError:
        accepted = False
    assert is_accepted == accepted


def metadata_of(size: int) -> dict[str, str]:
    return {"a": "x" * (size - len(json.dumps({"a": ""})))}


def test_metadata_has_a_size() -> None:
    """8 KiB as JSON and not a byte more, counted as it is written, escapes and all."""
    assert LicenceTerms(metadata=metadata_of(8192))
    with pytest.raises(ValidationError, match="8,192 bytes"):
        LicenceTerms(metadata=metadata_of(8193))


@pytest.mark.parametrize(
    "metadata",
    [None, [], "{}", {"a": "\x00"}, {"a": "\ud800"}, {"a": float("nan")}, {"a": 10**5000}, {1: 2}],
    ids=["null", "list", "text", "NUL", "surrogate", "NaN", "endless number", "unnamed"],
)
def test_metadata_is_an_object_that_can_be_stored(metadata: Any) -> None:
    """Anything else is refused before it meets the database."""
    with pytest.raises(ValidationError):
        LicenceTerms.model_validate({"metadata": metadata})


@pytest.mark.parametrize(
    "holder",
    [{"name": "\x00"}, {"email": "a"}, {"email": "x" * 255}, {"phone": "1"}, "Ada", {"name": ""}],
    ids=ascii,
)
def test_a_holder_is_checked_too(holder: Any) -> None:
    """The holder's fields are bounded and closed."""
    with pytest.raises(ValidationError):
        LicenceTerms.model_validate({"holder": holder})
