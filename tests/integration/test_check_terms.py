"""Terms: when they start, how long they last by the calendar, and what happens when they end."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.support.deployment import FINGERPRINT, Deployment
from tests.support.proof_reading import read_proof

DAY = timedelta(days=1)


def set_time(deployment: Deployment, instant: str) -> None:
    """Moves the database's clock to about this instant, a moment later."""
    now = deployment.sql("SELECT permit.clock()")[0][0]
    deployment.pass_time(datetime.fromisoformat(instant) - now)


def code_and_status(answer: Any) -> tuple[str, bool, str]:
    return answer["code"], answer["valid"], answer["licence"]["status"]


# starts, duration, ends
CALENDAR = [
    ("2027-01-31T10:00:00Z", "P1M", "2027-02-28T10:00:00Z"),
    ("2028-01-31T10:00:00Z", "P1M", "2028-02-29T10:00:00Z"),
    ("2027-01-31T10:00:00Z", "P2M", "2027-03-31T10:00:00Z"),
    ("2028-02-29T10:00:00Z", "P1Y", "2029-02-28T10:00:00Z"),
    ("2027-03-31T23:59:59Z", "P1M", "2027-04-30T23:59:59Z"),
    ("2027-03-27T12:00:00Z", "P1D", "2027-03-28T12:00:00Z"),  # clocks change in Europe
    ("2027-12-31T00:00:00Z", "P1W", "2028-01-07T00:00:00Z"),
    ("2027-01-01T00:00:00Z", "PT36H", "2027-01-02T12:00:00Z"),
    ("2027-01-30T10:00:00Z", "P1M1D", "2027-03-01T10:00:00Z"),
    ("8999-12-31T00:00:00Z", "P100Y", "9099-12-31T00:00:00Z"),
]


@pytest.mark.parametrize(("starts_at", "duration", "ends"), CALENDAR)
def test_a_duration_is_true_to_the_calendar(
    deployment: Deployment, starts_at: str, duration: str, ends: str
) -> None:
    """A month from 31 January is the last of February, and days are the calendar's, in UTC."""
    policy = deployment.vendor.policy(duration=duration)

    licence = deployment.vendor.licence(policy, starts_at=starts_at)

    assert ends == licence["expires_at"]
    assert ends == deployment.check(licence["key"])["licence"]["expires_at"]


def test_a_term_on_issue_starts_now(deployment: Deployment) -> None:
    """It runs from the moment of issue, whenever the first check is."""
    set_time(deployment, "2027-01-31T10:00:00+00:00")
    licence = deployment.vendor.licence(deployment.vendor.policy(duration="P1M"))

    deployment.pass_time(10 * DAY)
    answer = deployment.check(licence["key"])

    assert licence["expires_at"].startswith("2027-02-28T10:00:")
    assert ("VALID", True, "active") == code_and_status(answer)


def test_a_term_on_first_check_starts_with_it(deployment: Deployment) -> None:
    """Until then it waits without an end; then its end is set once, by the calendar."""
    policy = deployment.vendor.policy(duration="P1M", starts="on_first_check")
    licence = deployment.vendor.licence(policy)
    set_time(deployment, "2028-01-31T10:00:00+00:00")

    first = deployment.check(licence["key"])
    deployment.pass_time(DAY)
    second = deployment.check(licence["key"], f"{FINGERPRINT}-too")
    deployment.pass_time(40 * DAY)
    late = deployment.check(licence["key"])

    assert licence["expires_at"] is None
    assert ("VALID", True, "active") == code_and_status(first)
    assert first["licence"]["expires_at"].startswith("2028-02-29T10:00:")
    assert first["licence"]["expires_at"] == second["licence"]["expires_at"]
    assert ("EXPIRED", False, "expired") == code_and_status(late)


def test_only_a_valid_check_starts_the_term(deployment: Deployment) -> None:
    """After a refused check it still waits, whatever the reason."""
    policy = deployment.vendor.policy(duration="P1M", starts="on_first_check", max_devices=0)
    licence = deployment.vendor.licence(policy)

    refused = [
        deployment.check(licence["key"], None),
        deployment.check(licence["key"], product="viewer"),
        deployment.check(licence["key"], entitlements=["sync"]),
        deployment.check(licence["key"]),
    ]

    codes = [answer["code"] for answer in refused]
    expected = ["DEVICE_REQUIRED", "PRODUCT_MISMATCH", "ENTITLEMENTS_MISSING", "TOO_MANY_DEVICES"]
    assert expected == codes
    assert {"not_started"} == {answer["licence"]["status"] for answer in refused}
    assert {None} == {answer["licence"]["expires_at"] for answer in refused}


