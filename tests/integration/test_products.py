"""Products and policies over the API: made, listed, changed, archived, deleted."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.deployment import Deployment, Vendor
from tests.support.refusals import assert_refused

DEFAULTS = {
    "name": "Standard",
    "duration": None,
    "starts": "on_issue",
    "on_expiry": "block",
    "grace": None,
    "max_devices": None,
    "overage": 0,
    "device_required": True,
    "activation": "automatic",
    "seat_ttl": None,
    "matching": "exact",
    "unique": "none",
    "lease": "P7D",
    "entitlements": [],
    "max_releases": 3,
    "self_service": True,
    "meters": [],
}


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def test_a_product_is_created_read_renamed_and_archived(vendor: Vendor) -> None:
    """The whole of its life; archiving twice changes nothing."""
    created = vendor.call("POST", "/v1/products", {"code": "cad-3", "name": "CAD"}, status=201)
    path = f"/v1/products/{created['id']}"

    renamed = vendor.call("PATCH", path, {"name": "CAD Pro"})
    archived = vendor.call("POST", f"{path}/archive")

    assert ("cad-3", "CAD", None) == (created["code"], created["name"], created["archived_at"])
    assert created | {"name": "CAD Pro"} == renamed
    assert archived["archived_at"] is not None
    assert archived == vendor.call("POST", f"{path}/archive") == vendor.call("GET", path)


def test_a_code_is_unique_in_the_tenant(deployment: Deployment, vendor: Vendor) -> None:
    """409 for the second; another tenant may have the same."""
    other = Vendor.create(deployment, "other@example.com", code="other")

    answer = deployment.call(
        "POST", "/v1/products", {"code": "editor", "name": "Again"}, token=vendor.token
    )
    others = other.call("POST", "/v1/products", {"code": "editor", "name": "Theirs"}, status=201)

    assert (409, "product_code_taken") == (answer.status, answer.body["code"])
    assert "editor" == others["code"]


def test_an_archived_product_gets_no_new_licence(deployment: Deployment, vendor: Vendor) -> None:
    """Existing ones go on."""
    policy = vendor.policy()
    licence = vendor.licence(policy)
    vendor.call("POST", f"/v1/products/{vendor.product_id}/archive")

    answer = deployment.call("POST", "/v1/licences", {"policy_id": policy}, token=vendor.token)

    assert (409, "product_archived") == (answer.status, answer.body["code"])
    assert "VALID" == deployment.check(licence["key"])["code"]


def test_a_policy_has_defaults(vendor: Vendor) -> None:
    """Every field has one but product_id and name."""
    created = vendor.call(
        "POST",
        "/v1/policies",
        {"product_id": vendor.product_id, "name": "Standard"},
        status=201,
    )

    own = {name: created[name] for name in DEFAULTS}
    assert DEFAULTS == own
    assert vendor.product_id == created["product_id"]
    assert created == vendor.call("GET", f"/v1/policies/{created['id']}")


def test_a_policy_is_changed_in_part(deployment: Deployment, vendor: Vendor) -> None:
    """What is left out stays, null removes a limit, and the next check follows."""
    policy = vendor.call(
        "POST",
        "/v1/policies",
        {
            "product_id": vendor.product_id,
            "name": "Team",
            "duration": "P1Y",
            "max_devices": 1,
            "meters": [{"name": "exports", "limit": 5, "period": "month"}],
        },
        status=201,
    )
    path = f"/v1/policies/{policy['id']}"
    licence = vendor.licence(policy["id"])
    deployment.check(licence["key"])
    full = deployment.check(licence["key"], "another-fingerprint-1")

    changed = vendor.call("PATCH", path, {"max_devices": None, "name": "Team 2"})

    assert "TOO_MANY_DEVICES" == full["code"]
    assert policy | {"max_devices": None, "name": "Team 2"} == changed
    assert "VALID" == deployment.check(licence["key"], "another-fingerprint-1")["code"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"starts": None}, "starts"),
        ({"duration": "P9999999Y"}, "duration"),
        ({"duration": "1 year"}, "duration"),
        ({"overage": -1}, "overage"),
        ({"device_required": False}, "device_required"),
        ({"entitlements": ["e"] * 1000}, "entitlements"),
        ({"meters": [{"name": "a", "limit": 1, "period": "fortnight"}]}, "meters.0.period"),
        ({"meters": [{"name": "a", "limit": -1}]}, "meters.0.limit"),
        ({"product_id": "00000000-0000-0000-0000-000000000000"}, "product_id"),
        ({"tenant_id": "00000000-0000-0000-0000-000000000000"}, "tenant_id"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
    ],
    ids=str,
)
def test_a_policy_refuses_a_bad_change(
    deployment: Deployment, vendor: Vendor, change: dict[str, Any], field: str
) -> None:
    """422 with the field, and nothing changes."""
    policy = vendor.policy(max_devices=3)
    path = f"/v1/policies/{policy}"
    before = vendor.call("GET", path)

    answer = deployment.call("PATCH", path, change, token=vendor.token)

    assert 422 == answer.status
    assert field == answer.body["errors"][0]["field"]
    assert before == vendor.call("GET", path)


def test_a_policy_that_licences_limit_by_device_keeps_requiring_one(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Or their limits would be escaped by naming no device."""
    policy = vendor.policy()
    vendor.licence(policy, max_devices=2)

    answer = deployment.call(
        "PATCH", f"/v1/policies/{policy}", {"device_required": False}, token=vendor.token
    )

    assert (422, "device_required") == (answer.status, answer.body["errors"][0]["field"])


