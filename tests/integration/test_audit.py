"""The audit log: what is in it, who is found in it, and that nobody changes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support.authenticator import code
from tests.support.deployment import Deployment, Vendor, connected

EMAIL = "ada@example.com"


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def events(vendor: Vendor, **query: object) -> list[dict[str, Any]]:
    return vendor.call("GET", "/v1/audit-events", query=query)["items"]


def test_a_change_is_told_with_who_what_and_why(deployment: Deployment, vendor: Vendor) -> None:
    """In the transaction of the change; with the address and the request's id."""
    licence = vendor.licence()

    vendor.call("POST", f"/v1/licences/{licence['id']}/suspend", {"reason": "non-payment"})

    [event] = events(vendor, action="licences.suspend")
    me = vendor.call("GET", "/v1/users/me")
    assert {"kind": "user", "id": me["id"], "name": vendor.email} == event["actor"]
    assert {"kind": "licence", "id": licence["id"]} == event["subject"]
    assert ("non-payment", "203.0.113.7", "JKJaXmPLvHcESHA=") == (
        event["reason"],
        event["address"],
        event["request_id"],
    )
    assert ["suspended_at"] == list(event["changes"])
    assert event["changes"]["suspended_at"]["from"] is None


def test_what_changes_nothing_is_not_told(vendor: Vendor) -> None:
    """Neither a second suspension nor a read is an event."""
    licence = vendor.licence()
    path = f"/v1/licences/{licence['id']}"

    for _ in range(2):
        vendor.call("POST", f"{path}/suspend")
        vendor.call("GET", path)

    assert 1 == len(events(vendor, subject=licence["id"], action="licences.suspend"))


def test_what_is_refused_is_not_told(deployment: Deployment, vendor: Vendor) -> None:
    """The event goes with the change that did not happen."""
    before = len(events(vendor))
    body = {"code": "editor", "name": "Again"}
    deployment.call("POST", "/v1/products", body, token=vendor.token)

    assert before == len(events(vendor))


def test_a_personal_field_is_named_without_its_values(
    deployment: Deployment, vendor: Vendor
) -> None:
    """No event has a secret either: the log shows no email and no hash."""
    vendor.call("POST", "/v1/users", {"email": EMAIL, "role": "support"}, status=201)
    licence = vendor.licence(holder={"email": EMAIL, "name": "Ada"})
    vendor.call(
        "PATCH",
        f"/v1/licences/{licence['id']}",
        {"holder": {"email": "new@example.com"}, "notes": "Ada's", "metadata": {"who": "Ada"}},
    )
    vendor.api_key("admin")

    [changed] = events(vendor, action="licences.change")
    stored = deployment.sql("SELECT changes::text FROM permit.audit_events")
    assert {"holder_email": {}, "metadata": {}, "notes": {}} == changed["changes"]
    for (changes,) in stored:
        assert not any(text in changes for text in ("ada@", "new@", "Ada", "$argon2", "\\\\x"))


def test_servers_and_the_operator_are_told_apart(deployment: Deployment, vendor: Vendor) -> None:
    """By what they are, and which key it was."""
    licence = vendor.licence()
    key = vendor.call("POST", "/v1/api-keys", {"name": "Shop", "role": "issuer"}, status=201)
    body = {"expires_at": "2040-01-01T00:00:00Z"}
    vendor.call("PATCH", f"/v1/licences/{licence['id']}", body)
    vendor.call("POST", f"/v1/licences/{licence['id']}/renew", body, token=key["key"])
    vendor.call(
        "POST",
        f"/v1/licences/{licence['id']}/renew",
        {"expires_at": "2041-01-01T00:00:00Z"},
        token=key["key"],
    )

    by_server = events(vendor, actor=key["id"])
    by_operator = [e for e in events(vendor) if e["actor"]["kind"] == "operator"]

    assert [("licences.renew", "Shop")] == [(e["action"], e["actor"]["name"]) for e in by_server]
    assert ["create-licence", "create-policy", "create-product", "create-tenant"] == [
        event["action"] for event in by_operator
    ]


