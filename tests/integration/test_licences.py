"""Licences over the API: issued, found, listed, changed, renewed, ended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from permit.db import Database
from permit.errors import InvalidRequest
from permit.licences import licences
from permit.licences.rows import Licence
from permit.licences.terms import LicenceRequest
from tests.support.deployment import Deployment, Vendor
from tests.support.plans import plans_of
from tests.support.racing import acting, held_up, race
from tests.support.refusals import assert_refused

FIELDS = {
    *("id", "key_hint", "product", "policy_id", "holder", "status", "starts_at", "expires_at"),
    *("max_devices", "devices_used", "entitlements", "metadata", "created_at", "suspended_at"),
    *("revoked_at", "last_checked_at"),
}
HOLDER = {"name": "Ada Lovelace", "email": "Ada@Example.com", "reference": "C-1815"}


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def issue(vendor: Vendor, policy_id: str | None = None, **terms: object) -> dict[str, Any]:
    body = {"policy_id": policy_id or vendor.policy(), **terms}
    return vendor.call("POST", "/v1/licences", body, status=201)


def act(vendor: Vendor, licence: dict[str, Any], action: str, **body: object) -> dict[str, Any]:
    return vendor.call("POST", f"/v1/licences/{licence['id']}/{action}", body or None)


def test_a_licence_is_issued_with_its_key(deployment: Deployment, vendor: Vendor) -> None:
    """Only the issue answers the key, and the key checks; all that was sent is answered."""
    policy = vendor.policy(duration="P1Y", entitlements=["base"])

    issued = issue(
        vendor,
        policy,
        holder=HOLDER,
        max_devices=3,
        entitlements=["export"],
        metadata={"plan": "gold"},
        notes="pays late",
    )
    read = vendor.call("GET", f"/v1/licences/{issued['id']}")
    checked = deployment.check(issued["key"])

    assert FIELDS | {"key"} <= set(issued)
    assert {name: value for name, value in issued.items() if name != "key"} == read
    assert HOLDER == read["holder"]
    assert (3, ["export"], {"plan": "gold"}) == (
        read["max_devices"],
        read["entitlements"],
        read["metadata"],
    )
    assert ("editor", policy, "active", 0) == (
        read["product"],
        read["policy_id"],
        read["status"],
        read["devices_used"],
    )
    assert ["base", "export"] == read["granted_entitlements"]
    assert ("VALID", ["base", "export"], {"plan": "gold"}) == (
        checked["code"],
        checked["licence"]["entitlements"],
        checked["licence"]["metadata"],
    )
    assert "pays late" not in str(checked)
    after = vendor.call("GET", f"/v1/licences/{issued['id']}")
    assert 1 == after["devices_used"]
    assert after["last_checked_at"] is not None


def test_the_key_is_kept_as_a_hash_only(deployment: Deployment, vendor: Vendor) -> None:
    """No column of any table holds it, not even that of the answers which are replayed."""
    issued = vendor.call(
        "POST",
        "/v1/licences",
        {"policy_id": vendor.policy()},
        status=201,
        headers={"idempotency-key": "an-order-of-a-web-shop-1"},
    )
    symbols = issued["key"].replace("-", "")

    tables = deployment.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'permit'")
    for (table,) in tables:
        for (row,) in deployment.sql(f"SELECT t::text FROM permit.{table} AS t"):
            assert symbols not in row
            assert issued["key"] not in row
            assert issued["key"].encode().hex() not in row


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"policy_id": "00000000-0000-0000-0000-000000000000"}, "policy_id"),
        ({"policy_id": "x"}, "policy_id"),
        ({"metadata": {"a": "x" * 9000}}, "metadata"),
        ({"metadata": {"a": "\x00"}}, "metadata"),
        ({"entitlements": ["e"] * 1000}, "entitlements"),
        ({"starts_at": "2027-01-01T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2027-01-01"}, "expires_at"),
        ({"max_devices": -1}, "max_devices"),
        ({"key": "AAAAAA"}, "key"),
        ({"tenant_id": "00000000-0000-0000-0000-000000000000"}, "tenant_id"),
        ({"holder": {"name": "a\x00"}}, "holder.name"),
        ({"holder": {"role": "owner"}}, "holder.role"),
        ({"notes": "x" * 10_001}, "notes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_licence_is_refused(
    deployment: Deployment, vendor: Vendor, terms: dict[str, Any], field: str
) -> None:
    """422 with the field, and none is issued."""
    body = {"policy_id": vendor.policy(), **terms}

    answer = deployment.call("POST", "/v1/licences", body, token=vendor.token)

    assert 422 == answer.status
    assert answer.body["errors"][0]["field"].startswith(field)
    assert [] == vendor.call("GET", "/v1/licences")["items"]


def test_a_batch_is_issued_whole(deployment: Deployment, vendor: Vendor) -> None:
    """A thousand in one call, in the order sent, each with a key of its own."""
    policy = vendor.policy(duration="P1M")
    orders = [{"policy_id": policy, "holder": {"reference": f"R{n}"}} for n in range(1000)]

    issued = vendor.call("POST", "/v1/licences/batch", {"licences": orders}, status=201)["licences"]

    assert [f"R{n}" for n in range(1000)] == [each["holder"]["reference"] for each in issued]
    assert 1000 == len({each["key"] for each in issued})
    assert "VALID" == deployment.check(issued[999]["key"])["code"]


def test_a_batch_is_issued_not_at_all(deployment: Deployment, vendor: Vendor) -> None:
    """Errors by index; nothing remains of the others."""
    policy, deviceless = vendor.policy(), vendor.policy(device_required=False)
    orders = [
        {"policy_id": policy},
        {"policy_id": "00000000-0000-0000-0000-000000000000"},
        {"policy_id": policy, "expires_at": "2020-01-01T00:00:00Z"},
        {"policy_id": deviceless, "max_devices": 1},
    ]

    answer = deployment.call("POST", "/v1/licences/batch", {"licences": orders}, token=vendor.token)
    malformed = deployment.call(
        "POST", "/v1/licences/batch", {"licences": [{}, *orders]}, token=vendor.token
    )
    too_many = deployment.call(
        "POST", "/v1/licences/batch", {"licences": orders * 251}, token=vendor.token
    )

    fields = [error["field"] for error in answer.body["errors"]]
    assert ["licences.1.policy_id", "licences.2.expires_at", "licences.3.max_devices"] == fields
    assert (422, 422, 422) == (answer.status, malformed.status, too_many.status)
    assert "licences.0.policy_id" == malformed.body["errors"][0]["field"]
    assert "licences" == too_many.body["errors"][0]["field"]
    assert [] == vendor.call("GET", "/v1/licences")["items"]


def test_a_batch_tells_twenty_of_its_faults(vendor: Vendor) -> None:
    """As every refusal: what is wrong beyond them is not told."""
    orders = [{"policy_id": "00000000-0000-0000-0000-000000000000"}] * 21

    refused = vendor.call("POST", "/v1/licences/batch", {"licences": orders}, status=422)

    fields = [error["field"] for error in refused["errors"]]
    assert [f"licences.{n}.policy_id" for n in range(20)] == fields


def test_a_licence_is_looked_up_by_its_key(deployment: Deployment, vendor: Vendor) -> None:
    """However it is written, and by a replaced key too; never by another vendor."""
    issued = issue(vendor)
    other = Vendor.create(deployment, "other@example.com", code="other")
    act(vendor, issued, "rotate-key")

    found = vendor.call(
        "POST", "/v1/licences/lookup", {"key": issued["key"].lower().replace("-", " ")}
    )
    told = [
        vendor_asking.call("POST", "/v1/licences/lookup", {"key": key}, status=404)["mistyped"]
        for key, vendor_asking in ((issued["key"], other), ("nonsense", vendor))
    ]

    assert [False, True] == told
    assert issued["id"] == found["id"]
    assert "key" not in found


def test_a_licence_is_changed_in_part(deployment: Deployment, vendor: Vendor) -> None:
    """What is left out stays; null removes an end, a limit or a note."""
    issued = issue(
        vendor,
        holder=HOLDER,
        expires_at="2030-01-01T00:00:00Z",
        max_devices=1,
        notes="old",
        metadata={"a": 1},
    )
    path = f"/v1/licences/{issued['id']}"

    changed = vendor.call(
        "PATCH",
        path,
        {
            "holder": {"email": None},
            "expires_at": None,
            "max_devices": "unlimited",
            "notes": None,
            "entitlements": ["x"],
        },
    )

    assert {**HOLDER, "email": None} == changed["holder"]
    assert (None, "unlimited", None, ["x"], {"a": 1}) == (
        changed["expires_at"],
        changed["max_devices"],
        changed["notes"],
        changed["entitlements"],
        changed["metadata"],
    )
    assert changed == vendor.call("GET", path)
    assert changed == vendor.call("PATCH", path, {})


def test_a_licence_moves_to_another_policy_of_its_product(
    deployment: Deployment, vendor: Vendor
) -> None:
    """An upgrade; a policy of another product is 422."""
    issued = issue(vendor, vendor.policy(entitlements=["small"]))
    larger = vendor.policy(entitlements=["small", "large"])
    product = vendor.call("POST", "/v1/products", {"code": "other", "name": "Other"}, status=201)
    foreign = vendor.call(
        "POST", "/v1/policies", {"product_id": product["id"], "name": "F"}, status=201
    )
    path = f"/v1/licences/{issued['id']}"

    moved = vendor.call("PATCH", path, {"policy_id": larger})
    refused = deployment.call("PATCH", path, {"policy_id": foreign["id"]}, token=vendor.token)

    assert ["large", "small"] == moved["granted_entitlements"]
    assert (422, "policy_id") == (refused.status, refused.body["errors"][0]["field"])
    assert larger == vendor.call("GET", path)["policy_id"]


def test_a_move_and_a_change_at_once_both_count(deployment: Deployment, vendor: Vendor) -> None:
    """A change that has waited for the licence's lock uses the new policy and the new state."""
    issued, larger = issue(vendor, notes="old"), vendor.policy(name="Larger")
    licence_id, key = UUID(issued["id"]), vendor.api_key("admin")

    with held_up(
        deployment,
        "UPDATE permit.licences SET policy_id = %s, notes = 'moved' WHERE id = %s",
        larger,
        issued["id"],
        run=acting(key, lambda d, t: licences.change(d, t, licence_id, {"max_devices": 2})),
        function="licences",
    ) as changing:
        pass

    changed = changing.result()
    assert (UUID(larger), "moved", 2) == (changed.policy_id, changed.notes, changed.max_devices)


