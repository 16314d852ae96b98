"""The audit log: what is in it, who is found in it, and that nobody changes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from permit.people.callers import EVENTS, OPERATOR_EVENTS
from tests.support.authenticator import code
from tests.support.deployment import Deployment, Vendor, connected
from tests.support.plans import plans_of
from tests.support.refusals import assert_refused

EMAIL = "ada@example.com"
BCRYPT = "$2b$12$" + "a" * 21 + "." + "a" * 31


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
    assert {"holder.email": {}, "metadata": {}, "notes": {}} == changed["changes"]
    for (changes,) in stored:
        assert not any(text in changes for text in ("ada@", "new@", "Ada", "$argon2", "\\\\x"))


def test_fields_have_the_names_and_the_form_of_the_api(vendor: Vendor) -> None:
    """A change is found in the log as it was sent and answered, not as a table keeps it."""
    policy = vendor.policy()
    vendor.call("PATCH", f"/v1/policies/{policy}", {"unique": "policy"})
    licence = vendor.licence(policy)
    path = f"/v1/licences/{licence['id']}"
    end = {"expires_at": "2031-01-31T00:00:00+02:00", "max_devices": "unlimited"}
    ended = vendor.call("PATCH", path, end)
    suspended = vendor.call("POST", f"{path}/suspend")
    me = vendor.call("GET", "/v1/users/me")["id"]
    secret = vendor.call("POST", "/v1/users/me/second-factor")["secret"]
    vendor.call("POST", "/v1/users/me/second-factor/confirm", {"code": code(secret)})

    [unique] = events(vendor, action="policies.change")
    [change] = events(vendor, action="licences.change")
    [suspension] = events(vendor, action="licences.suspend")
    confirmed, enrolled = events(vendor, action="self.second-factor", subject=me)
    assert {"unique": {"from": "none", "to": "policy"}} == unique["changes"]
    assert {
        "expires_at": {"from": licence["expires_at"], "to": "2031-01-30T22:00:00Z"},
        "max_devices": {"from": None, "to": "unlimited"},
    } == change["changes"]
    assert "2031-01-30T22:00:00Z" == ended["expires_at"]
    assert {"from": None, "to": suspended["suspended_at"]} == suspension["changes"]["suspended_at"]
    assert {"second_factor": {}} == enrolled["changes"]
    assert {"from": False, "to": True} == confirmed["changes"]["has_second_factor"]


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


def test_what_is_done_to_a_device_is_found_by_its_licence(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Each event names the licence, whoever acted; in the order of time, also over pages."""
    licence, other = vendor.licence(), vendor.licence()
    path = f"/v1/licences/{licence['id']}"
    body = {"fingerprint": "a-fingerprint-of-16"}
    device = vendor.call("POST", f"{path}/devices", body, status=201)["id"]
    vendor.call("POST", f"/v1/licences/{other['id']}/devices", body, status=201)
    vendor.call("POST", f"{path}/devices/{device}/block")
    vendor.call("POST", f"{path}/suspend")
    vendor.command("unblock-device", licence, device_id=device)
    vendor.call("POST", f"{path}/rotate-key")
    deployment.check(licence["key"])

    told = events(vendor, subject=licence["id"])
    paged: list[dict[str, Any]] = []
    query: dict[str, object] = {"subject": licence["id"], "limit": 2}
    while query.get("cursor", "") is not None:
        page = vendor.call("GET", "/v1/audit-events", query=query)
        paged += page["items"]
        query["cursor"] = page["next_cursor"]

    of_licence, of_device = ("licence", licence["id"]), ("device", device)
    assert [
        ("licences.rotate-key", *of_licence),
        ("unblock-device", *of_device),
        ("licences.suspend", *of_licence),
        ("devices.block", *of_device),
        ("devices.activate", *of_device),
        ("create-licence", *of_licence),
    ] == [(event["action"], *event["subject"].values()) for event in told]
    assert {(licence["id"], None)} == {(e["licence_id"], e["product_id"]) for e in told}
    assert told == paged
    by_kind = events(vendor, subject=licence["id"], subject_kind="device")
    assert [each for each in told if each["subject"]["id"] == device] == by_kind
    assert by_kind == events(vendor, subject=device)


def test_a_lapse_is_nobody_s_act(deployment: Deployment, vendor: Vendor) -> None:
    """An activation finds seats that are free again, and tells what became of its own device."""
    policy = vendor.policy(max_devices=3, seat_ttl="PT20M")
    licence = vendor.licence(policy)
    fingerprints = [f"fingerprint-of-machine-{n}" for n in range(3)]
    for fingerprint in fingerprints:
        deployment.check(licence["key"], fingerprint)
    deployment.release(licence["key"], fingerprint=fingerprints[1])
    deployment.pass_time(timedelta(hours=1))

    path = f"/v1/licences/{licence['id']}/devices"
    device = vendor.call("POST", path, {"fingerprint": fingerprints[0]})["id"]

    states = [each["state"] for each in vendor.call("GET", path)["items"]]
    assert ["lapsed", "released", "seated"] == sorted(states)
    [event] = events(vendor, action="devices.activate")
    assert device == event["subject"]["id"]
    assert {"from": "lapsed", "to": "seated"} == event["changes"]["state"]