def test_what_becomes_of_a_session_is_told(deployment: Deployment, vendor: Vendor) -> None:
    """Every sign-in, its end, and a refresh token that two clients have: who, from where, which."""
    assert vendor.token
    log_in = {"email": vendor.email, "password": vendor.password}
    body = {"email": vendor.email, "password": "wrong"}
    deployment.send("login", body, source_ip="198.51.100.9")
    first = deployment.send("login", log_in, source_ip="198.51.100.1").body["refresh_token"]
    deployment.send("login_logout", {"refresh_token": first}, source_ip="198.51.100.2")
    deployment.send("login_logout", {"refresh_token": first}, source_ip="198.51.100.2")
    second = deployment.send("login", log_in, source_ip="198.51.100.3").body["refresh_token"]
    renewed = deployment.send("login_refresh", {"refresh_token": second}).body["refresh_token"]
    deployment.send("login_refresh", {"refresh_token": renewed})
    deployment.send("login_refresh", {"refresh_token": second}, source_ip="198.51.100.4")

    me = vendor.call("GET", "/v1/users/me")
    told = [event for event in events(vendor) if event["action"].startswith("sessions.")][:4]
    assert [
        ("sessions.reuse", "refresh_token", "198.51.100.4"),
        ("sessions.begin", "user", "198.51.100.3"),
        ("sessions.end", "user", "198.51.100.2"),
        ("sessions.begin", "user", "198.51.100.1"),
    ] == [(e["action"], e["actor"]["kind"], e["address"]) for e in told]
    assert {me["id"]} == {e["actor"]["id"] for e in told} == {e["subject"]["id"] for e in told}
    reuse, begin, end, _ = told
    assert begin["changes"]["session"]["to"] == reuse["changes"]["session"]["from"]
    assert begin["changes"]["session"]["to"] != end["changes"]["session"]["from"]
    assert all("JKJaXmPLvHcESHA=" == e["request_id"] for e in told)


def test_a_wrong_code_is_told(deployment: Deployment, vendor: Vendor) -> None:
    """Not as the person's act: whoever it was knew the password."""
    secret = vendor.call("POST", "/v1/users/me/second-factor")["secret"]
    confirm = {"code": code(secret)}
    vendor.call("POST", "/v1/users/me/second-factor/confirm", confirm)
    body = {"email": vendor.email, "password": vendor.password}
    mfa_token = deployment.send("login", body).body["mfa_token"]
    guess = {"mfa_token": mfa_token, "code": "000000"}

    deployment.call("POST", "/v1/login/second-factor", guess, source_ip="198.51.100.9")

    [event] = events(vendor, action="sessions.refuse-code")
    assert ("password", vendor.email, "198.51.100.9") == (
        event["actor"]["kind"],
        event["actor"]["name"],
        event["address"],
    )


def test_a_check_is_no_event(deployment: Deployment, vendor: Vendor) -> None:
    """The log is not about what applications do; it is about what the vendor does to a device."""
    licence = vendor.licence()
    device = deployment.check(licence["key"])["device"]
    before = len(events(vendor))
    deployment.check(licence["key"], "another-fingerprint-1")
    assert before == len(events(vendor))

    vendor.call("POST", f"/v1/licences/{licence['id']}/devices/{device['id']}/block")

    [event] = events(vendor, subject=device["id"])
    assert {"state": {"from": "seated", "to": "blocked"}} == event["changes"]


def test_events_are_found_by_time_and_paged(deployment: Deployment, vendor: Vendor) -> None:
    """Newest first, each once."""
    for number in range(5):
        vendor.call("PATCH", f"/v1/products/{vendor.product_id}", {"name": f"Name {number}"})
    now = datetime.now(UTC)

    seen: list[str] = []
    query: dict[str, object] = {"action": "products.change", "limit": 2}
    while True:
        page = vendor.call("GET", "/v1/audit-events", query=query)
        seen += [event["changes"]["name"]["to"] for event in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert [f"Name {number}" for number in (4, 3, 2, 1, 0)] == seen
    later = (now + timedelta(minutes=1)).isoformat()
    assert [] == events(vendor, since=later)
    assert 5 == len(events(vendor, until=later, action="products.change"))
    vendor.call("GET", "/v1/audit-events", query={"since": later, "until": later}, status=422)


def test_an_address_is_forgotten(deployment: Deployment, vendor: Vendor) -> None:
    """After 90 days, by the sweep; the event stays."""
    vendor.call("PATCH", f"/v1/products/{vendor.product_id}", {"name": "New"})
    deployment.pass_time(timedelta(days=91))

    deployment.invoke("sweep", {})

    assert {None} == {a for (a,) in deployment.sql("SELECT address FROM permit.audit_events")}


@pytest.mark.parametrize("role", ["permit_vendor", "permit_operator", "permit_login"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE permit.audit_events SET action = 'x'",
        "DELETE FROM permit.audit_events",
        "TRUNCATE permit.audit_events",
        """
        INSERT INTO permit.audit_events
               (tenant_id, actor_kind, action, subject_kind, subject_id, changes)
        SELECT gen_random_uuid(), 'user', 'x', 'x', gen_random_uuid(), '{}'
        """,
    ],
)
def test_no_role_writes_it(deployment: Deployment, role: str, statement: str) -> None:
    """Grants make it append-only, and only the triggers append to it."""
    with (
        connected(deployment, role) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)