def test_a_move_and_a_renewal_at_once_both_count(deployment: Deployment, vendor: Vendor) -> None:
    """The licence is renewed by the policy that it has by then."""
    issued, longer = issue(vendor, vendor.policy(duration="P1D")), vendor.policy(duration="P1Y")
    licence_id, key = UUID(issued["id"]), vendor.api_key("admin")

    with held_up(
        deployment,
        "UPDATE permit.licences SET policy_id = %s WHERE id = %s",
        longer,
        issued["id"],
        run=acting(
            key, lambda d, t: licences.renew(d, t, licence_id, duration=None, expires_at=None)
        ),
        function="licences",
    ) as renewing:
        pass

    renewed = renewing.result().expires_at
    assert renewed is not None
    assert timedelta(days=365) < renewed - datetime.now(UTC)


def test_a_limit_is_refused_by_the_policy_as_it_becomes(
    deployment: Deployment, vendor: Vendor
) -> None:
    """A policy that just stops counting devices, and a licence that begins to: one gives way."""
    policy = vendor.policy()
    licence_id, key = UUID(issue(vendor, policy)["id"]), vendor.api_key("admin")
    order = LicenceRequest(policy_id=UUID(policy), max_devices=2)
    limits: list[Callable[[Database, UUID], Licence]] = [
        lambda d, t: licences.change(d, t, licence_id, {"max_devices": 2}),
        lambda d, t: licences.issue(d, t, order),
    ]
    for limit in limits:
        deployment.sql("UPDATE permit.policies SET device_required = true WHERE id = %s", policy)

        with held_up(
            deployment,
            "UPDATE permit.policies SET device_required = false WHERE id = %s",
            policy,
            run=acting(key, limit),
            function="licences",
        ) as limiting:
            pass

        with pytest.raises(InvalidRequest) as refused:
            limiting.result()
        assert (("max_devices", "the policy does not require a device"),) == refused.value.errors


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"starts_at": None}, "starts_at"),
        ({"metadata": None}, "metadata"),
        ({"key": "x"}, "key"),
        ({"status": "active"}, "status"),
        ({"revoked_at": None}, "revoked_at"),
        ({"max_devices": 1}, "max_devices"),
    ],
    ids=str,
)
def test_a_licence_refuses_a_bad_change(
    deployment: Deployment, vendor: Vendor, change: dict[str, Any], field: str
) -> None:
    """422 with the field."""
    issued = issue(vendor, vendor.policy(device_required=False, duration="P1Y"))

    answer = deployment.call("PATCH", f"/v1/licences/{issued['id']}", change, token=vendor.token)

    assert (422, field) == (answer.status, answer.body["errors"][0]["field"])


