"""Renewals: how the end moves on by the calendar, never comes sooner, and what counts once."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from permit.contracts import read_instant
from permit.db import Database
from permit.licences import licences
from permit.licences.refusals import LicenceEndMoved
from permit.licences.rows import Licence
from tests.support.deployment import Deployment, Vendor
from tests.support.racing import acting, race


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def renewed(vendor: Vendor, licence: dict[str, Any], status: int = 200, **body: object) -> Any:
    path = f"/v1/licences/{licence['id']}/renew"
    return vendor.call("POST", path, body or None, status=status)


def day(text: str) -> str:
    return f"{text}T10:00:00Z"


# What the term began with, and where it ends by its first duration and by each renewal.
SERIES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "months from the 31st": (
        "2027-01-31",
        [
            *(("P1M", "2027-02-28"), ("P1M", "2027-03-31"), ("P1M", "2027-04-30")),
            *(("P1M", "2027-05-31"), ("P1M", "2027-06-30"), ("P1M", "2027-07-31")),
        ],
    ),
    "a leap year's February": (
        "2027-12-30",
        [
            *(("P1M", "2028-01-30"), ("P1M", "2028-02-29"), ("P1M", "2028-03-30")),
            *(("P11M", "2029-02-28"), ("P1M", "2029-03-30")),
        ],
    ),
    "years from a leap day": (
        "2028-02-29",
        [
            *(("P1Y", "2029-02-28"), ("P1Y", "2030-02-28"), ("P1Y", "2031-02-28")),
            *(("P1Y", "2032-02-29"), ("P1Y", "2033-02-28"), ("P4Y", "2037-02-28")),
            ("P3Y", "2040-02-29"),
        ],
    ),
    "a century without a leap day": (
        "2096-02-29",
        [("P4Y", "2100-02-28"), ("P4Y", "2104-02-29"), ("P12M", "2105-02-28")],
    ),
    "quarters": (
        "2026-11-30",
        [("P3M", "2027-02-28"), ("P3M", "2027-05-30"), ("P3M", "2027-08-30")],
    ),
    "a month and then years": (
        "2027-01-31",
        [("P1M", "2027-02-28"), ("P1Y", "2028-02-29"), ("P1Y2M", "2029-04-30")],
    ),
    "days": ("2027-01-31", [("P30D", "2027-03-02"), ("P30D", "2027-04-01")]),
    "weeks": ("2027-01-31", [("P2W", "2027-02-14"), ("P2W", "2027-02-28"), ("P1W", "2027-03-07")]),
    "days and then months": (
        "2027-01-15",
        [("P20D", "2027-02-04"), ("P1M", "2027-03-04"), ("P1M", "2027-04-04")],
    ),
    "some days among months": (
        "2027-01-15",
        [("P1M", "2027-02-15"), ("P20D", "2027-03-07"), ("P1M", "2027-04-07")],
    ),
    "some days before the 31st": (
        "2027-01-31",
        [
            *(("P1M", "2027-02-28"), ("P1M", "2027-03-31"), ("P3D", "2027-04-03")),
            *(("P1M", "2027-05-03"), ("P28D", "2027-05-31"), ("P1M", "2027-06-30")),
            ("P1M", "2027-07-31"),
        ],
    ),
    "months with days": (
        "2027-01-30",
        [("P1M15D", "2027-03-15"), ("P1M15D", "2027-04-29"), ("P1M15D", "2027-06-14")],
    ),
    "months with days and then months": (
        "2027-01-30",
        [("P1M15D", "2027-03-15"), ("P1M", "2027-04-15"), ("P1M", "2027-05-15")],
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_renewals_count_from_where_the_term_began(vendor: Vendor, name: str) -> None:
    """A shorter month takes no day away for good, and a leap day comes back."""
    starts, ((first, end), *renewals) = SERIES[name][0], SERIES[name][1]
    licence = vendor.licence(vendor.policy(duration=first), starts_at=day(starts))

    ends = [renewed(vendor, licence, duration=duration)["expires_at"] for duration, _ in renewals]

    assert day(end) == licence["expires_at"]
    assert [day(end) for _, end in renewals] == ends


def test_hours_are_hours(vendor: Vendor) -> None:
    """Whatever the clocks of some country do."""
    policy = vendor.policy(duration="PT36H")
    licence = vendor.licence(policy, starts_at="2027-03-27T23:30:00Z")

    ends = [renewed(vendor, licence)["expires_at"] for _ in range(2)]

    assert ["2027-03-30T23:30:00Z", "2027-04-01T11:30:00Z"] == ends


def test_ten_years_of_months_end_on_the_day_they_began(vendor: Vendor) -> None:
    """The last of each month, by the policy's own duration."""
    licence = vendor.licence(vendor.policy(duration="P1M"), starts_at=day("2027-01-31"))

    ends = [renewed(vendor, licence)["expires_at"] for _ in range(119)]

    months = [(2027 + n // 12, n % 12 + 1) for n in range(2, 121)]
    expected = [f"{year}-{month:02}-{monthrange(year, month)[1]}" for year, month in months]
    assert [day(last) for last in expected] == ends


def test_a_term_that_began_with_a_check_counts_from_it(
    deployment: Deployment, vendor: Vendor
) -> None:
    """As one that began with the issue."""
    move_clock(deployment, day("2027-01-31"))
    licence = vendor.licence(vendor.policy(duration="P1M", starts="on_first_check"))
    deployment.check(licence["key"])

    ends = [renewed(vendor, licence)["expires_at"][:10] for _ in range(3)]

    assert ["2027-03-31", "2027-04-30", "2027-05-31"] == ends


def test_a_term_that_is_over_begins_anew(deployment: Deployment, vendor: Vendor) -> None:
    """From now on, and what comes after counts from then."""
    policy = vendor.policy(duration="P1M", grace="P7D")
    licence = vendor.licence(policy, starts_at=day("2027-01-15"))
    assert renewed(vendor, licence)["expires_at"] == day("2027-03-15")
    move_clock(deployment, day("2027-03-31"))

    ends = [renewed(vendor, licence)["expires_at"] for _ in range(3)]

    assert ["2027-04-30T10", "2027-05-31T10", "2027-06-30T10"] == [end[:13] for end in ends]
    items = deployment.operator("export-tenant", tenant_id=vendor.tenant_id)["items"]
    [exported] = [item for item in items if item["id"] == licence["id"]]
    assert "2027-03-31T10" == exported["term_anchor"][:13]


GRACE = {"grace": "P14D"}
DAY, HOUR, SOON = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
# The policy, its first term's start and end, how late the renewal comes, where it and the next end.
LATE: dict[str, tuple[dict[str, Any], str, str, timedelta, list[str]]] = {
    "at once, in grace": (
        *(GRACE, "2027-01-31", "2027-02-28", timedelta(0)),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "at the end of the grace": (
        *(GRACE, "2027-01-31", "2027-02-28", 14 * DAY - SOON),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "blocked for two days after the grace": (
        *(GRACE, "2027-01-31", "2027-02-28", 16 * DAY),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "blocked for four days after the grace": (
        *(GRACE, "2027-01-31", "2027-02-28", 18 * DAY),
        ["2027-04-18T10:00", "2027-05-18T10:00"],
    ),
    "an hour, without grace": (
        *({}, "2027-01-31", "2027-02-28", HOUR),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "blocked for a tenth of a month": (
        *({}, "2027-01-31", "2027-02-28", 3 * DAY - SOON),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "blocked for more": (
        *({}, "2027-01-31", "2027-02-28", 3 * DAY + SOON),
        ["2027-04-03T10:01", "2027-05-03T10:01"],
    ),
    "blocked for twenty days": (
        *({}, "2027-01-31", "2027-02-28", 20 * DAY),
        ["2027-04-20T10:00", "2027-05-20T10:00"],
    ),
    "twenty days, and it works on": (
        *({"on_expiry": "allow"}, "2027-01-31", "2027-02-28", 20 * DAY),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "twenty days, and what is covered works on": (
        *({"on_expiry": "maintain"}, "2027-01-31", "2027-02-28", 20 * DAY),
        ["2027-03-31T10:00", "2027-04-30T10:00"],
    ),
    "more than a month, and it works on": (
        *({"on_expiry": "allow"}, "2027-01-31", "2027-02-28", 32 * DAY),
        ["2027-05-01T10:00", "2027-06-01T10:00"],
    ),
    "more than a month, in grace": (
        *({"grace": "P60D"}, "2027-01-31", "2027-02-28", 32 * DAY),
        ["2027-05-01T10:00", "2027-06-01T10:00"],
    ),
    "a leap day's year, an hour": (
        *({"duration": "P1Y"}, "2031-02-28", "2032-02-28", HOUR),
        ["2033-02-28T10:00", "2034-02-28T10:00"],
    ),
    "a leap day, an hour": (
        *({"duration": "P1Y"}, "2028-02-29", "2029-02-28", HOUR),
        ["2030-02-28T10:00", "2031-02-28T10:00", "2032-02-29T10:00"],
    ),
    "a year, a week": (
        *({"duration": "P1Y"}, "2027-01-31", "2028-01-31", 7 * DAY - SOON),
        ["2029-01-31T10:00", "2030-01-31T10:00"],
    ),
    "a year, more than a week": (
        *({"duration": "P1Y"}, "2027-01-31", "2028-01-31", 7 * DAY + SOON),
        ["2029-02-07T10:01", "2030-02-07T10:01"],
    ),
    "days": (
        *({"duration": "P30D"}, "2027-01-31", "2027-03-02", 2 * DAY),
        ["2027-04-01T10:00", "2027-05-01T10:00"],
    ),
    "a day, by two hours": (
        *({"duration": "P1D"}, "2027-01-31", "2027-02-01", 2 * HOUR),
        ["2027-02-02T10:00", "2027-02-03T10:00"],
    ),
    "a day, by three hours": (
        *({"duration": "P1D"}, "2027-01-31", "2027-02-01", 3 * HOUR),
        ["2027-02-02T13:00", "2027-02-03T13:00"],
    ),
}


@pytest.mark.parametrize("name", LATE)
def test_a_late_renewal_counts_on_where_nobody_was_shut_out_for_long(
    deployment: Deployment, vendor: Vendor, name: str
) -> None:
    """While it works, or soon after; else for the whole duration, from now."""
    terms, starts, first_end, late, ends = LATE[name]
    licence = vendor.licence(vendor.policy(**{"duration": "P1M", **terms}), starts_at=day(starts))
    assert day(first_end) == licence["expires_at"]
    end = datetime.fromisoformat(day(first_end)) + late
    move_clock(deployment, f"{end:%Y-%m-%dT%H:%M:%SZ}")

    found = [renewed(vendor, licence, **{"from": day(first_end)})["expires_at"]]
    found += [renewed(vendor, licence)["expires_at"] for _ in ends[1:]]

    assert ends == [end[:16] for end in found]


def test_payments_that_are_always_late_drift_nowhere(
    deployment: Deployment, vendor: Vendor
) -> None:
    """A year of months, each paid an hour after its end."""
    licence = vendor.licence(vendor.policy(duration="P1M"), starts_at=day("2027-01-31"))
    end, ends = licence["expires_at"], list[str]()
    for _ in range(12):
        move_clock(deployment, end.replace("T10:", "T11:"))
        end = renewed(vendor, licence, **{"from": end})["expires_at"]
        ends.append(end)

    months = [(2027 + n // 12, n % 12 + 1) for n in range(2, 14)]
    expected = [f"{year}-{month:02}-{monthrange(year, month)[1]}" for year, month in months]
    assert [day(last) for last in expected] == ends


@pytest.mark.parametrize(
    ("end", "ends"),
    [
        ("2027-04-30", ["2027-05-31", "2027-06-30"]),  # as this release has renewed it
        ("2027-04-28", ["2027-05-28", "2027-06-28"]),  # as the one before has
        ("2027-04-10", ["2027-05-10", "2027-06-10"]),
        ("2028-05-31", ["2028-06-30", "2028-07-31"]),
    ],
)
def test_an_end_that_was_set_counts_where_it_fits(
    deployment: Deployment, vendor: Vendor, end: str, ends: list[str]
) -> None:
    """By hand, or by the release before: from where it began if it is months away, else from it."""
    policy = vendor.policy(duration="P1M")
    untouched = vendor.licence(policy, starts_at=day("2027-01-31"))
    anchored = vendor.licence(policy, starts_at=day("2027-01-31"))
    renewed(vendor, anchored)
    deployment.sql(
        "UPDATE permit.licences SET expires_at = %s WHERE id = %s", day(end), untouched["id"]
    )
    vendor.call("PATCH", f"/v1/licences/{anchored['id']}", {"expires_at": day(end)})

    for licence in (untouched, anchored):
        found = [renewed(vendor, licence)["expires_at"] for _ in ends]

        assert [day(each) for each in ends] == found


def test_terms_do_not_depend_on_the_session_s_time_zone(deployment: Deployment) -> None:
    """A day has 24 hours, and a month ends in UTC, also where the clocks change."""
    found: set[Any] = set()
    for zone in ("UTC", "America/New_York", "Pacific/Kiritimati"):
        with deployment.server.connect(deployment.database) as connection, connection.transaction():
            connection.execute("SELECT set_config('timezone', %s, true)", [zone])
            [later] = connection.execute(
                "SELECT permit.later('2027-03-14T04:30Z', 'P1D')"
            ).fetchone() or [None]
            [ends] = connection.execute(
                """
                SELECT ends FROM permit.renewed_term(
                    '2027-01-31T02:00Z', '2027-02-28T02:00Z', '2027-02-28T02:00Z', 'P1M',
                    '2027-02-01T00:00Z')
                """
            ).fetchone() or [None]
            assert isinstance(later, datetime)
            assert isinstance(ends, datetime)
            found.add((later.astimezone(UTC).isoformat(), ends.astimezone(UTC).isoformat()))

    assert {("2027-03-15T04:30:00+00:00", "2027-03-31T02:00:00+00:00")} == found


Parts = tuple[int, int, int]  # of a duration: its months, days and seconds


def added(instant: datetime, parts: Parts) -> datetime:
    """Months first, the day at most the month's last; then days and seconds."""
    months = instant.year * 12 + instant.month - 1 + parts[0]
    year, month = divmod(months, 12)
    last = monthrange(year, month + 1)[1]
    moved = instant.replace(year=year, month=month + 1, day=min(instant.day, last))
    return moved + timedelta(days=parts[1], seconds=parts[2])


def times(count: int, parts: Parts) -> Parts:
    return count * parts[0], count * parts[1], count * parts[2]


def expected_term(anchor: datetime, end: datetime, parts: Parts) -> tuple[datetime, datetime]:
    """The rule, by trying one number of months or durations after the other."""
    months, days, seconds = parts
    if months:
        unit = (1, 0, 0) if (days, seconds) == (0, 0) else parts
        count = 1
        while added(anchor, times(count, unit)) < end:
            count += 1
        if added(anchor, times(count, unit)) == end:
            whole = times(count, unit)
            total = (whole[0] + months, whole[1] + days, whole[2] + seconds)
            return anchor, added(anchor, total)
    return end, added(end, parts)


YEARS = {
    "min_value": datetime(1990, 1, 1),  # noqa: DTZ001 (Hypothesis wants none)
    "max_value": datetime(2120, 1, 1),  # noqa: DTZ001
}
DURATIONS = st.one_of(
    st.sampled_from([(1, 0, 0), (12, 0, 0)]),
    st.tuples(st.integers(1, 40), st.just(0), st.just(0)),
    st.tuples(st.just(0), st.integers(1, 70), st.just(0)),
    st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(1, 200_000)),
    st.tuples(st.integers(1, 25), st.integers(1, 40), st.just(0)),
)


def test_a_term_is_what_the_calendar_says(deployment: Deployment) -> None:
    """Against the rule in Python, for any day and any durations in turn."""
    with deployment.server.connect(deployment.database) as connection:

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            starts=st.datetimes(timezones=st.just(UTC), **YEARS),
            durations=st.lists(DURATIONS, min_size=2, max_size=12),
        )
        @example(starts=datetime(2096, 2, 29, tzinfo=UTC), durations=[(12, 0, 0)] * 12)
        @example(starts=datetime(2027, 1, 31, 10, tzinfo=UTC), durations=[(1, 0, 0)] * 12)
        @example(starts=datetime(2027, 1, 30, tzinfo=UTC), durations=[(1, 15, 0)] * 12)
        def holds(starts: datetime, durations: list[Parts]) -> None:
            anchor, end = starts, added(starts, durations[0])
            for parts in durations[1:]:
                row = connection.execute(
                    """
                    SELECT anchor, ends FROM permit.renewed_term(
                        %s, %s, %s, make_interval(months => %s, days => %s, secs => %s), %s)
                    """,
                    [anchor, end, end, *parts, anchor],
                ).fetchone()

                assert expected_term(anchor, end, parts) == row
                assert row[1] > end
                anchor, end = row

        holds()


def test_renewing_never_shortens(deployment: Deployment, vendor: Vendor) -> None:
    """422 before the present end, whoever asks and whether that is past; nothing changes."""
    now = vendor.licence(expires_at="2031-01-01T00:00:00Z")
    past = vendor.licence(starts_at="2020-01-01T00:00:00Z", expires_at="2021-01-01T00:00:00Z")
    sooner = {now["id"]: "2030-12-31T23:59:59Z", past["id"]: "2020-06-01T00:00:00Z"}

    for token in (vendor.token, vendor.api_key("issuer")):
        for licence, end in sooner.items():
            path = f"/v1/licences/{licence}/renew"
            answer = deployment.call("POST", path, {"expires_at": end}, token=token)

            assert (422, "expires_at") == (answer.status, answer.body["errors"][0]["field"])
    for licence in (now, past):
        read = vendor.call("GET", f"/v1/licences/{licence['id']}")
        assert licence["expires_at"] == read["expires_at"]


def test_renewing_until_the_present_end_changes_nothing(vendor: Vendor) -> None:
    """However often it is asked, and by a program that knows no parts of a second."""
    licence = vendor.licence(vendor.policy(duration="P1Y"))
    end = licence["expires_at"]
    assert "." in end

    for sent in (end, end.partition(".")[0] + "Z", end.replace("Z", "+00:00")):
        assert end == renewed(vendor, licence, expires_at=sent)["expires_at"]

    assert [] == vendor.call("GET", "/v1/audit-events", query={"action": "licences.renew"})["items"]


def test_of_two_renewals_from_one_end_one_counts(deployment: Deployment, vendor: Vendor) -> None:
    """The second is 409, and names where the licence ends now: two webhooks are one year."""
    licence = vendor.licence(vendor.policy(duration="P1Y"), starts_at=day("2027-01-31"))
    body = {"from": licence["expires_at"]}

    first = renewed(vendor, licence, **body)
    second = renewed(vendor, licence, status=409, **body)
    until = renewed(vendor, licence, status=409, **body, expires_at=day("2040-01-01"))

    assert day("2029-01-31") == first["expires_at"]
    for refused in (second, until):
        assert "licence_end_moved" == refused["code"]
        assert first["expires_at"] == refused["expires_at"]
        assert first["expires_at"] in refused["detail"]
    assert first == vendor.call("GET", f"/v1/licences/{licence['id']}")


@pytest.mark.parametrize("form", ["as it was answered", "to the second", "in another zone", "null"])
def test_a_known_end_is_an_instant(vendor: Vendor, form: str) -> None:
    """In any zone, with or without parts of a second; and null is none."""
    licence = vendor.licence(vendor.policy(duration="P1Y"))
    end = datetime.fromisoformat(licence["expires_at"])
    sent = {
        "as it was answered": licence["expires_at"],
        "to the second": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "in another zone": f"{end + timedelta(hours=5):%Y-%m-%dT%H:%M:%S.%f}+05:00",
        "null": None,
    }[form]

    after = renewed(vendor, licence, **{"from": sent})

    assert end.year + 1 == datetime.fromisoformat(after["expires_at"]).year


def test_a_known_end_must_be_one(deployment: Deployment, vendor: Vendor) -> None:
    """422 that names `from`; and what the licence's state refuses comes before where it ends."""
    licence = vendor.licence(vendor.policy(duration="P1Y"))
    perpetual = vendor.licence()
    other = {"from": day("2030-01-01")}

    malformed = renewed(vendor, licence, status=422, **{"from": "tomorrow"})
    without_end = renewed(vendor, perpetual, status=409, **other)
    vendor.call("POST", f"/v1/licences/{licence['id']}/revoke")
    revoked = renewed(vendor, licence, status=409, **other)

    assert "from" == malformed["errors"][0]["field"]
    assert "licence_perpetual" == without_end["code"]
    assert "licence_revoked" == revoked["code"]


def test_of_renewals_at_once_from_one_end_one_counts(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Six at the same moment are one."""
    licence = vendor.licence(vendor.policy(duration="P1Y"), starts_at=day("2027-01-31"))
    key, licence_id = vendor.api_key("issuer"), UUID(licence["id"])
    known_end = read_instant(licence["expires_at"])

    def renew(database: Database, tenant_id: UUID) -> Licence | None:
        try:
            return licences.renew(
                database,
                tenant_id,
                licence_id,
                duration=None,
                expires_at=None,
                known_end=known_end,
            )
        except LicenceEndMoved:
            return None

    outcomes = race(deployment, [acting(key, renew)] * 6, function="licences")

    [counted] = [outcome for outcome in outcomes if outcome is not None]
    assert read_instant(day("2029-01-31")) == counted.expires_at


def move_clock(deployment: Deployment, instant: str) -> None:
    """The database's, to about this instant, a moment later."""
    now = deployment.sql("SELECT permit.clock()")[0][0]
    deployment.pass_time(datetime.fromisoformat(instant) - now)