def test_only_an_unused_policy_is_deleted(deployment: Deployment, vendor: Vendor) -> None:
    """204, then 404; 409 for one with licences."""
    unused, used = vendor.policy(), vendor.policy()
    vendor.licence(used)

    vendor.call("DELETE", f"/v1/policies/{unused}", status=204)
    again = deployment.call("DELETE", f"/v1/policies/{unused}", token=vendor.token)
    refused = deployment.call("DELETE", f"/v1/policies/{used}", token=vendor.token)

    assert (404, "not_found") == (again.status, again.body["code"])
    assert (409, "policy_in_use") == (refused.status, refused.body["code"])


def test_a_change_of_a_policy_says_why(vendor: Vendor) -> None:
    """In the event of the change; the reason is no term."""
    policy = vendor.policy()
    body = {"max_devices": 2, "reason": "two were promised"}

    vendor.call("PATCH", f"/v1/policies/{policy}", body)

    query = {"subject": policy, "action": "policies.change"}
    [event] = vendor.call("GET", "/v1/audit-events", query=query)["items"]
    assert "two were promised" == event["reason"]
    assert {"max_devices": {"from": None, "to": 2}} == event["changes"]


def test_a_change_of_a_policy_is_tried(deployment: Deployment, vendor: Vendor) -> None:
    """It says what would be touched by which terms, and changes nothing."""
    policy = vendor.policy(name="Team", max_devices=3, seat_ttl="P1D")
    path = f"/v1/policies/{policy}"
    devices = {None: 3, 2: 2, "unlimited": 3, 5: 1}
    for own_limit, count in devices.items():
        licence = vendor.licence(policy, max_devices=own_limit)
        for number in range(count):
            assert deployment.check(licence["key"], f"fingerprint-number-{number}")["valid"]
    vendor.licence(vendor.policy(max_devices=9))
    before, told = vendor.call("GET", path), vendor.call("GET", "/v1/audit-events")
    rows = deployment.sql("SELECT revision, facts::text FROM permit.policies")

    tried = vendor.call("PATCH", path, {"max_devices": 1, "dry_run": True, "reason": "dearer"})
    tolerant = vendor.call("PATCH", path, {"max_devices": 1, "overage": 1, "dry_run": True})
    as_it_is = vendor.call("PATCH", path, {"dry_run": True})
    deployment.pass_time(timedelta(hours=2))
    leased = vendor.call("PATCH", path, {"seat_ttl": "PT1H", "dry_run": True})
    deployment.pass_time(timedelta(hours=22, minutes=1))
    lapsed = vendor.call("PATCH", path, {"seat_ttl": "PT1H", "dry_run": True})

    def reach(answer: dict[str, Any]) -> tuple[int, ...]:
        names = ("licences", "seats", "licences_over_limit", "seats_over_limit")
        return tuple(answer[name] for name in names)

    # Only the licence without a limit of its own, and three devices, follows the policy's.
    assert (4, 9, 1, 2) == reach(tried)
    assert (4, 9, 1, 1) == reach(tolerant)
    assert (4, 9, 0, 0) == reach(as_it_is)
    # A seat waits for the proof that it was given under the longer seat_ttl.
    assert (4, 9, 0, 0) == reach(leased)
    assert (4, 0, 0, 0) == reach(lapsed)
    assert (True, True) == (tried["dry_run"], tried["is_complete"])
    assert before | {"max_devices": 1} == tried["policy"]
    assert before == as_it_is["policy"] == vendor.call("GET", path)
    assert told == vendor.call("GET", "/v1/audit-events")
    assert rows == deployment.sql("SELECT revision, facts::text FROM permit.policies")