def test_actions_are_idempotent_and_final(deployment: Deployment, vendor: Vendor) -> None:
    """Suspending twice is 200 and changes nothing; a revoked licence comes back by nothing."""
    issued = issue(vendor, vendor.policy(duration="P1Y"))

    suspended = act(vendor, issued, "suspend", reason="non-payment")
    assert "suspended" == suspended["status"]
    assert suspended == act(vendor, issued, "suspend")
    assert "SUSPENDED" == deployment.check(issued["key"])["code"]
    reinstated = act(vendor, issued, "reinstate")
    assert ("active", None) == (reinstated["status"], reinstated["suspended_at"])
    assert reinstated == act(vendor, issued, "reinstate")
    revoked = act(vendor, issued, "revoke")
    assert "revoked" == revoked["status"]
    assert revoked == act(vendor, issued, "revoke")
    for action in ("reinstate", "suspend", "renew", "rotate-key"):
        answer = deployment.call(
            "POST", f"/v1/licences/{issued['id']}/{action}", token=vendor.token
        )
        assert (409, "licence_revoked") == (answer.status, answer.body["code"]), action


def test_a_renewal_adds_the_policys_duration(deployment: Deployment, vendor: Vendor) -> None:
    """From its end, or from now where that is long past."""
    issued = issue(vendor, vendor.policy(duration="P30D"))
    expiry = datetime.fromisoformat(issued["expires_at"])

    early = act(vendor, issued, "renew")
    deployment.pass_time(timedelta(days=100))
    late = act(vendor, issued, "renew")

    assert expiry + timedelta(days=30) == datetime.fromisoformat(early["expires_at"])
    now = datetime.now(UTC) + timedelta(days=100)
    renewed = datetime.fromisoformat(late["expires_at"])
    assert timedelta(0) <= now + timedelta(days=30) - renewed < timedelta(minutes=5)
    assert "active" == late["status"]


