"""Two-factor authentication: enrolled, asked for at login, recovered without, removed."""

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from permit.people.queries import sign_in
from permit.people.throttles import Success
from permit.security import second_factor
from permit.security.access_tokens import AccessClaims
from tests.support.authenticator import code
from tests.support.deployment import Answer, Deployment, Vendor
from tests.support.racing import race

PATH = "/v1/users/me/second-factor"


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


@pytest.fixture
def enrolled(vendor: Vendor) -> dict[str, Any]:
    """The owner with a second factor: its secret and recovery codes."""
    secret = vendor.call("POST", PATH)["secret"]
    confirmed = vendor.call("POST", f"{PATH}/confirm", {"code": code(secret, steps=-1)})
    return {"secret": secret, **confirmed}


def first_step(vendor: Vendor) -> str:
    body = {"email": vendor.email, "password": vendor.password}
    answer = vendor.deployment.send("login", body)
    assert (401, "mfa_required") == (answer.status, answer.body["code"])
    return answer.body["mfa_token"]


def second_step(vendor: Vendor, mfa_token: str, given: str) -> Answer:
    body = {"mfa_token": mfa_token, "code": given}
    return vendor.deployment.call("POST", "/v1/login/second-factor", body)


def test_it_is_enrolled_and_confirmed(deployment: Deployment, vendor: Vendor) -> None:
    """Asked for only once it is confirmed; a confirmed one is not replaced."""
    enrolment = vendor.call("POST", PATH)
    uri = urlsplit(enrolment["uri"])
    vendor.log_in(vendor.email, vendor.password)
    wrong = deployment.call("POST", f"{PATH}/confirm", {"code": "000000"}, token=vendor.token)
    confirmed = vendor.call("POST", f"{PATH}/confirm", {"code": code(enrolment["secret"])})
    elevated = vendor.elevated(code=code(enrolment["secret"], steps=1))
    again = deployment.call("POST", PATH, token=elevated)

    assert ("otpauth", "totp") == (uri.scheme, uri.netloc)
    assert [enrolment["secret"]] == parse_qs(uri.query)["secret"]
    assert (403, "wrong_proof") == (wrong.status, wrong.body["code"])
    assert 10 == len(set(confirmed["recovery_codes"]))
    assert (409, "second_factor_on") == (again.status, again.body["code"])
    assert vendor.call("GET", "/v1/users/me")["has_second_factor"]


def test_its_secret_is_sealed(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any]
) -> None:
    """Neither the secret nor a recovery code rests in any row."""
    raw = base64.b32decode(enrolled["secret"]).hex()
    for table in ("users", "recovery_codes", "audit_events"):
        for (row,) in deployment.sql(f"SELECT t::text FROM permit.{table} AS t"):
            assert raw not in row
            assert enrolled["secret"] not in row
            assert not any(each in row for each in enrolled["recovery_codes"])


def test_a_login_takes_two_steps(vendor: Vendor, enrolled: dict[str, Any]) -> None:
    """The password alone gets no token; with the code it gets them."""
    answer = second_step(vendor, first_step(vendor), code(enrolled["secret"]))

    assert 200 == answer.status
    assert {"access_token", "refresh_token", "token_type", "expires_in"} == set(answer.body)
    vendor.call("GET", "/v1/users/me", token=answer.body["access_token"])


def test_a_code_is_accepted_once(vendor: Vendor, enrolled: dict[str, Any]) -> None:
    """The same one, and one of a step before it, is refused from then on."""
    given = code(enrolled["secret"])

    statuses = [
        second_step(vendor, first_step(vendor), each).status
        for each in (given, given, code(enrolled["secret"], steps=-1))
    ]

    assert [200, 401, 401] == statuses


def test_a_code_raced_is_accepted_once(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any]
) -> None:
    """Eight sessions at once with one code: one begins."""
    [(tenant, user, version)] = deployment.sql(
        "SELECT tenant_id, id, session_version FROM permit.users"
    )
    step = second_factor.matching_step(
        base64.b32decode(enrolled["secret"]), code(enrolled["secret"]), datetime.now(UTC)
    )

    begun = race(
        deployment,
        [
            lambda d, n=n: sign_in.open_verified_session(
                d,
                AccessClaims(tid=tenant, sub=user, sv=version, role="owner"),
                totp_step=step,
                recovery_hash=b"",
                token_hash=bytes([n]) * 32,
                success=Success(places=[], others=[]),
                request={},
            )
            for n in range(8)
        ],
        function="login",
    )

    assert 7 == begun.count(None)


