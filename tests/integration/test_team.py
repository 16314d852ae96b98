"""The people and servers of a tenant: invited, changed, deactivated, and what each may do."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from permit.people.queries import users
from permit.security.api_keys import digest
from tests.support.deployment import Answer, Deployment, Vendor
from tests.support.proof_reading import read_proof
from tests.support.racing import acting, race

PASSWORD = "a long enough passphrase"
EMAIL = "colleague@example.com"


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def invite(vendor: Vendor, email: str = EMAIL, role: str = "admin", **more: Any) -> dict[str, Any]:
    body = {"email": email, "role": role, **more}
    return vendor.call("POST", "/v1/users", body, status=201)


def accept(vendor: Vendor, token: str, password: str = PASSWORD) -> Answer:
    return vendor.deployment.call(
        "POST", "/v1/users/accept", {"token": token, "password": password}
    )


def me(vendor: Vendor) -> dict[str, Any]:
    return vendor.call("GET", "/v1/users/me")


def test_everybody_knows_their_tenant(deployment: Deployment, vendor: Vendor) -> None:
    """People and servers of any role: its id, and where the proofs of its licences are verified."""
    host = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
    tokens = [vendor.token, vendor.colleague("support")]
    tokens += [vendor.api_key(role) for role in ("admin", "support", "issuer")]

    answers = [vendor.call("GET", "/v1/tenants/me", token=token) for token in tokens]

    answered = answers[0]
    assert [answered] * len(tokens) == answers
    issuer = f"{host}/v1/tenants/{vendor.tenant_id}"
    made = datetime.fromisoformat(answered.pop("created_at"))
    assert datetime.now(UTC) - timedelta(minutes=5) < made < datetime.now(UTC)
    assert {
        "id": vendor.tenant_id,
        "name": "Example Ltd",
        "requires_second_factor": False,
        "issuer": issuer,
        "jwks_url": f"{issuer}/jwks.json",
    } == answered
    keys = vendor.call("GET", answered["jwks_url"].removeprefix(host), token=None)["keys"]
    proof = deployment.check(vendor.licence()["key"])["proof"]
    assert issuer == read_proof(proof, keys).claims["iss"]


def test_a_colleague_is_invited_and_accepts(vendor: Vendor) -> None:
    """By a link that serves once; before that nobody signs in by the email."""
    invited = invite(vendor, "New.Colleague@Example.com", name="Grace")
    weak = accept(vendor, invited["token"], "password1234")
    accepted = accept(vendor, invited["token"])
    again = accept(vendor, invited["token"])

    assert ("new.colleague@example.com", "Grace", "admin", "invited") == (
        invited["email"],
        invited["name"],
        invited["role"],
        invited["status"],
    )
    assert (422, "password") == (weak.status, weak.body["errors"][0]["field"])
    assert 204 == accepted.status
    assert (401, "invalid_link") == (again.status, again.body["code"])
    token = vendor.log_in("new.colleague@example.com", PASSWORD)
    assert "active" == vendor.call("GET", "/v1/users/me", token=token)["status"]


def test_an_invitation_ends_after_three_days(deployment: Deployment, vendor: Vendor) -> None:
    """And another may be sent; both links end when one is used."""
    first = invite(vendor)
    deployment.pass_time(timedelta(hours=71))
    second = vendor.call("POST", f"/v1/users/{first['id']}/invitation", status=201)
    deployment.pass_time(timedelta(hours=2))

    assert 401 == accept(vendor, first["token"]).status
    assert 204 == accept(vendor, second["token"]).status
    late = deployment.call("POST", f"/v1/users/{first['id']}/invitation", token=vendor.token)
    assert (409, "wrong_state") == (late.status, late.body["code"])


def test_an_email_is_invited_once(deployment: Deployment, vendor: Vendor) -> None:
    """Unique in its tenant, whatever its case."""
    invite(vendor)

    answer = deployment.call(
        "POST", "/v1/users", {"email": EMAIL.upper(), "role": "support"}, token=vendor.token
    )

    assert (409, "email_taken") == (answer.status, answer.body["code"])


def test_an_invitation_tells_nothing_of_other_tenants(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Whose email signs in elsewhere, or is invited elsewhere, is answered like anybody's."""
    other = Vendor.create(deployment, "other@example.com", code="other")
    invite(other, "invited.there@example.com")

    answers = [
        deployment.call(
            "POST", "/v1/users", {"email": email, "role": "support"}, token=vendor.token
        )
        for email in ("nobody@example.com", other.email, "invited.there@example.com")
    ]

    assert [201] * 3 == [answer.status for answer in answers]
    assert 1 == len({frozenset(answer.body) for answer in answers})
    assert 1 == len({frozenset(answer.headers.items()) for answer in answers})


