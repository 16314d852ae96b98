"""Who holds a token is not yet the account: what needs a fresh proof of self, how it is given."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from permit.security import access_tokens
from permit.security.access_tokens import AccessClaims, TokenKeys
from tests.support.authenticator import code
from tests.support.deployment import Answer, Deployment, Vendor

HOST = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
PASSWORD = "a long enough passphrase"
FACTOR = "/v1/users/me/second-factor"
# What may be done with it must be asked of the person, not of the token.
SENSITIVE = {
    ("POST", "/v1/users"),
    ("POST", "/v1/users/{user_id}/invitation"),
    ("POST", "/v1/users/{user_id}/password-reset"),
    ("POST", "/v1/users/{user_id}/reactivate"),
    ("PATCH", "/v1/users/{user_id}"),
    ("DELETE", "/v1/users/{user_id}/second-factor"),
    ("PATCH", "/v1/users/second-factor"),
    ("POST", FACTOR),
    ("POST", f"{FACTOR}/confirm"),
    ("POST", f"{FACTOR}/remove"),
    ("POST", "/v1/api-keys"),
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/users"): {"email": "thief@example.com", "role": "admin"},
    ("PATCH", "/v1/users/{user_id}"): {"role": "admin"},
    ("PATCH", "/v1/users/second-factor"): {"required": True},
    ("POST", f"{FACTOR}/confirm"): {"code": "123456"},
    ("POST", "/v1/api-keys"): {"name": "mine", "role": "admin"},
}


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    assert deployment.vendor.token  # there is a key that signs
    return deployment.vendor


def keys(deployment: Deployment) -> TokenKeys:
    return TokenKeys.parse((deployment.folder / "token-keys").read_text())


def claims(deployment: Deployment, token: str) -> AccessClaims:
    now = datetime.now(UTC)
    return access_tokens.verify(token, keys(deployment).jwks(now), issuer=HOST, now=now)


def aged(deployment: Deployment, token: str, age: timedelta) -> str:
    """The same token, but its owner proved themself so long ago: as after a refresh."""
    original = claims(deployment, token)
    assert original.proof is not None
    older = replace(original.proof, auth_time=datetime.now(UTC) - age)
    return issued(deployment, replace(original, proof=older))


def issued(deployment: Deployment, of: AccessClaims) -> str:
    return access_tokens.issue(keys(deployment), of, issuer=HOST, now=datetime.now(UTC))


@pytest.fixture
def colleague(vendor: Vendor) -> str:
    """The id of one."""
    return vendor.call("GET", "/v1/users/me", token=vendor.colleague("support"))["id"]


def sensitive(vendor: Vendor, token: str, colleague: str) -> Iterator[tuple[str, Answer]]:
    """Each of them, tried on a colleague."""
    for method, path in sorted(SENSITIVE):
        body = BODIES.get((method, path))
        url = path.replace("{user_id}", colleague)
        yield f"{method} {path}", vendor.deployment.call(method, url, body, token=token)


def elevate(deployment: Deployment, token: str | None, **body: Any) -> Answer:
    return deployment.call("POST", "/v1/login/elevate", body, token=token)


def test_every_sensitive_operation_is_declared(deployment: Deployment) -> None:
    """Those and no others; the description is made from the same declaration."""
    declared = {
        (operation.method, operation.path)
        for function in ("products", "licences", "team")
        for operation in deployment.environment(function).api.operations
        if operation.needs_fresh_proof
    }

    assert SENSITIVE == declared


def test_a_token_alone_becomes_nobody(
    deployment: Deployment, vendor: Vendor, colleague: str
) -> None:
    """A stolen one, older than ten minutes, does none of it; its bearer is told what is missing."""
    stolen = aged(deployment, vendor.token, timedelta(minutes=10, seconds=1))

    for name, answer in sensitive(vendor, stolen, colleague):
        assert (403, "proof_of_self_required") == (answer.status, answer.body["code"]), name
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="600"' in challenge
    vendor.call("GET", "/v1/users/me", token=stolen)


def test_a_token_of_the_version_before_does_the_ordinary(
    deployment: Deployment, vendor: Vendor, colleague: str
) -> None:
    """It says nothing of a proof; elevated, it does."""
    older = issued(deployment, replace(claims(deployment, vendor.token), proof=None))

    vendor.call("GET", "/v1/users/me", token=older)
    vendor.call("POST", "/v1/products", {"code": "x1", "name": "X"}, token=older, status=201)
    for name, answer in sensitive(vendor, older, colleague):
        assert (403, "proof_of_self_required") == (answer.status, answer.body["code"]), name
    elevated = elevate(deployment, older, password=vendor.password).body["access_token"]
    for name, answer in sensitive(vendor, elevated, colleague):
        assert "proof_of_self_required" != (answer.body or {}).get("code"), name


@pytest.mark.parametrize("ended", ["by logout", "by reuse"])
def test_a_token_ends_with_its_session(
    deployment: Deployment, vendor: Vendor, colleague: str, ended: str
) -> None:
    """However fresh its proof is: for what is sensitive, for the ordinary, and to be elevated. The
    user's other sessions go on."""
    body = {"email": vendor.email, "password": vendor.password}
    begun = deployment.send("login", body).body
    token, refresh = begun["access_token"], {"refresh_token": begun["refresh_token"]}
    before = deployment.call("GET", "/v1/users/me", token=token).status
    if ended == "by logout":
        assert 204 == deployment.send("login_logout", refresh).status
    else:
        deployment.send("login_refresh", refresh)
        deployment.pass_time(timedelta(minutes=1))
        assert 401 == deployment.send("login_refresh", refresh).status

    after = deployment.call("GET", "/v1/users/me", token=token)
    elevated = elevate(deployment, token, password=vendor.password)

    assert 200 == before
    for name, answer in (
        *sensitive(vendor, token, colleague),
        ("ordinary", after),
        ("elevated", elevated),
    ):
        assert (401, "not_authenticated") == (answer.status, answer.body["code"]), name
    vendor.call("GET", "/v1/users/me")


