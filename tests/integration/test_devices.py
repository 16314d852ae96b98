"""A licence's devices and meters, as its vendor sees and changes them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from permit.check import usage
from permit.check.usage import UsageSent
from permit.check.verdicts import Question
from tests.support.deployment import Deployment, Vendor
from tests.support.racing import race

FINGERPRINT = "a-fingerprint-of-16"
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def devices(vendor: Vendor, licence: dict[str, Any], **query: object) -> list[dict[str, Any]]:
    return vendor.call("GET", f"/v1/licences/{licence['id']}/devices", query=query)["items"]


def test_a_device_is_activated_by_hand(deployment: Deployment, vendor: Vendor) -> None:
    """201, and 200 with the same device for the same fingerprint; then it checks."""
    licence = vendor.licence(vendor.policy(activation="manual", max_devices=1))
    path = f"/v1/licences/{licence['id']}/devices"
    body = {"fingerprint": FINGERPRINT, "name": "Laptop", "platform": "linux"}

    refused = deployment.check(licence["key"], FINGERPRINT)
    first = vendor.call("POST", path, body, status=201)
    again = vendor.call("POST", path, body, status=200)
    full = deployment.call("POST", path, {"fingerprint": FINGERPRINT + "2"}, token=vendor.token)

    assert "DEVICE_NOT_ACTIVATED" == refused["code"]
    assert first == again
    assert ("Laptop", "linux", "seated") == (first["name"], first["platform"], first["state"])
    assert (409, "too_many_devices") == (full.status, full.body["code"])
    assert "VALID" == deployment.check(licence["key"], FINGERPRINT)["code"]


def test_a_released_device_gives_its_seat_back(deployment: Deployment, vendor: Vendor) -> None:
    """204, once more 204; the next device takes the seat."""
    licence = vendor.licence(vendor.policy(max_devices=1))
    device = deployment.check(licence["key"], FINGERPRINT)["device"]
    path = f"/v1/licences/{licence['id']}/devices/{device['id']}"

    vendor.call("DELETE", path, status=204)
    vendor.call("DELETE", path, status=204)

    assert ["released"] == [each["state"] for each in devices(vendor, licence)]
    assert "VALID" == deployment.check(licence["key"], "another-fingerprint-1")["code"]


def test_a_device_says_which_version_it_runs(deployment: Deployment, vendor: Vendor) -> None:
    """The last that was said, at once; in the list, in an answer about it, in the export."""
    licence = vendor.licence(vendor.policy(max_devices=3))
    path = f"/v1/licences/{licence['id']}/devices"
    for said in ("4.2.1", "4.3", None):  # within the five minutes in which no check writes
        asked = {} if said is None else {"version": said}
        answer = deployment.check(licence["key"], FINGERPRINT, **asked)
        [told] = {each["version"] for each in devices(vendor, licence)}
        assert ("VALID", said or "4.3") == (answer["code"], told)
    deployment.check(licence["key"], "another-fingerprint-1")
    deployment.pass_time(timedelta(minutes=6))
    deployment.check(licence["key"], "another-fingerprint-1", version="1" * 64)

    by_hand = vendor.call("POST", path, {"fingerprint": FINGERPRINT}, status=200)
    blocked = vendor.call("POST", f"{path}/{by_hand['id']}/block")
    unseen = vendor.call("POST", path, {"fingerprint": "another-fingerprint-2"}, status=201)
    page = deployment.operator("export-tenant", tenant_id=vendor.tenant_id)

    assert ("4.3", "4.3", None) == tuple(d["version"] for d in (by_hand, blocked, unseen))
    exported = {each["version"] for each in page["items"] if each["kind"] == "device"}
    assert {"4.3", "1" * 64, None} == exported


@pytest.mark.parametrize("version", ["", "1" * 65, 4, "4.2\x00"])
def test_a_version_has_bounds(deployment: Deployment, vendor: Vendor, version: object) -> None:
    """1 to 64 characters that Postgres can store."""
    sent = {"key": vendor.licence()["key"], "version": version}

    answer = deployment.send("licence_check", sent)

    assert (422, "version") == (answer.status, answer.body["errors"][0]["field"])


def test_a_blocked_device_stays_out(deployment: Deployment, vendor: Vendor) -> None:
    """Blocked until it is unblocked, whatever else is done to it; each action twice is one."""
    licence = vendor.licence(vendor.policy(max_devices=1))
    device = deployment.check(licence["key"], FINGERPRINT)["device"]
    path = f"/v1/licences/{licence['id']}/devices/{device['id']}"

    blocked = vendor.call("POST", f"{path}/block", {"reason": "stolen"})
    assert blocked == vendor.call("POST", f"{path}/block")
    assert "DEVICE_BLOCKED" == deployment.check(licence["key"], FINGERPRINT)["code"]
    released = deployment.call("DELETE", path, token=vendor.token)
    activated = deployment.call(
        "POST",
        f"/v1/licences/{licence['id']}/devices",
        {"fingerprint": FINGERPRINT},
        token=vendor.token,
    )
    unblocked = vendor.call("POST", f"{path}/unblock")

    assert (409, "device_blocked") == (released.status, released.body["code"])
    assert (409, "device_blocked") == (activated.status, activated.body["code"])
    assert "released" == unblocked["state"]
    assert unblocked == vendor.call("POST", f"{path}/unblock")
    assert "VALID" == deployment.check(licence["key"], FINGERPRINT)["code"]


def test_devices_are_listed_by_state(deployment: Deployment, vendor: Vendor) -> None:
    """A floating seat whose time is up counts as lapsed, even if it is not marked so."""
    licence = vendor.licence(vendor.policy(seat_ttl="PT1M"))
    deployment.check(licence["key"], FINGERPRINT)
    deployment.pass_time(timedelta(minutes=2))
    deployment.check(licence["key"], "another-fingerprint-1")

    states = [each["state"] for each in devices(vendor, licence)]

    assert ["seated", "lapsed"] == states
    assert 1 == len(devices(vendor, licence, state="lapsed"))
    assert [] == devices(vendor, licence, state="blocked")
    vendor.call("GET", f"/v1/licences/{UUID(int=1)}/devices", status=404)


METERS = [
    {"name": "exports", "limit": 100, "period": "month"},
    {"name": "calls", "limit": None, "period": None},
]


def use(deployment: Deployment, licence: dict[str, Any], **request: object) -> dict[str, Any]:
    answer = deployment.call(
        "POST", "/v1/licences/usage", {"key": licence["key"], "meter": "exports", **request}
    )
    assert answer.status == 200, answer.text
    return answer.body


def test_usage_is_counted_up_to_the_limit(deployment: Deployment, vendor: Vendor) -> None:
    """A refused call counts nothing, and what still fits is let through."""
    licence = vendor.licence(vendor.policy(meters=METERS))

    first = use(deployment, licence, quantity=60)
    refused = use(deployment, licence, quantity=41)
    last = use(deployment, licence, quantity=40)
    over = use(deployment, licence)

    told = [(a["allowed"], a["code"], a["used"]) for a in (first, refused, last, over)]
    assert [
        (True, "VALID", 60),
        (False, "LIMIT_REACHED", 60),
        (True, "VALID", 100),
        (False, "LIMIT_REACHED", 100),
    ] == told
    assert {100} == {a["limit"] for a in (first, refused, last, over)}
    assert all(a["valid"] for a in (first, refused, last, over))


def test_a_usage_is_proven(deployment: Deployment, vendor: Vendor) -> None:
    """By the tenant's signature, with a type that cannot pass for a licence proof."""
    licence = vendor.licence(vendor.policy(meters=METERS))

    answer = use(deployment, licence, quantity=2, nonce="n-1")

    keys = KeySet.import_key_set(
        deployment.send("tenant_jwks", path=f"/v1/tenants/{vendor.tenant_id}/jwks.json").body
    )
    signed = jws.deserialize_compact(answer["proof"], keys, algorithms=["EdDSA"])
    header, claims = signed.headers(), __import__("json").loads(signed.payload)
    assert "permit-usage+jwt" == header["typ"]
    expected = {"valid": True, "meter": "exports", "used": 2, "limit": 100, "nonce": "n-1"}
    assert expected == {name: claims[name] for name in expected}
    assert (licence["id"], "editor") == (claims["sub"], claims["aud"])