def test_a_policy_of_many_licences_is_tried_in_part(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts so many, and says that there are more."""
    policy = vendor.policy()
    for _ in range(3):
        vendor.licence(policy)
    answers = []
    for most in (2, 3, 4):
        monkeypatch.setattr("permit.licences.queries.policies._MOST_COUNTED", most)
        tried = vendor.call("PATCH", f"/v1/policies/{policy}", {"name": "X", "dry_run": True})
        answers.append((tried["licences"], tried["is_complete"]))

    assert [(2, False), (3, True), (3, True)] == answers


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"device_required": False}, "device_required"),
        ({"overage": -1}, "overage"),
        ({"unknown": 1}, "unknown"),
        ({"dry_run": "yes"}, "dry_run"),
    ],
    ids=str,
)
def test_a_try_is_refused_as_the_change_would_be(
    deployment: Deployment, vendor: Vendor, change: dict[str, Any], field: str
) -> None:
    """The same problem, to the letter."""
    policy = vendor.policy()
    vendor.licence(policy, max_devices=2)
    path = f"/v1/policies/{policy}"

    answers = [
        deployment.call("PATCH", path, {**more, **change}, token=vendor.token)
        for more in ({}, {"dry_run": True})
    ]

    assert_refused(answers[1], field)
    assert answers[0].text == answers[1].text


def test_policies_are_listed_by_product(vendor: Vendor) -> None:
    """Newest first; without a filter, those of every product."""
    first, second = vendor.policy(name="First"), vendor.policy(name="Second")
    other = vendor.call("POST", "/v1/products", {"code": "other", "name": "Other"}, status=201)
    third = vendor.call(
        "POST", "/v1/policies", {"product_id": other["id"], "name": "Third"}, status=201
    )

    of_product = vendor.call("GET", "/v1/policies", query={"product_id": vendor.product_id})
    of_all = vendor.call("GET", "/v1/policies")

    assert [second, first] == [item["id"] for item in of_product["items"]]
    assert [third["id"], second, first] == [item["id"] for item in of_all["items"]]


def test_a_list_is_read_page_by_page(vendor: Vendor) -> None:
    """Each row once, newest first, whatever is inserted meanwhile."""
    codes = ["editor"]
    for number in range(6):
        code = f"product-{number}"
        vendor.call("POST", "/v1/products", {"code": code, "name": code}, status=201)
        codes.insert(0, code)

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = vendor.call("GET", "/v1/products", query=query)
        seen += [item["code"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        late = f"late-{len(seen)}"
        vendor.call("POST", "/v1/products", {"code": late, "name": late}, status=201)

    assert codes == seen


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"cursor": "WyJ4IiwgInkiXQ=="},
        {"cursor": "W10="},
        {"cursor": "WyIyMDI2LTEyLTAxIiwgIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCJd"},
        {"cursor": "e30="},
        {"cursor": "ä"},
        {"limit": 0},
        {"limit": 101},
        {"limit": "many"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_bad_page_is_refused(
    deployment: Deployment, vendor: Vendor, query: dict[str, object]
) -> None:
    """422 that names the parameter, never a 500."""
    answer = deployment.call("GET", "/v1/products", query=query, token=vendor.token)

    assert 422 == answer.status
    assert next(iter(query)) == answer.body["errors"][0]["field"]


@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00Z"]
)
def test_a_made_up_cursor_is_merely_useless(
    deployment: Deployment, vendor: Vendor, instant: str
) -> None:
    """Another place in the caller's own list, never a 500."""
    place = json.dumps([instant, "00000000-0000-0000-0000-000000000000"])
    cursor = base64.urlsafe_b64encode(place.encode()).decode()

    page = vendor.call("GET", "/v1/products", query={"cursor": cursor})

    assert len(page["items"]) <= 1