def test_a_login_is_a_fresh_proof(deployment: Deployment, vendor: Vendor) -> None:
    """For ten minutes, a refresh within them included."""
    almost = aged(deployment, vendor.token, timedelta(minutes=9, seconds=50))
    body = {"email": vendor.email, "password": vendor.password}
    refresh_token = deployment.send("login", body).body["refresh_token"]
    renewed = deployment.send("login_refresh", {"refresh_token": refresh_token}).body

    for token in (almost, renewed["access_token"]):
        key = {"name": "Shop", "role": "issuer"}
        vendor.call("POST", "/v1/api-keys", key, token=token, status=201)


def test_a_refresh_is_no_proof(deployment: Deployment, vendor: Vendor) -> None:
    """It says when the login was, which was longer ago."""
    body = {"email": vendor.email, "password": vendor.password}
    refresh_token = deployment.send("login", body).body["refresh_token"]
    deployment.sql("UPDATE permit.sessions SET created_at = created_at - interval '11 minutes'")

    renewed = deployment.send("login_refresh", {"refresh_token": refresh_token}).body

    key = {"name": "Shop", "role": "issuer"}
    answer = deployment.call("POST", "/v1/api-keys", key, token=renewed["access_token"])
    assert (403, "proof_of_self_required") == (answer.status, answer.body["code"])


