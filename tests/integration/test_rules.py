"""Rules that SQL and Python both need, held equal; and rules of SQL that are written once."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import permit
from tests.support.deployment import FINGERPRINT, Deployment
from tests.support.facts import DAY, NOW, STATUS, TICK

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SHARED = Path(permit.__file__).parent


def test_the_status_is_the_same_in_both(deployment: Deployment) -> None:
    """permit.licence_status says of each licence what the check's facts say of it."""
    found: dict[str, str] = {}
    for name, (facts, _) in STATUS.items():
        grace = timedelta(0)
        if facts.expires_at is not None and facts.grace_ends_at is not None:
            grace = facts.grace_ends_at - facts.expires_at
        [(found[name],)] = deployment.sql(
            "SELECT permit.licence_status(%s, %s, %s, %s, %s, %s)",
            facts.revoked_at,
            facts.suspended_at,
            facts.starts_at,
            facts.expires_at,
            grace,
            facts.checked_at,
        )

    assert {name: status for name, (_, status) in STATUS.items()} == found
    assert {facts.status for facts, _ in STATUS.values()} == set(found.values())


ENDED = {"starts_at": "2026-01-01T00:00:00Z", "expires_at": "2026-06-30T00:00:00Z"}
LICENCES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "not_started": ({"starts": "on_first_check"}, {}, None),
    "active": ({}, {}, None),
    "grace": ({"grace": "P10Y"}, ENDED, None),
    "expired": ({"grace": "P1D"}, ENDED, None),
    "suspended": ({"grace": "P10Y"}, ENDED, "suspend-licence"),
    "revoked": ({}, {}, "revoke-licence"),
}


def test_vendor_and_program_are_told_the_same_status(deployment: Deployment) -> None:
    """The licence, the list, the list's filter and the check; grace and expired among them."""
    vendor = deployment.vendor
    ids: dict[str, str] = {}
    told: dict[str, tuple[str, str]] = {}
    for status, (terms, own, command) in LICENCES.items():
        licence = vendor.licence(vendor.policy(**terms), **own)
        ids[status] = licence["id"]
        if command is not None:
            vendor.command(command, licence)
        seen = vendor.call("GET", f"/v1/licences/{licence['id']}")["status"]
        # Asked about another product, a check begins no term.
        checked = deployment.check(licence["key"], product="another")["licence"]["status"]
        told[status] = (seen, checked)

    assert {status: (status, status) for status in LICENCES} == told
    for status, licence_id in ids.items():
        items = vendor.call("GET", "/v1/licences", query={"status": status})["items"]
        assert [(licence_id, status)] == [(item["id"], item["status"]) for item in items]


@pytest.mark.parametrize(
    ("terms", "is_kept"),
    [
        ({"on_expiry": "block"}, False),
        ({"on_expiry": "block", "grace": "P1D"}, True),
        ({"on_expiry": "allow"}, True),
        ({"on_expiry": "maintain"}, True),
    ],
    ids=["block", "block, in grace", "allow", "maintain"],
)
def test_a_seat_is_kept_alive_while_the_licence_is_in_force(
    deployment: Deployment, terms: dict[str, Any], is_kept: bool
) -> None:
    """A check that is answered as valid keeps the seat, also past the end of the term."""
    vendor = deployment.vendor
    licence = vendor.licence(vendor.policy(duration="PT30M", seat_ttl="PT1H", **terms))
    deployment.check(licence["key"], FINGERPRINT)

    states = []
    for _ in range(2):
        deployment.pass_time(timedelta(minutes=40))
        answer = deployment.check(licence["key"], FINGERPRINT, version_date="2026-01-01")
        assert is_kept == answer["valid"]
        states.append(answer["device"]["state"])

    assert ["seated", "seated" if is_kept else "lapsed"] == states


LAPSED = {
    "after seat_ttl": (NOW - HOUR, HOUR, False),
    "just before": (NOW - HOUR - 5 * MINUTE + TICK, HOUR, False),
    "at the instant": (NOW - HOUR - 5 * MINUTE, HOUR, True),
    "short, just before": (NOW - 5 * MINUTE + TICK, 4 * MINUTE, False),
    "short, at the instant": (NOW - 5 * MINUTE, 4 * MINUTE, True),
    "long after": (NOW - 30 * DAY, HOUR, True),
    "not floating": (NOW - 30 * DAY, None, False),
    "no device": (None, HOUR, False),
}