def test_parallel_usage_never_passes_the_limit(deployment: Deployment, vendor: Vendor) -> None:
    """At limit 100 exactly 100 of 120 parallel calls are accepted."""
    licence = vendor.licence(vendor.policy(meters=METERS))
    sent = UsageSent(meter="exports", quantity=1, idempotency_key=None)

    def twelve(database: Any) -> list[bool]:
        return [usage.use(database, licence["key"], sent, Question()).allowed for _ in range(12)]

    outcomes = race(deployment, [twelve] * 10)

    assert 100 == sum(sum(each) for each in outcomes)
    assert 100 == use(deployment, licence)["used"]


def test_a_repeated_usage_counts_once(deployment: Deployment, vendor: Vendor) -> None:
    """By its idempotency key, even in a race; another meter or quantity with that key is 422."""
    licence = vendor.licence(vendor.policy(meters=METERS))
    sent = UsageSent(meter="exports", quantity=7, idempotency_key="job-1")

    race(
        deployment,
        [lambda d: usage.use(d, licence["key"], sent, Question())] * 8,
    )
    again = use(deployment, licence, quantity=7, idempotency_key="job-1")
    other = deployment.call(
        "POST",
        "/v1/licences/usage",
        {"key": licence["key"], "meter": "exports", "quantity": 8, "idempotency_key": "job-1"},
    )
    deployment.pass_time(timedelta(hours=25))
    later = use(deployment, licence, quantity=7, idempotency_key="job-1")

    assert (True, 7) == (again["allowed"], again["used"])
    assert (422, "idempotency_key_reused") == (other.status, other.body["code"])
    assert later["used"] in (7, 14)  # another month may have begun