def test_who_accepts_first_has_the_email(deployment: Deployment, vendor: Vendor) -> None:
    """An invitation occupies nothing, and a link moves nobody out of their account."""
    other = Vendor.create(deployment, "other@example.com", code="other")
    here, there = invite(vendor), invite(other)

    accepted = accept(other, there["token"])
    late = accept(vendor, here["token"])
    squatted = accept(vendor, invite(vendor, other.email)["token"], "a thief's passphrase")

    assert 204 == accepted.status
    assert [(409, "email_taken")] * 2 == [(a.status, a.body["code"]) for a in (late, squatted)]
    mine = vendor.log_in(EMAIL, PASSWORD)
    assert there["id"] == vendor.call("GET", "/v1/users/me", token=mine)["id"]
    other.log_in(other.email, other.password)


def test_of_two_who_accept_at_once_one_gets_the_email(
    deployment: Deployment, vendor: Vendor
) -> None:
    """In eight tenants at the same moment: the database decides."""
    tenants = [
        Vendor.create(deployment, f"owner-{n}@example.com", code=f"tenant-{n}") for n in range(8)
    ]
    links = [digest(invite(tenant)["token"]) for tenant in tenants]

    outcomes = race(
        deployment,
        [
            lambda d, link=link: users.redeem_link(
                d, link, "invitation", password_hash="hash", name=None, places=[], request={}
            )
            for link in links
        ],
        function="team",
    )

    assert ["None", *["taken"] * 7] == sorted(map(str, outcomes))