def test_a_password_elevates(deployment: Deployment, vendor: Vendor, colleague: str) -> None:
    """Another access token for the same session, good for what the old one was not."""
    old = aged(deployment, vendor.token, timedelta(hours=1))

    answer = elevate(deployment, old, password=vendor.password)

    assert 200 == answer.status, answer.text
    assert (900, 600) == (answer.body["expires_in"], answer.body["proof_expires_in"])
    assert "no-store" == answer.headers["cache-control"]
    before, after = (claims(deployment, t).proof for t in (old, answer.body["access_token"]))
    assert before is not None
    assert after is not None
    assert before.sid == after.sid
    for name, done in sensitive(vendor, answer.body["access_token"], colleague):
        assert "proof_of_self_required" != (done.body or {}).get("code"), name


def test_a_wrong_password_does_not_elevate(deployment: Deployment, vendor: Vendor) -> None:
    """It is told, counted, and after a few the right one has to wait as well."""
    wrong = elevate(deployment, vendor.token, password="nope")
    [event] = vendor.call("GET", "/v1/audit-events", query={"action": "sessions.refuse-proof"})[
        "items"
    ]
    guesses = [elevate(deployment, vendor.token, password="nope").status for _ in range(6)]
    right = elevate(deployment, vendor.token, password=vendor.password)

    assert (403, "wrong_proof") == (wrong.status, wrong.body["code"])
    assert "203.0.113.7" == event["address"]
    assert (403, 429) == (guesses[0], guesses[-1])
    assert (429, "too_many_attempts") == (right.status, right.body["code"])


@pytest.mark.parametrize("token", [None, "x.y.z", "permit_ak_" + "A" * 43, "an API key", "mfa"])
def test_only_who_is_signed_in_elevates(
    deployment: Deployment, vendor: Vendor, token: str | None
) -> None:
    """401 without an access token; a malformed body is told only to who has one."""
    if token == "an API key":
        token = vendor.api_key("admin")
    elif token == "mfa":
        token = access_tokens.issue(
            keys(deployment),
            claims(deployment, vendor.token),
            issuer=HOST,
            now=datetime.now(UTC),
            kind=access_tokens.FIRST_STEP,
        )

    answer = elevate(deployment, token, password=vendor.password)

    assert (401, "not_authenticated") == (answer.status, answer.body["code"])
    challenge = answer.headers["www-authenticate"]
    if token is None:
        assert "Bearer" == challenge
    else:
        assert challenge.startswith('Bearer error="invalid_token", error_description="The access')


def test_an_expired_token_is_told_so(deployment: Deployment, vendor: Vendor) -> None:
    """Here and at every operation, because there is a cure; one that was never ours is not."""
    signer = keys(deployment).keys[-1]
    held = TokenKeys(keys=(replace(signer, signs_from=signer.signs_from - timedelta(hours=1)),))
    older = claims(deployment, aged(deployment, vendor.token, timedelta(hours=1)))
    now = datetime.now(UTC)
    expired, old = (
        access_tokens.issue(held, older, issuer=HOST, now=now - access_tokens.LIFETIME + left)
        for left in (timedelta(), timedelta(minutes=1))
    )
    altered = f"{expired[:-8]}AAAAAAAA"

    for answer in (
        elevate(deployment, expired, password=vendor.password),
        deployment.call("GET", "/v1/products", token=expired),
    ):
        assert (401, "not_authenticated") == (answer.status, answer.body["code"])
        assert "/v1/login/refresh" in answer.body["detail"]
        assert (
            'Bearer error="invalid_token", error_description="The access token has expired"'
            == answer.headers["www-authenticate"]
        )
    refused = deployment.call("GET", "/v1/products", token=altered)
    assert (401, "not_authenticated") == (refused.status, refused.body["code"])
    assert "expired" not in refused.text + refused.headers["www-authenticate"]
    vendor.call("GET", "/v1/products", token=old)


def test_an_ended_session_elevates_no_more(deployment: Deployment, vendor: Vendor) -> None:
    """By another password, or a deactivation: its token is good for nothing."""
    token = vendor.token
    deployment.sql("UPDATE permit.users SET session_version = session_version + 1")

    assert 401 == elevate(deployment, token, password=vendor.password).status