def test_a_refused_usage_may_be_tried_again(deployment: Deployment, vendor: Vendor) -> None:
    """Its idempotency key was not used up."""
    licence = vendor.licence(vendor.policy(meters=METERS))
    use(deployment, licence, quantity=99)

    refused = use(deployment, licence, quantity=2, idempotency_key="job-1")
    vendor.call("POST", f"/v1/licences/{licence['id']}/usage/reset", {"meter": "exports"})
    accepted = use(deployment, licence, quantity=2, idempotency_key="job-1")

    assert [(False, 99), (True, 2)] == [(a["allowed"], a["used"]) for a in (refused, accepted)]


@pytest.mark.parametrize(
    ("action", "code"), [("suspend", "SUSPENDED"), ("revoke", "REVOKED"), (None, "METER_UNKNOWN")]
)
def test_a_usage_needs_a_licence_in_force(
    deployment: Deployment, vendor: Vendor, action: str | None, code: str
) -> None:
    """Nothing is counted without one, or for a meter that it has not."""
    licence = vendor.licence(vendor.policy(meters=METERS))
    if action is not None:
        vendor.call("POST", f"/v1/licences/{licence['id']}/{action}")

    answer = use(deployment, licence, meter="exports" if action else "unknown")

    assert (code, False, None) == (answer["code"], answer["allowed"], answer["used"])
    assert [] == deployment.sql("SELECT * FROM permit.usage")


def test_an_unknown_key_uses_nothing(deployment: Deployment, vendor: Vendor) -> None:
    """NOT_FOUND, without a proof."""
    for key, mistyped in (("nonsense", True), ("012345-6789AB-CDEFGH-JKMNPQ-RSTVTR", False)):
        answer = use(deployment, {"key": key})

        assert ("NOT_FOUND", False, None) == (answer["code"], answer["allowed"], answer["proof"])
        assert mistyped == answer["mistyped"] == answer["detail"].startswith("The key is mistyped")


@pytest.mark.parametrize(
    ("period", "begins", "ends"),
    [
        ("day", datetime(2026, 3, 15, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC)),
        ("week", datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC)),
        ("month", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)),
        ("year", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("P1M", datetime(2026, 2, 28, 8, tzinfo=UTC), datetime(2026, 3, 31, 8, tzinfo=UTC)),
        ("P7D", datetime(2026, 3, 14, 8, tzinfo=UTC), datetime(2026, 3, 21, 8, tzinfo=UTC)),
        ("PT6H", datetime(2026, 3, 15, 8, tzinfo=UTC), datetime(2026, 3, 15, 14, tzinfo=UTC)),
    ],
)
def test_periods_go_by_the_calendar_or_from_the_start(
    deployment: Deployment, period: str, begins: datetime, ends: datetime
) -> None:
    """In UTC; a month from 31 January ends with February."""
    starts_at = datetime(2026, 1, 31, 8, tzinfo=UTC)
    now = datetime(2026, 3, 15, 11, tzinfo=UTC)

    [found] = deployment.sql("SELECT * FROM permit.period_at(%s, %s, %s)", period, starts_at, now)

    assert (begins, ends) == found


def test_a_meter_begins_again_with_its_period(deployment: Deployment, vendor: Vendor) -> None:
    """Counted from starts_at, it is empty after each period; without a period it never is."""
    meters = [
        {"name": "exports", "limit": 5, "period": "P7D"},
        {"name": "ever", "limit": 5, "period": None},
    ]
    licence = vendor.licence(vendor.policy(meters=meters))
    use(deployment, licence, quantity=5)
    use(deployment, licence, quantity=4, meter="ever")

    deployment.pass_time(timedelta(days=7))

    assert (True, 5) == (use(deployment, licence, quantity=5)["allowed"], 5)
    ever = use(deployment, licence, quantity=2, meter="ever")
    assert (False, 4, None) == (ever["allowed"], ever["used"], ever["resets_at"])


def test_a_licence_overrides_a_meter_and_its_vendor_reads_it(
    deployment: Deployment, vendor: Vendor
) -> None:
    """By name: the policy's others stay."""
    own = [{"name": "exports", "limit": 1000, "period": "month"}]
    licence = vendor.licence(vendor.policy(meters=METERS), meters=own)
    path = f"/v1/licences/{licence['id']}/usage"
    use(deployment, licence, quantity=500)

    listed = vendor.call("GET", path)["items"]
    reset = vendor.call("POST", f"{path}/reset", {"meter": "exports", "reason": "goodwill"})

    told = [(each["meter"], each["used"], each["limit"]) for each in listed]
    assert [("calls", 0, None), ("exports", 500, 1000)] == told
    assert (0, 1000) == (reset["used"], reset["limit"])
    vendor.call("POST", f"{path}/reset", {"meter": "unknown"}, status=404)
    vendor.call("GET", f"/v1/licences/{UUID(int=1)}/usage", status=404)


def test_a_waiting_licence_uses_nothing(deployment: Deployment, vendor: Vendor) -> None:
    """Only a check begins the term, and a usage is not a check."""
    policy = vendor.policy(meters=METERS, starts="on_first_check", duration="P1Y")
    licence = vendor.licence(policy)

    assert "NOT_STARTED" == use(deployment, licence)["code"]
    deployment.check(licence["key"])
    assert "VALID" == use(deployment, licence)["code"]