def test_a_recovery_code_serves_once(vendor: Vendor, enrolled: dict[str, Any]) -> None:
    """Written as people write it; the others stay."""
    first, second, *_ = enrolled["recovery_codes"]

    statuses = [
        second_step(vendor, first_step(vendor), each).status
        for each in (first.upper().replace("-", " "), first, second)
    ]

    assert [200, 401, 200] == statuses


@pytest.mark.parametrize("mfa_token", ["access", "nonsense", "refresh"])
def test_no_other_token_passes_for_the_first_step(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any], mfa_token: str
) -> None:
    """Nor does that of the first step pass for an access token."""
    tokens = {"access": vendor.token, "nonsense": "x.y.z", "refresh": "permit_rt_x"}
    given = first_step(vendor)

    answer = second_step(vendor, tokens[mfa_token], code(enrolled["secret"]))

    assert (401, "invalid_code") == (answer.status, answer.body["code"])
    vendor.call("GET", "/v1/users/me", token=given, status=401)


def test_guessing_codes_is_throttled(vendor: Vendor, enrolled: dict[str, Any]) -> None:
    """And the right code waits with the wrong ones; a complete login forgets them."""
    mfa_token = first_step(vendor)

    statuses = [second_step(vendor, mfa_token, f"{n:06}").status for n in range(8)]

    assert 401 == statuses[0]
    assert 429 == statuses[-1]
    assert 429 == second_step(vendor, mfa_token, code(enrolled["secret"])).status


def test_one_removes_it_by_a_proof_that_has_it(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any]
) -> None:
    """Not by a login from before there was one; afterwards the password is enough again."""
    body = {"code": enrolled["recovery_codes"][0]}
    without = deployment.call("POST", f"{PATH}/remove", body, token=vendor.token)
    elevated = vendor.elevated(code=enrolled["recovery_codes"][0])
    vendor.call("POST", f"{PATH}/remove", body, token=elevated, status=204)

    assert (403, "proof_of_self_required") == (without.status, without.body["code"])
    vendor.log_in(vendor.email, vendor.password)
    assert [] == deployment.sql("SELECT * FROM permit.recovery_codes")


@pytest.mark.parametrize("written", ["{} {}", "{}-{}", "\u200b{}\u00a0{}\n"])
def test_a_code_is_read_as_it_was_meant(
    vendor: Vendor, enrolled: dict[str, Any], written: str
) -> None:
    """As authenticators show it, in two groups, and as it is pasted."""
    given = code(enrolled["secret"])

    answer = second_step(vendor, first_step(vendor), written.format(given[:3], given[3:]))

    assert 200 == answer.status


def log_in(vendor: Vendor) -> dict[str, Any]:
    """Another session's tokens, before there is a second factor."""
    body = {"email": vendor.email, "password": vendor.password}
    return vendor.deployment.send("login", body).body


def is_alive(vendor: Vendor, tokens: dict[str, Any]) -> tuple[bool, bool]:
    """Whether its access token is good, and whether its session is renewed."""
    me = vendor.deployment.call("GET", "/v1/users/me", token=tokens["access_token"])
    body = {"refresh_token": tokens["refresh_token"]}
    return me.status == 200, vendor.deployment.send("login_refresh", body).status == 200


def test_confirming_it_ends_every_other_session(deployment: Deployment, vendor: Vendor) -> None:
    """Whoever else was signed in has shown no second factor; the one who confirms goes on."""
    assert vendor.token
    own, other = log_in(vendor), log_in(vendor)
    secret = vendor.call("POST", PATH, token=own["access_token"])["secret"]
    body = {"code": code(secret)}
    vendor.call("POST", f"{PATH}/confirm", body, token=own["access_token"])

    assert (False, False) == is_alive(vendor, other)
    assert (True, True) == is_alive(vendor, own)


def test_removing_it_ends_every_other_session(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any]
) -> None:
    """Whoever removes it goes on, in the session that the proof was for."""
    other = second_step(vendor, first_step(vendor), enrolled["recovery_codes"][0]).body
    own = second_step(vendor, first_step(vendor), enrolled["recovery_codes"][1]).body
    vendor.call("POST", f"{PATH}/remove", {}, token=own["access_token"], status=204)

    assert (False, False) == is_alive(vendor, other)
    assert (True, True) == is_alive(vendor, own)


def test_a_session_that_was_kept_ends_like_any(deployment: Deployment, vendor: Vendor) -> None:
    """The token that outlived the change of the factor does not outlive the session."""
    assert vendor.token
    own = log_in(vendor)
    secret = vendor.call("POST", PATH, token=own["access_token"])["secret"]
    body = {"code": code(secret)}
    vendor.call("POST", f"{PATH}/confirm", body, token=own["access_token"])

    deployment.send("login_logout", {"refresh_token": own["refresh_token"]})

    assert (False, False) == is_alive(vendor, own)