@pytest.mark.parametrize("name", LAPSED)
def test_a_seat_lapses_once_it_was_not_used_for_seat_ttl(deployment: Deployment, name: str) -> None:
    """Since the latest check that last_seen_at may stand for. Other states stay as they are."""
    last_seen_at, seat_ttl, has_lapsed = LAPSED[name]

    [(found, seated, *others)] = deployment.sql(
        """
        SELECT permit.has_lapsed(l, t, n),
               permit.device_state('seated', l, NULL, NULL, t, n),
               permit.device_state('blocked', l, NULL, NULL, t, n),
               permit.device_state('released', l, NULL, NULL, t, n),
               permit.device_state(NULL, l, NULL, NULL, t, n)
          FROM (SELECT %s::timestamptz, %s::interval, %s::timestamptz) AS given (l, t, n)
        """,
        last_seen_at,
        seat_ttl,
        NOW,
    )

    assert has_lapsed == found
    assert ["lapsed" if has_lapsed else "seated", "blocked", "released", None] == [seated, *others]


def test_when_a_seat_has_lapsed_is_said_once() -> None:
    """In permit.has_lapsed; whatever else compares a seat's last use with the time calls it."""
    said = re.compile(r"last_seen_at \+ [\w.]+ *(?:[<>]|AT TIME)")
    files = (path for path in SHARED.rglob("*") if path.suffix in (".sql", ".py"))

    assert 1 == sum(len(said.findall(path.read_text("utf-8"))) for path in files)


GIVEN_BACK = {
    "not yet": ({"free_at": NOW + TICK}, "seated"),
    "at the instant": ({"free_at": NOW}, "released"),
    "lapsed before that": ({"free_at": NOW + DAY, "seen_at": NOW - DAY}, "released"),
    "lapsed, with a proof that is still good": (
        {"seen_at": NOW - DAY, "leased_until": NOW + TICK}, "seated"),
    "lapsed, with a proof that has ended": ({"seen_at": NOW - DAY, "leased_until": NOW}, "lapsed"),
    "not lapsed, with a proof that has ended": ({"leased_until": NOW - DAY}, "seated"),
    "node-locked": ({"seat_ttl": None, "seen_at": NOW - DAY, "leased_until": NOW}, "seated"),
}  # fmt: skip


@pytest.mark.parametrize("name", GIVEN_BACK)
def test_a_seat_waits_for_its_last_proof(deployment: Deployment, name: str) -> None:
    """Given back it is free when that was said; else when it has lapsed and its proofs ended."""
    given, state = GIVEN_BACK[name]
    row = {"seen_at": NOW, "leased_until": None, "free_at": None, "seat_ttl": HOUR, **given}

    [(found,)] = deployment.sql(
        "SELECT permit.device_state('seated', %s, %s, %s, %s::interval, %s)",
        *(row[column] for column in ("seen_at", "leased_until", "free_at", "seat_ttl")),
        NOW,
    )

    assert state == found


def test_no_month_is_too_short_for_a_seat(deployment: Deployment) -> None:
    """Since each check that last_seen_at may stand for seat_ttl passes first, on every day."""
    early = deployment.sql(
        """
        SELECT seen_at, lag, ttl
          FROM generate_series('2027-12-25Z'::timestamptz, '2029-03-05Z', '1 hour') AS s (seen_at),
               unnest('{P1M,P3M,P1Y,P1M2D,P30D,PT20M,PT10S,PT2S}'::interval[]) AS ttl,
               unnest('{0,0.5,0.999}'::float8[]) AS part,
               LATERAL (SELECT part * permit.seen_lag(ttl)) AS lagging (lag)
         WHERE permit.seat_lapses_at(seen_at, ttl) < seen_at + lag + ttl
        """
    )

    assert [] == early


def test_the_planner_sees_into_the_rules(deployment: Deployment) -> None:
    """Live seats are found by their own index, and no function is called for each row."""
    with deployment.server.connect(deployment.database) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET ROLE permit_doors")
        rows = connection.execute(
            """
            EXPLAIN (COSTS OFF)
            SELECT count(*)
              FROM permit.live_seats('7d9f1c1e-5a0b-4f6e-9c3d-2b8e4a6f0c11', interval '1 hour',
                                     now(), 1000)
            """
        ).fetchall()
    plan = "\n".join(line for (line,) in rows)

    assert "devices_seats" in plan
    assert not re.search(r"has_lapsed|is_seat_free|seat_lapses_at|seen_lag", plan)
    assert "Function Scan" not in plan