def test_the_term_starts_without_a_device_too(deployment: Deployment) -> None:
    """Where no device is needed the first check without one begins it."""
    policy = deployment.vendor.policy(
        duration="P1D", starts="on_first_check", device_required=False
    )
    licence = deployment.vendor.licence(policy)

    first = deployment.check(licence["key"], None)
    deployment.pass_time(DAY)

    assert ("VALID", True, "active") == code_and_status(first)
    assert "EXPIRED" == deployment.check(licence["key"], None)["code"]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"grace": "P7D"}, ("GRACE", True, "grace")),
        ({"on_expiry": "allow"}, ("EXPIRED", True, "expired")),
        ({"on_expiry": "block"}, ("EXPIRED", False, "not_started")),
    ],
    ids=["grace", "allow", "block"],
)
def test_a_first_check_may_come_after_a_fixed_end(
    deployment: Deployment, terms: Any, expected: tuple[str, bool, str]
) -> None:
    """The end that the vendor fixed stays, however late the first check is."""
    policy = deployment.vendor.policy(starts="on_first_check", duration="P1Y", **terms)
    licence = deployment.vendor.licence(policy, expires_at="2027-06-01T00:00:00Z")
    set_time(deployment, "2027-06-02T00:00:00+00:00")

    answers = [deployment.check(licence["key"]) for _ in range(2)]

    assert [expected, expected] == [code_and_status(answer) for answer in answers]
    assert "2027-06-01T00:00:00Z" == answers[0]["licence"]["expires_at"]


def test_a_licence_may_start_later(deployment: Deployment) -> None:
    """Before starts_at no device gets a seat; from it on it does."""
    licence = deployment.vendor.licence(starts_at="2027-06-01T00:00:00Z")
    set_time(deployment, "2027-05-31T23:59:00+00:00")

    before = deployment.check(licence["key"])
    deployment.pass_time(timedelta(minutes=1))
    after = deployment.check(licence["key"])

    assert ("NOT_STARTED", False, "not_started") == code_and_status(before)
    assert 0 == before["licence"]["devices_used"]
    assert ("VALID", True, "active") == code_and_status(after)


@pytest.mark.parametrize(
    ("on_expiry", "built", "in_grace", "after"),
    [
        ("block", None, ("GRACE", True, "grace"), ("EXPIRED", False, "expired")),
        ("allow", None, ("GRACE", True, "grace"), ("EXPIRED", True, "expired")),
        ("maintain", None, ("GRACE", True, "grace"), ("VERSION_NOT_COVERED", False, "expired")),
        ("maintain", date(2027, 2, 28), ("GRACE", True, "grace"), ("EXPIRED", True, "expired")),
        (
            *("maintain", date(2027, 3, 1)),
            *(("GRACE", True, "grace"), ("VERSION_NOT_COVERED", False, "expired")),
        ),
    ],
    ids=["block", "allow", "maintain", "maintain: built in time", "maintain: built after"],
)
def test_what_happens_at_the_end(
    deployment: Deployment, on_expiry: str, built: date | None, in_grace: Any, after: Any
) -> None:
    """Active, then grace by the calendar, then what on_expiry says."""
    policy = deployment.vendor.policy(duration="P1M", grace="P1M", on_expiry=on_expiry)
    licence = deployment.vendor.licence(policy, starts_at="2027-01-31T10:00:00Z")
    request = {} if built is None else {"version_date": built.isoformat()}
    times = ("2027-02-28T09:59:00+00:00", "2027-02-28T10:00:00+00:00")
    times += ("2027-03-28T09:59:00+00:00", "2027-03-28T10:00:00+00:00")

    answers = []
    for time in times:
        set_time(deployment, time)
        answers.append(code_and_status(deployment.check(licence["key"], **request)))

    assert [("VALID", True, "active"), in_grace, in_grace, after] == answers


def test_a_lease_ends_with_the_grace_where_expiry_blocks(deployment: Deployment) -> None:
    """The proof of a check shortly before the end is good until the end, to the second."""
    policy = deployment.vendor.policy(duration="P1M", grace="P1D", lease="P30D")
    licence = deployment.vendor.licence(policy, starts_at="2027-01-31T10:00:00Z")
    set_time(deployment, "2027-02-28T10:00:00+00:00")

    answer = deployment.check(licence["key"])

    path = f"/v1/tenants/{deployment.vendor.tenant_id}/jwks.json"
    published = deployment.send("tenant_jwks", path=path).body["keys"]
    claims = read_proof(answer["proof"], published).claims
    assert datetime(2027, 3, 1, 10, tzinfo=UTC).timestamp() == claims["exp"]
    assert "2027-02-28T10:00:00Z" == claims["licence_expires_at"]


def test_a_renewed_licence_goes_on(deployment: Deployment) -> None:
    """A later end takes hold at the next check, on the seat that was kept."""
    licence = deployment.vendor.licence(deployment.vendor.policy(duration="P1D"))
    seat = deployment.check(licence["key"])["device"]
    deployment.pass_time(2 * DAY)
    expired = deployment.check(licence["key"])

    deployment.vendor.command("change-licence", licence, expires_at="2999-01-01T00:00:00Z")
    renewed = deployment.check(licence["key"])

    assert ["EXPIRED", "VALID"] == [expired["code"], renewed["code"]]
    assert seat["id"] == renewed["device"]["id"]