def test_a_renewal_says_how_long_or_until_when(deployment: Deployment, vendor: Vendor) -> None:
    """Not both; and never by nothing where the policy has no duration."""
    issued = issue(vendor, vendor.policy(), expires_at="2027-01-31T00:00:00Z")
    path = f"/v1/licences/{issued['id']}/renew"

    month = act(vendor, issued, "renew", duration="P1M")
    until = act(vendor, issued, "renew", expires_at="2029-05-05T05:05:05Z")
    both = deployment.call(
        "POST",
        path,
        {"duration": "P1M", "expires_at": "2029-05-05T05:05:05Z"},
        token=vendor.token,
    )
    neither = deployment.call("POST", path, token=vendor.token)
    before = deployment.call(
        "POST", path, {"expires_at": "2001-01-01T00:00:00Z"}, token=vendor.token
    )

    assert "2027-02-28T00:00:00Z" == month["expires_at"]
    assert "2029-05-05T05:05:05Z" == until["expires_at"]
    assert (422, "expires_at") == (both.status, both.body["errors"][0]["field"])
    assert (409, "policy_without_duration") == (neither.status, neither.body["code"])
    assert (422, "expires_at") == (before.status, before.body["errors"][0]["field"])


def test_what_has_no_end_or_no_beginning_is_not_renewed(
    deployment: Deployment, vendor: Vendor
) -> None:
    """409 for a perpetual licence, and for one that waits for its first check."""
    perpetual = issue(vendor)
    waiting = issue(vendor, vendor.policy(duration="P1Y", starts="on_first_check"))

    codes = [
        deployment.call(
            "POST", f"/v1/licences/{each['id']}/renew", {"duration": "P1Y"}, token=vendor.token
        ).body["code"]
        for each in (perpetual, waiting)
    ]

    assert ["licence_perpetual", "licence_not_started"] == codes
    assert "not_started" == waiting["status"]