@pytest.mark.parametrize("command", ["set-password", "remove-second-factor"])
def test_the_operator_finds_who_signs_in(
    deployment: Deployment, vendor: Vendor, command: str
) -> None:
    """Not who is invited elsewhere by the same email; the only invitation is found."""
    other = Vendor.create(deployment, "other@example.com", code="other")
    invite(vendor, other.email)
    for each in (vendor, other):
        invite(each, "two@example.com")
    pending = invite(vendor)

    found = deployment.operator(command, email=other.email)
    assert other.tenant_id == found["tenant_id"]
    if command == "set-password":
        assert pending["id"] == deployment.operator(command, email=EMAIL)["user_id"]
        assert "not_found" == deployment.refused(command, email="two@example.com")["code"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_email_is_one_in_either_form(deployment: Deployment, vendor: Vendor, form: Any) -> None:
    """As a Mac writes it and as a PC does: one invitation, one account, one sign-in."""
    composed, decomposed = (unicodedata.normalize(f, "jürgen@example.com") for f in ("NFC", "NFD"))
    invited = invite(vendor, unicodedata.normalize(form, composed))
    for email in (composed, decomposed, f" {decomposed.upper()}\u200b"):
        body = {"email": email, "role": "support"}
        assert 409 == deployment.call("POST", "/v1/users", body, token=vendor.token).status
    accept(vendor, invited["token"])

    assert composed == invited["email"]
    for email in (composed, decomposed, f" {composed.upper()}\u200b"):
        assert vendor.log_in(email, PASSWORD)
        assert "email_taken" == deployment.refused("create-tenant", name="x", email=email)["code"]


def test_users_are_listed(vendor: Vendor) -> None:
    """Newest first, with what they are."""
    invite(vendor)

    listed = vendor.call("GET", "/v1/users")["items"]

    assert [(EMAIL, "invited"), (vendor.email, "active")] == [
        (user["email"], user["status"]) for user in listed
    ]
    assert listed[1] == vendor.call("GET", f"/v1/users/{listed[1]['id']}") == me(vendor)


def test_a_change_of_role_ends_the_old_rights_at_once(vendor: Vendor) -> None:
    """The old token is refused; a new sign-in has the new role."""
    token = vendor.colleague("admin")
    colleague = vendor.call("GET", "/v1/users/me", token=token)

    changed = vendor.call("PATCH", f"/v1/users/{colleague['id']}", {"role": "support"})

    assert "support" == changed["role"]
    vendor.call("GET", "/v1/users/me", token=token, status=401)
    fresh = vendor.log_in(colleague["email"], PASSWORD)
    vendor.call("POST", "/v1/products", {"code": "x1", "name": "x"}, token=fresh, status=403)


def test_a_deactivated_user_is_out_at_once(deployment: Deployment, vendor: Vendor) -> None:
    """It ends every session; reactivated, the user signs in again."""
    token = vendor.colleague("admin")
    colleague = vendor.call("GET", "/v1/users/me", token=token)
    path = f"/v1/users/{colleague['id']}"

    deactivated = vendor.call("POST", f"{path}/deactivate")
    assert deactivated == vendor.call("POST", f"{path}/deactivate")

    assert "deactivated" == deactivated["status"]
    vendor.call("GET", "/v1/users/me", token=token, status=401)
    sign_in = {"email": colleague["email"], "password": PASSWORD}
    assert 401 == deployment.send("login", sign_in).status
    assert "active" == vendor.call("POST", f"{path}/reactivate")["status"]
    vendor.log_in(colleague["email"], PASSWORD)


@pytest.mark.parametrize("change", ["demote", "deactivate"])
def test_the_last_owner_stays(deployment: Deployment, vendor: Vendor, change: str) -> None:
    """Also where another was invited and has not accepted."""
    invite(vendor, role="owner")
    path = f"/v1/users/{me(vendor)['id']}"

    answer = (
        deployment.call("PATCH", path, {"role": "admin"}, token=vendor.token)
        if change == "demote"
        else deployment.call("POST", f"{path}/deactivate", token=vendor.token)
    )

    assert (409, "last_owner") == (answer.status, answer.body["code"])


def test_two_owners_cannot_demote_each_other(deployment: Deployment, vendor: Vendor) -> None:
    """At the same moment: one of them stays."""
    second = vendor.call("GET", "/v1/users/me", token=vendor.colleague("owner"))
    ids = [UUID(me(vendor)["id"]), UUID(second["id"])]
    key = vendor.api_key("admin")
    deployment.sql("ALTER TABLE permit.api_keys DROP CONSTRAINT api_keys_role_check")
    deployment.sql("UPDATE permit.api_keys SET role = 'owner'")

    outcomes = race(
        deployment,
        [
            acting(
                key,
                lambda d, _, user=user: users.change_member(d, user, role="admin", is_active=True),
            )
            for user in ids
        ],
        function="team",
    )

    assert ["None", "last_owner"] == sorted(map(str, outcomes))


def test_nobody_reaches_above_his_role(deployment: Deployment, vendor: Vendor) -> None:
    """An admin neither invites, edits, deactivates nor resets an owner."""
    token = vendor.colleague("admin")
    owner = f"/v1/users/{me(vendor)['id']}"

    attempts = [
        deployment.call("POST", "/v1/users", {"email": EMAIL, "role": "owner"}, token=token),
        deployment.call("PATCH", owner, {"role": "support"}, token=token),
        deployment.call("POST", f"{owner}/deactivate", token=token),
        deployment.call("POST", f"{owner}/password-reset", token=token),
    ]

    assert [(403, "above_your_role")] * 4 == [(a.status, a.body["code"]) for a in attempts]
    assert "active" == me(vendor)["status"]


def test_a_password_is_reset_by_link(deployment: Deployment, vendor: Vendor) -> None:
    """By an owner's or admin's; ends the sessions and serves once."""
    token = vendor.colleague("support")
    colleague = vendor.call("GET", "/v1/users/me", token=token)
    link = vendor.call("POST", f"/v1/users/{colleague['id']}/password-reset", status=201)
    body = {"token": link["token"], "password": "another long passphrase"}

    as_invitation = deployment.call("POST", "/v1/users/accept", body)
    used = deployment.call("POST", "/v1/users/reset-password", body)
    again = deployment.call("POST", "/v1/users/reset-password", body)

    assert (401, 204, 401) == (as_invitation.status, used.status, again.status)
    vendor.call("GET", "/v1/users/me", token=token, status=401)
    vendor.log_in(colleague["email"], "another long passphrase")


def test_one_changes_ones_own_name_and_password(deployment: Deployment, vendor: Vendor) -> None:
    """The password with the present one, and all sessions end."""
    assert "Grace" == vendor.call("PATCH", "/v1/users/me", {"name": "Grace"})["name"]
    path = "/v1/users/me/password"
    new = "another long passphrase"

    wrong = deployment.call(
        "POST", path, {"current_password": "nope", "new_password": new}, token=vendor.token
    )
    weak = deployment.call(
        "POST",
        path,
        {"current_password": vendor.password, "new_password": "short"},
        token=vendor.token,
    )
    vendor.call(
        "POST", path, {"current_password": vendor.password, "new_password": new}, status=204
    )

    assert (403, "wrong_proof") == (wrong.status, wrong.body["code"])
    assert (422, "new_password") == (weak.status, weak.body["errors"][0]["field"])
    vendor.call("GET", "/v1/users/me", status=401)
    vendor.log_in(vendor.email, new)


def test_guessing_the_present_password_is_throttled(deployment: Deployment, vendor: Vendor) -> None:
    """Who has stolen a token is counted like who guesses at the login."""
    body = {"current_password": "nope", "new_password": "another long passphrase"}

    statuses = [
        deployment.call("POST", "/v1/users/me/password", body, token=vendor.token).status
        for _ in range(8)
    ]

    assert 403 == statuses[0]
    assert 429 == statuses[-1]


def test_an_api_key_works_wherever_a_token_does(deployment: Deployment, vendor: Vendor) -> None:
    """It issues and is listed with its last use; revoked, it is refused at once."""
    created = vendor.call("POST", "/v1/api-keys", {"name": "Shop", "role": "issuer"}, status=201)
    policy = vendor.policy()

    issued = vendor.call(
        "POST", "/v1/licences", {"policy_id": policy}, token=created["key"], status=201
    )
    [listed] = vendor.call("GET", "/v1/api-keys")["items"]
    vendor.call("DELETE", f"/v1/api-keys/{created['id']}", status=204)
    vendor.call("DELETE", f"/v1/api-keys/{created['id']}", status=204)
    after = deployment.call("GET", f"/v1/licences/{issued['id']}", token=created["key"])

    assert ("Shop", "issuer", created["key"][-5:]) == (
        listed["name"],
        listed["role"],
        listed["key_hint"],
    )
    assert listed["last_used_at"] is not None
    assert "key" not in listed
    assert (401, "not_authenticated") == (after.status, after.body["code"])
    assert vendor.call("GET", f"/v1/api-keys/{created['id']}")["revoked_at"] is not None


def test_an_api_key_expires(deployment: Deployment, vendor: Vendor) -> None:
    """At its time; one that is past already is not made."""
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    key = vendor.api_key("support", expires_at=expires_at)
    past = deployment.call(
        "POST",
        "/v1/api-keys",
        {"name": "x", "role": "support", "expires_at": "2020-01-01T00:00:00Z"},
        token=vendor.token,
    )

    vendor.call("GET", "/v1/products", token=key)
    deployment.pass_time(timedelta(hours=2))

    vendor.call("GET", "/v1/products", token=key, status=401)
    assert (422, "expires_at") == (past.status, past.body["errors"][0]["field"])


def test_an_api_key_is_no_person(deployment: Deployment, vendor: Vendor) -> None:
    """It has no name, password or second factor to change."""
    key = vendor.api_key("admin")

    for method, path, body in [
        ("GET", "/v1/users/me", None),
        ("PATCH", "/v1/users/me", {"name": "x"}),
        ("POST", "/v1/users/me/second-factor", None),
    ]:
        answer = deployment.call(method, path, body, token=key)
        assert (403, "not_a_user") == (answer.status, answer.body["code"])


NOT_VALID = 'error="invalid_token", error_description="The access token or API key is not valid"'


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic b3duZXI6",
        "Bearer x.y.z",
        "Bearer permit_ak_" + "A" * 43,
        "Bearer permit_ak_\u00e4",
        "Bearer " + "a" * 5000,
    ],
)
def test_what_is_no_credential_is_refused(
    deployment: Deployment, vendor: Vendor, authorization: str
) -> None:
    """401 with WWW-Authenticate, which tells a bad one from none, and nothing more about why."""
    headers = {"authorization": authorization} if authorization else {}

    answer = deployment.call("GET", "/v1/products", headers=headers)

    assert (401, "not_authenticated") == (answer.status, answer.body["code"])
    is_sent = authorization.startswith("Bearer ") and authorization != "Bearer "
    expected = f"Bearer {NOT_VALID}" if is_sent else "Bearer"
    assert expected == answer.headers["www-authenticate"]