def enrol(vendor: Vendor, **more: Any) -> tuple[str, list[str]]:
    """The secret and the recovery codes."""
    secret = vendor.call("POST", FACTOR, **more)["secret"]
    body = {"code": code(secret, steps=-1)}
    confirmed = vendor.call("POST", f"{FACTOR}/confirm", body, **more)
    return secret, confirmed["recovery_codes"]


def test_with_a_second_factor_the_proof_has_it(
    deployment: Deployment, vendor: Vendor, colleague: str
) -> None:
    """A login from before there was one is none, nor is the password alone; a code serves once."""
    secret, recovery_codes = enrol(vendor)
    before = dict(sensitive(vendor, vendor.token, colleague))
    alone = elevate(deployment, vendor.token, password=vendor.password)
    wrong = elevate(deployment, vendor.token, password=vendor.password, code="000000")
    given = code(secret)
    right = elevate(deployment, vendor.token, password=vendor.password, code=given)
    again = elevate(deployment, vendor.token, password=vendor.password, code=given)
    recovered = elevate(
        deployment, vendor.token, password=vendor.password, code=recovery_codes[0].upper()
    )

    assert {"proof_of_self_required"} == {answer.body["code"] for answer in before.values()}
    assert (422, "code") == (alone.status, alone.body["errors"][0]["field"])
    assert [403, 200, 403, 200] == [a.status for a in (wrong, right, again, recovered)]
    key = {"name": "Shop", "role": "issuer"}
    for answer in (right, recovered):
        token = answer.body["access_token"]
        vendor.call("POST", "/v1/api-keys", key, token=token, status=201)


def test_a_password_is_changed_with_the_second_factor(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Where there is one: who has a token and the password alone does not become the account."""
    secret, _ = enrol(vendor)
    path, new = "/v1/users/me/password", "another long passphrase"
    body = {"current_password": vendor.password, "new_password": new}

    without = deployment.call("POST", path, body, token=vendor.token)
    vendor.call("POST", path, body, token=vendor.elevated(code=code(secret)), status=204)

    assert (403, "proof_of_self_required") == (without.status, without.body["code"])


@pytest.mark.parametrize("what", ["second-factor", "password-reset"])
@pytest.mark.parametrize("role", ["owner", "admin"])
def test_nobody_is_their_own_colleague(
    deployment: Deployment, vendor: Vendor, role: str, what: str
) -> None:
    """What helps a colleague takes nobody round the proof of their own account."""
    token = vendor.token if role == "owner" else vendor.colleague(role)
    me = vendor.call("GET", "/v1/users/me", token=token)["id"]
    method = "DELETE" if what == "second-factor" else "POST"

    answer = deployment.call(method, f"/v1/users/{me}/{what}", token=token)

    assert (403, "not_for_oneself") == (answer.status, answer.body["code"])
    assert [] == deployment.sql("SELECT * FROM permit.user_links")


def test_an_api_key_makes_no_people_and_no_keys(
    deployment: Deployment, vendor: Vendor, colleague: str
) -> None:
    """However far its role goes: it proves nothing of itself, and its leak must not outlive it."""
    key = vendor.api_key("admin")

    for name, answer in sensitive(vendor, key, colleague):
        is_an_owners = name == "PATCH /v1/users/second-factor"
        expected = "not_permitted" if is_an_owners else "not_a_user"
        assert (403, expected) == (answer.status, answer.body["code"]), name


def test_the_description_says_so(deployment: Deployment) -> None:
    """Every operation that needs a proof has its refusals in the API's description."""
    paths = json.loads(deployment.send("openapi").text)["paths"]

    for method, path in SENSITIVE:
        operation = paths[path][method.lower()]
        assert "fresh proof of self" in operation["description"]
        assert "`proof_of_self_required`" in operation["responses"]["403"]["description"]
        assert "`not_a_user`" in operation["responses"]["403"]["description"]