def test_endless_renewals_end(deployment: Deployment, vendor: Vendor) -> None:
    """422 before a year that no timestamp knows."""
    issued = issue(vendor, expires_at="8950-01-01T00:00:00Z")

    answer = deployment.call(
        "POST", f"/v1/licences/{issued['id']}/renew", {"duration": "P100Y"}, token=vendor.token
    )

    assert (422, "duration") == (answer.status, answer.body["errors"][0]["field"])


def test_parallel_renewals_all_count(deployment: Deployment, vendor: Vendor) -> None:
    """Eight at once are eight: none is lost."""
    issued = issue(vendor, vendor.policy(duration="P1D"))
    expiry = datetime.fromisoformat(issued["expires_at"])
    key, licence_id = vendor.api_key("admin"), UUID(issued["id"])

    race(
        deployment,
        [acting(key, lambda d, t: licences.renew(d, t, licence_id, duration=None, expires_at=None))]
        * 8,
        function="licences",
    )

    after = vendor.call("GET", f"/v1/licences/{issued['id']}")
    assert expiry + timedelta(days=8) == datetime.fromisoformat(after["expires_at"])


def test_parallel_rotations_leave_one_key(deployment: Deployment, vendor: Vendor) -> None:
    """Each answers a key; one of them is current and the others were replaced."""
    issued = issue(vendor)
    key, licence_id = vendor.api_key("admin"), UUID(issued["id"])

    rotated = race(
        deployment,
        [acting(key, lambda d, t: licences.rotate_key(d, t, licence_id, overlap="PT0S"))] * 6,
        function="licences",
    )

    codes = sorted(deployment.check(new.key)["code"] for new in rotated)
    assert ["KEY_REPLACED"] * 5 + ["VALID"] == codes


def test_a_rotated_key_may_overlap(deployment: Deployment, vendor: Vendor) -> None:
    """Both work until the overlap ends."""
    issued = issue(vendor)

    rotated = act(vendor, issued, "rotate-key", overlap="P1D")

    assert "VALID" == deployment.check(issued["key"])["code"]
    assert "VALID" == deployment.check(rotated["key"])["code"]
    assert rotated["key"].replace("-", "")[-5:] == rotated["key_hint"]
    deployment.pass_time(timedelta(days=2))
    assert "KEY_REPLACED" == deployment.check(issued["key"])["code"]