def test_what_is_done_to_a_policy_is_found_by_its_product(vendor: Vendor) -> None:
    """Its end too, though the policy is gone then."""
    other = vendor.call("POST", "/v1/products", {"code": "viewer", "name": "V"}, status=201)["id"]
    body = {"product_id": other, "name": "Standard"}
    policy = vendor.call("POST", "/v1/policies", body, status=201)["id"]
    vendor.call("PATCH", f"/v1/policies/{policy}", {"name": "Team"})
    vendor.call("DELETE", f"/v1/policies/{policy}", status=204)
    vendor.call("PATCH", f"/v1/products/{other}", {"name": "Viewer", "reason": "a typing error"})

    told = events(vendor, subject=other)

    assert [
        ("products.change", "product", other),
        ("policies.delete", "policy", policy),
        ("policies.change", "policy", policy),
        ("policies.create", "policy", policy),
        ("products.create", "product", other),
    ] == [(event["action"], *event["subject"].values()) for event in told]
    assert {(None, other)} == {(e["licence_id"], e["product_id"]) for e in told}
    assert "a typing error" == told[0]["reason"]


def test_the_events_of_a_licence_come_from_two_indexes(
    deployment: Deployment, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own and those of its devices, each in the order of time: no other event is looked at."""
    deployment.sql(
        """
        INSERT INTO permit.audit_events
               (tenant_id, actor_kind, action, subject_kind, subject_id, changes)
        SELECT %s, 'operator', 'suspend-licence', 'licence', gen_random_uuid(), '{}'
          FROM generate_series(1, 20000)
        """,
        vendor.tenant_id,
    )
    deployment.sql("ANALYZE permit.audit_events")
    plans = plans_of(deployment, monkeypatch, "team")
    events(vendor, subject=vendor.product_id)

    assert "audit_events_subject" in str(plans)
    assert "audit_events_parent" in str(plans)
    assert "Seq Scan on audit_events" not in str(plans)


def test_older_events_are_found_too(deployment: Deployment, vendor: Vendor) -> None:
    """What they belong to is noted by the sweep, where no trigger did it."""
    licence = vendor.licence()
    body = {"fingerprint": "a-fingerprint-of-16"}
    vendor.call("POST", f"/v1/licences/{licence['id']}/devices", body, status=201)
    policy = vendor.policy()
    vendor.call("PATCH", f"/v1/policies/{policy}", {"name": "Team"})
    vendor.call("DELETE", f"/v1/policies/{policy}", status=204)
    expected = [events(vendor, subject=each) for each in (licence["id"], vendor.product_id)]
    deployment.sql("UPDATE permit.audit_events SET parent_id = NULL")
    without = [events(vendor, subject=each) for each in (licence["id"], vendor.product_id)]

    deployment.invoke("sweep", {})

    found = [events(vendor, subject=each) for each in (licence["id"], vendor.product_id)]
    assert [2, 5] == [len(each) for each in expected]
    assert [1, 1] == [len(each) for each in without]
    assert expected == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("action", text) for text in ("licences.suspended", "licences.read", "", "help")),
        *(("subject_kind", text) for text in ("licences", "")),
    ],
)
def test_a_filter_that_nothing_can_match_is_refused(
    deployment: Deployment, vendor: Vendor, name: str, value: str
) -> None:
    """With what would be right; an empty list would say that nothing was done."""
    answer = deployment.call("GET", "/v1/audit-events", token=vendor.token, query={name: value})

    assert_refused(answer, name)
    [error] = answer.body["errors"]
    known = {"action": EVENTS, "subject_kind": ("product", "policy", "licence", "device", "tenant")}
    assert all(f'"{each}"' in error["message"] for each in known[name])


def test_each_action_can_be_asked_for(vendor: Vendor) -> None:
    """Whether or not it has happened."""
    for action in EVENTS:
        assert {action} >= {event["action"] for event in events(vendor, action=action)}


def test_each_command_that_tells_something_is_known(deployment: Deployment, vendor: Vendor) -> None:
    """Every command is run; what the log then has of the operator is what the table names."""
    operator, of_tenant = deployment.operator, {"tenant_id": vendor.tenant_id}
    policy = vendor.policy()
    licence = vendor.licence(policy)
    user = {**of_tenant, "email": EMAIL, "role": "support"}
    operator("create-user", **user)
    operator("import-user", **{**user, "email": "b@example.com"}, bcrypt_hash=BCRYPT)
    operator("set-password", email=EMAIL)
    secret = vendor.call("POST", "/v1/users/me/second-factor")["secret"]
    vendor.call("POST", "/v1/users/me/second-factor/confirm", {"code": code(secret)})
    operator("remove-second-factor", email=vendor.email)
    vendor.command("change-licence", licence, max_devices=5)
    for command in ("suspend-licence", "reinstate-licence", "rotate-licence-key"):
        vendor.command(command, licence)
    device = vendor.command("activate-device", licence, fingerprint="a-fingerprint-of-16")["id"]
    for command in ("block-device", "unblock-device"):
        vendor.command(command, licence, device_id=device)
    vendor.command("activate-device", licence, fingerprint="a-fingerprint-of-16")
    vendor.command("release-device", licence, device_id=device)
    vendor.command("revoke-licence", licence)
    operator("rotate-proof-key", **of_tenant)
    kid = vendor.call("GET", f"/v1/tenants/{vendor.tenant_id}/jwks.json")["keys"][0]["kid"]
    operator("withdraw-proof-key", **of_tenant, kid=kid)
    operator("export-tenant", **of_tenant)

    told = deployment.sql(
        "SELECT DISTINCT action FROM permit.audit_events WHERE actor_kind = 'operator'"
    )
    commands = set(deployment.environment("operator").commands)
    # Of no tenant, or of one that is gone with its log.
    of_none = {"erase-tenant", "rotate-token-key", "withdraw-token-key", "rotate-master-key"}
    of_no_row = {"rotate-proof-key", "withdraw-proof-key", "export-tenant", "help"}
    assert set(OPERATOR_EVENTS) == {action for (action,) in told}
    assert set(OPERATOR_EVENTS) == commands - of_none - of_no_row


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