def test_helping_a_colleague_ends_their_sessions(deployment: Deployment, vendor: Vendor) -> None:
    """All of them: whoever lost it signs in anew."""
    token = vendor.colleague("admin")
    colleague = vendor.call("GET", "/v1/users/me", token=token)
    secret = vendor.call("POST", PATH, token=token)["secret"]
    vendor.call("POST", f"{PATH}/confirm", {"code": code(secret)}, token=token)

    vendor.call("DELETE", f"/v1/users/{colleague['id']}/second-factor", status=204)

    vendor.call("GET", "/v1/users/me", token=token, status=401)


def test_a_tenant_may_require_one_of_all(deployment: Deployment, vendor: Vendor) -> None:
    """Who has none can enrol one and nothing else, in the session that is open already.

    But whoever requires it has one: nobody shuts themself out.
    """
    token, key = vendor.colleague("admin"), vendor.api_key("admin")
    assert {"required": False} == vendor.call("GET", "/v1/users/second-factor")
    rule = {"required": True}
    vendor.call("PATCH", "/v1/users/second-factor", rule, token=token, status=403)
    shut_out = vendor.call("PATCH", "/v1/users/second-factor", rule, status=409)
    secret = vendor.call("POST", PATH)["secret"]
    unconfirmed = vendor.call("PATCH", "/v1/users/second-factor", rule, status=409)
    vendor.call("POST", f"{PATH}/confirm", {"code": code(secret, steps=-1)})
    elevated = vendor.elevated(code=code(secret))
    assert rule == vendor.call("PATCH", "/v1/users/second-factor", rule, token=elevated)
    vendor.call("GET", "/v1/products")

    refused = deployment.call("GET", "/v1/products", token=token)
    vendor.call("GET", "/v1/products", token=key)
    me = vendor.call("GET", "/v1/users/me", token=token)
    assert vendor.call("GET", "/v1/tenants/me", token=token)["requires_second_factor"]
    secret = vendor.call("POST", PATH, token=token)["secret"]
    vendor.call("POST", f"{PATH}/confirm", {"code": code(secret)}, token=token)
    vendor.call("GET", "/v1/products", token=token)

    for each in (shut_out, unconfirmed):
        assert "own_second_factor_missing" == each["code"]
    assert (403, "second_factor_missing") == (refused.status, refused.body["code"])
    assert not me["has_second_factor"]
    [event] = vendor.call(
        "GET",
        "/v1/audit-events",
        token=token,
        query={"action": "users.require-second-factor", "subject_kind": "tenant"},
    )["items"]
    assert {"requires_second_factor": {"from": False, "to": True}} == event["changes"]
    assert vendor.tenant_id == event["subject"]["id"]


def test_a_colleague_who_lost_it_is_helped(deployment: Deployment, vendor: Vendor) -> None:
    """By an owner or admin, not by support."""
    token = vendor.colleague("admin")
    support = vendor.colleague("support")
    colleague = vendor.call("GET", "/v1/users/me", token=token)
    secret = vendor.call("POST", PATH, token=token)["secret"]
    vendor.call("POST", f"{PATH}/confirm", {"code": code(secret)}, token=token)
    path = f"/v1/users/{colleague['id']}/second-factor"

    vendor.call("DELETE", path, token=support, status=403)
    vendor.call("DELETE", path, status=204)
    vendor.call("DELETE", path, status=409)

    vendor.log_in(colleague["email"], "a long enough passphrase")


def test_the_operator_helps_who_has_nobody(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any]
) -> None:
    """The only owner, without their authenticator and their recovery codes."""
    deployment.operator("remove-second-factor", email=vendor.email)

    vendor.log_in(vendor.email, vendor.password)
    assert [] == deployment.sql("SELECT * FROM permit.recovery_codes")
    unknown = deployment.refused("remove-second-factor", email="nobody@example.com")
    assert "not_found" == unknown["code"]


def test_it_outlives_a_rotation_of_the_master_key(
    deployment: Deployment, vendor: Vendor, enrolled: dict[str, Any]
) -> None:
    """Re-sealed like the proof keys, and the old master key is dropped only then."""
    deployment.operator("rotate-master-key", stage="add")
    refused = deployment.refused("rotate-master-key", stage="drop", version="1")
    resealed = deployment.operator("rotate-master-key", stage="reseal")
    deployment.operator("rotate-master-key", stage="drop", version="1")
    deployment.environments.pop("login")

    answer = second_step(vendor, first_step(vendor), code(enrolled["secret"]))

    assert "master_key_in_use" == refused["code"]
    assert 3 == resealed["resealed"]
    assert 200 == answer.status