def test_a_rotation_ends_the_keys_of_an_overlap_too(deployment: Deployment, vendor: Vendor) -> None:
    """Whoever is to lose the licence knows them as well; a shorter overlap stays as it is."""
    issued = issue(vendor)
    rotated = act(vendor, issued, "rotate-key", overlap="P30D")
    act(vendor, issued, "rotate-key", overlap="P1D")
    assert "VALID" == deployment.check(issued["key"])["code"]
    deployment.pass_time(timedelta(days=1))
    assert "KEY_REPLACED" == deployment.check(issued["key"])["code"]
    assert "KEY_REPLACED" == deployment.check(rotated["key"])["code"]

    other = issue(vendor)
    act(vendor, other, "rotate-key", overlap="P1D")
    last = act(vendor, other, "rotate-key", overlap="P30D")
    deployment.pass_time(timedelta(days=2))
    assert "KEY_REPLACED" == deployment.check(other["key"])["code"]
    assert "VALID" == deployment.check(last["key"])["code"]


@pytest.fixture
def catalogue(vendor: Vendor) -> dict[str, dict[str, Any]]:
    """Licences that differ in what they are found by."""
    yearly, forever = vendor.policy(duration="P1Y"), vendor.policy(name="Forever")
    found = {
        "ada": issue(vendor, yearly, holder=HOLDER),
        "bob": issue(vendor, forever, holder={"name": "Bob", "email": "bob@builders.example"}),
        "per%cent": issue(vendor, forever, holder={"name": "Per%Cent_Ltd"}),
        "ended": issue(vendor, forever, holder={"reference": "C-1"}),
        "ünal": issue(vendor, yearly, holder={"name": "Ünal"}),
    }
    act(vendor, found["ended"], "revoke")
    act(vendor, found["bob"], "suspend")
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["ünal", "ended", "per%cent", "bob", "ada"]),
        ({"holder": "ada"}, ["ada"]),
        ({"holder": "ADA@example"}, ["ada"]),
        ({"holder": "c-1"}, ["ended", "ada"]),
        ({"holder": "builders"}, []),
        ({"holder": "%"}, []),
        ({"holder": "per%c"}, ["per%cent"]),
        ({"holder": "üN"}, ["ünal"]),
        ({"q": "builders"}, ["bob"]),
        ({"q": "t_l"}, ["per%cent"]),
        ({"status": "revoked"}, ["ended"]),
        ({"status": "suspended"}, ["bob"]),
        ({"status": "active"}, ["ünal", "per%cent", "ada"]),
        ({"status": "expired"}, []),
        ({"product": "editor"}, ["ünal", "ended", "per%cent", "bob", "ada"]),
        ({"product": "unknown"}, []),
        ({"expires_before": "2099-01-01T00:00:00Z"}, ["ünal", "ada"]),
        ({"holder": "c-1", "status": "active"}, ["ada"]),
    ],
    ids=str,
)
def test_licences_are_found(
    vendor: Vendor, catalogue: dict[str, dict[str, Any]], query: dict[str, str], names: list[str]
) -> None:
    """By each filter, and by all that are given; newest first."""
    name_of = {licence["id"]: name for name, licence in catalogue.items()}

    answer = vendor.call("GET", "/v1/licences", query=query)

    assert names == [name_of[item["id"]] for item in answer["items"]]
    assert answer["next_cursor"] is None


def test_licences_are_found_by_policy_and_hint(
    vendor: Vendor, catalogue: dict[str, dict[str, Any]]
) -> None:
    """The hint in any case."""
    ada = catalogue["ada"]

    by_hint = vendor.call("GET", "/v1/licences", query={"key_hint": ada["key_hint"].lower()})
    by_policy = vendor.call("GET", "/v1/licences", query={"policy_id": ada["policy_id"]})
    by_product = vendor.call("GET", "/v1/licences", query={"product": vendor.product_id})

    assert [ada["id"]] == [item["id"] for item in by_hint["items"]]
    assert 5 == len(by_product["items"])
    assert [catalogue["ünal"]["id"], ada["id"]] == [item["id"] for item in by_policy["items"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "gone"}, "status"),
        ({"expires_before": "soon"}, "expires_before"),
        ({"policy_id": "x"}, "policy_id"),
        ({"holder": "a\x00"}, "holder"),
        ({"q": ""}, "q"),
        ({"key": "AAAAAA-AAAAAA"}, "key"),
    ],
    ids=str,
)
def test_a_bad_filter_is_refused(
    deployment: Deployment, vendor: Vendor, query: dict[str, str], field: str
) -> None:
    """422 that names it; a key belongs into no address."""
    answer = deployment.call("GET", "/v1/licences", query=query, token=vendor.token)

    assert (422, field) == (answer.status, answer.body["errors"][0]["field"])


@pytest.mark.parametrize(
    "email", ["ada", "ada@", "@example.com", "a@b@c", "a b@c.org", "a\x00@c.org", "a@" + "c" * 253]
)
def test_a_holders_email_looks_like_one(deployment: Deployment, vendor: Vendor, email: str) -> None:
    """At issue, in a batch and in a change; as everybody's email does."""
    policy, token = vendor.policy(), vendor.token
    licence = issue(vendor, policy)
    order = {"policy_id": policy, "holder": {"email": email}}

    issued = deployment.call("POST", "/v1/licences", order, token=token)
    batch = deployment.call("POST", "/v1/licences/batch", {"licences": [order]}, token=token)
    path = f"/v1/licences/{licence['id']}"
    changed = deployment.call("PATCH", path, {"holder": {"email": email}}, token=token)

    assert_refused(issued, "holder.email")
    assert_refused(batch, "licences.0.holder.email")
    assert_refused(changed, "holder.email")


def test_a_holders_email_is_kept_as_it_was_meant(vendor: Vendor) -> None:
    """Without what a copy brought along; upper and lower case stay."""
    issued = issue(vendor, holder={"email": "  Ada.Lovelace+home@xn--bcher-kva.example\u200b\n"})

    assert "Ada.Lovelace+home@xn--bcher-kva.example" == issued["holder"]["email"]


def test_an_older_holder_may_have_any_email(deployment: Deployment, vendor: Vendor) -> None:
    """The licence is read, listed, changed, renewed, exported, and the email can be put right."""
    licence = issue(vendor, vendor.policy(duration="P1Y"), holder=HOLDER)
    path = f"/v1/licences/{licence['id']}"
    deployment.sql("UPDATE permit.licences SET holder_email = 'see her card'")

    read = vendor.call("GET", path)
    listed = vendor.call("GET", "/v1/licences", query={"q": "ada"})["items"]
    changed = vendor.call("PATCH", path, {"notes": "pays late", "holder": {"name": "Ada"}})
    act(vendor, licence, "renew")
    exported = deployment.operator("export-tenant", tenant_id=vendor.tenant_id)["items"]

    assert [read] == listed
    assert HOLDER | {"email": "see her card"} == read["holder"]
    assert HOLDER | {"email": "see her card", "name": "Ada"} == changed["holder"]
    assert "see her card" in [each.get("holder_email") for each in exported]
    right = vendor.call("PATCH", path, {"holder": {"email": "ada@example.com"}})
    assert "ada@example.com" == right["holder"]["email"]


def test_a_holder_is_found_by_an_index(
    deployment: Deployment, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among many, under row-level security: Postgres looks into the three folded columns."""
    deployment.sql(
        """
        INSERT INTO permit.licences
               (tenant_id, product_id, policy_id, key_hint, entitlements, metadata,
                holder_name_folded, holder_email_folded, holder_reference_folded)
        SELECT %s, %s, %s, 'MANY', '{}', '{}', 'name ' || n, n || '@example.com', 'r-' || n
          FROM generate_series(1, 20000) AS n
        """,
        vendor.tenant_id,
        vendor.product_id,
        vendor.policy(),
    )
    deployment.sql("ANALYZE permit.licences")
    plans = plans_of(deployment, monkeypatch, "licences")

    vendor.call("GET", "/v1/licences", query={"holder": "777@"})

    plan = str(plans)
    for column in ("name", "email", "reference"):
        assert f"licences_holder_{column}" in plan
    assert "Seq Scan on licences" not in plan
