"""POST /v1/login: what a right password gets, and how every wrong one looks the same."""

import uuid
from typing import Any

import bcrypt
import pytest
from argon2 import Parameters, PasswordHasher
from joserfc import jwt
from joserfc.jwk import KeySet

from permit.security import passwords
from tests.support.deployment import Answer, Deployment

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery staple"
# RFC 9864 prefers a newer name for the same algorithm, which few libraries know yet.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
HOST = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"


@pytest.fixture
def user(deployment: Deployment) -> dict[str, Any]:
    deployment.operator("rotate-token-key")
    return deployment.operator("create-tenant", name="Example", email=EMAIL, password=PASSWORD)


def log_in(deployment: Deployment, email: str = EMAIL, password: str = PASSWORD) -> Answer:
    return deployment.send("login", {"email": email, "password": password})


def stored_hash(deployment: Deployment, email: str = EMAIL) -> str:
    [(stored,)] = deployment.sql("SELECT password_hash FROM permit.users WHERE email = %s", email)
    return stored


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The parameters of every Argon2 computation, in order: what a login costs."""
    costs: list[tuple[int, int, int]] = []

    class Counting(PasswordHasher):
        def hash(self, *args: Any, **kwargs: Any) -> str:
            costs.append((self.time_cost, self.memory_cost, self.parallelism))
            return super().hash(*args, **kwargs)

        def verify(self, *args: Any, **kwargs: Any) -> bool:
            costs.append((self.time_cost, self.memory_cost, self.parallelism))
            return super().verify(*args, **kwargs)

    counting = Counting.from_parameters(passwords.OWASP_19MIB_T2)
    monkeypatch.setattr(passwords, "_hasher", counting)
    return costs


def test_the_tokens_are_what_the_design_says(deployment: Deployment, user: dict[str, Any]) -> None:
    """A right password gets a Bearer token for 15 minutes and a refresh token, not to be cached."""
    answer = log_in(deployment)

    assert 200 == answer.status
    assert {"access_token", "token_type", "expires_in", "refresh_token"} == set(answer.body)
    assert ("Bearer", 900) == (answer.body["token_type"], answer.body["expires_in"])
    assert "no-store" == answer.headers["cache-control"]


def test_an_independent_library_verifies_the_claims(
    deployment: Deployment, user: dict[str, Any]
) -> None:
    """joserfc verifies the token with the published keys, and finds every claim in it."""
    keys = KeySet.import_key_set(deployment.send("jwks").body)

    token = jwt.decode(log_in(deployment).body["access_token"], keys, algorithms=["EdDSA"])

    claims, kid = token.claims, token.header["kid"]
    assert {"alg": "EdDSA", "typ": "at+jwt", "kid": kid} == token.header
    assert (HOST, "permit") == (claims["iss"], claims["aud"])
    assert (user["user_id"], user["tenant_id"]) == (claims["sub"], claims["tid"])
    assert ("owner", 1) == (claims["role"], claims["sv"])
    assert claims["iat"] == claims["nbf"] == claims["exp"] - 900
    assert ["pwd"] == claims["amr"]
    # The session is begun between the two.
    assert 0 <= claims["iat"] - claims["auth_time"] <= 10
    [(session,)] = deployment.sql("SELECT id::text FROM permit.sessions")
    assert session == claims["sid"]
    assert {
        *("iss", "aud", "sub", "tid", "role", "sv", "iat", "nbf", "exp", "jti"),
        *("sid", "auth_time", "amr"),
    } == set(claims)


def test_the_issuer_is_the_configured_address(deployment: Deployment, user: dict[str, Any]) -> None:
    """With PERMIT_PUBLIC_URL tokens are issued by it, whatever host the caller used."""
    keys = KeySet.import_key_set(deployment.send("jwks").body)
    deployment.environments["login"] = deployment.start(
        "login", PERMIT_PUBLIC_URL="https://licences.example.com/"
    )

    token = jwt.decode(log_in(deployment).body["access_token"], keys, algorithms=["EdDSA"])

    assert "https://licences.example.com" == token.claims["iss"]


def test_no_two_logins_share_a_token(deployment: Deployment, user: dict[str, Any]) -> None:
    """Each login has its own token ids and begins a session of its own."""
    first, second = log_in(deployment).body, log_in(deployment).body

    assert first["access_token"] != second["access_token"]
    assert first["refresh_token"] != second["refresh_token"]
    assert [(2,)] == deployment.sql("SELECT count(*) FROM permit.sessions")


@pytest.mark.parametrize(
    "email",
    ["OWNER@Example.COM", "  owner@example.com "],
    ids=["capitals", "spaces around"],
)
def test_an_email_is_read_without_regard_to_case(
    deployment: Deployment, user: dict[str, Any], email: str
) -> None:
    """However people write their address, it is theirs."""
    assert 200 == log_in(deployment, email).status


def test_refusals_are_alike(
    deployment: Deployment, user: dict[str, Any], computed: list[tuple[int, int, int]]
) -> None:
    """Unknown, wrong and deactivated: one body, one hash at the live parameters, nothing told."""
    gone = {"email": "gone@example.com", "password": PASSWORD}
    deployment.operator("create-user", tenant_id=user["tenant_id"], **gone)
    deployment.sql("UPDATE permit.users SET deactivated_at = now() WHERE email = %s", gone["email"])
    computed.clear()

    answers, costs = [], []
    for email, password in [
        ("nobody@example.com", PASSWORD),
        (EMAIL, "wrong horse battery staple"),
        (gone["email"], PASSWORD),
        (gone["email"], "wrong horse battery staple"),
        (EMAIL, "x"),
        (EMAIL, "p" * 256),
    ]:
        answers.append(log_in(deployment, email, password))
        costs.append(list(computed))
        computed.clear()

    assert [401] * 6 == [answer.status for answer in answers]
    assert 1 == len({answer.text for answer in answers})
    assert 1 == len({str(sorted(answer.headers.items())) for answer in answers})
    assert "invalid_credentials" == answers[0].body["code"]
    assert [[(2, 19 * 1024, 1)]] * 6 == costs
    assert [(0,)] == deployment.sql("SELECT count(*) FROM permit.sessions")


@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
def test_an_imported_hash_is_replaced_at_the_first_login(
    deployment: Deployment, user: dict[str, Any], prefix: bytes
) -> None:
    """bcrypt lets its user in once; from then on it is Argon2id, and they notice nothing."""
    imported = bcrypt.hashpw(b"legacy-pass-1", bcrypt.gensalt(4, prefix=prefix)).decode()
    email = f"{uuid.uuid4().hex}@example.com"
    arguments = {"tenant_id": user["tenant_id"], "email": email, "bcrypt_hash": imported}
    deployment.operator("import-user", **arguments)

    refused = log_in(deployment, email, "legacy-pass-2")
    kept = stored_hash(deployment, email)
    first = log_in(deployment, email, "legacy-pass-1")
    replaced = stored_hash(deployment, email)
    second = log_in(deployment, email, "legacy-pass-1")

    assert (401, 200, 200) == (refused.status, first.status, second.status)
    assert imported == kept
    assert replaced.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert replaced == stored_hash(deployment, email)


def test_a_hash_of_old_parameters_is_replaced(deployment: Deployment, user: dict[str, Any]) -> None:
    """Raised parameters reach each user at their next login, and only with the right password."""
    old = Parameters(**{**vars_of(passwords.OWASP_19MIB_T2), "time_cost": 1})
    weak = PasswordHasher.from_parameters(old).hash(PASSWORD)
    deployment.sql("UPDATE permit.users SET password_hash = %s", weak)

    log_in(deployment, password="wrong horse battery staple")
    after_wrong = stored_hash(deployment)
    log_in(deployment)

    assert weak == after_wrong
    assert stored_hash(deployment).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_two_first_logins_at_once_both_succeed(
    deployment: Deployment, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other login replaces the old hash first: it is the same password, and its hash stays."""
    old, renewed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)), passwords.hash(PASSWORD)
    deployment.sql("UPDATE permit.users SET password_hash = %s", old.decode())
    verify = passwords.verify

    def verify_while_it_is_replaced(stored: str, password: str) -> bool:
        deployment.sql("UPDATE permit.users SET password_hash = %s", renewed)
        return verify(stored, password)

    monkeypatch.setattr(passwords, "verify", verify_while_it_is_replaced)
    answer = log_in(deployment)

    assert 200 == answer.status
    assert renewed == stored_hash(deployment)


def vars_of(parameters: Parameters) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in parameters.__dataclass_fields__}


@pytest.mark.parametrize(
    "change",
    [
        "deactivated_at = now()",
        "session_version = session_version + 1",
        "password_hash = 'another'",
    ],
    ids=["deactivated", "sessions ended", "another password"],
)
def test_a_user_who_changes_during_his_login_is_refused(
    deployment: Deployment, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What happens between the hash's reading and the session's beginning still counts."""
    verify = passwords.verify

    def verify_while_it_changes(stored: str, password: str) -> bool:
        deployment.sql(f"UPDATE permit.users SET {change}")
        return verify(stored, password)

    monkeypatch.setattr(passwords, "verify", verify_while_it_changes)
    answer = log_in(deployment)

    assert (401, "invalid_credentials") == (answer.status, answer.body["code"])
    assert [(0,)] == deployment.sql("SELECT count(*) FROM permit.sessions")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": EMAIL}, "password"),
        ({"email": EMAIL, "password": ""}, "password"),
        ({"email": EMAIL, "password": "p" * 257}, "password"),
        ({"email": EMAIL, "password": "a\x00b"}, "password"),
        ({"email": EMAIL, "password": "\ud800"}, "password"),
        ({"email": EMAIL, "password": 12}, "password"),
        ({"email": "a\x00@example.com", "password": PASSWORD}, "email"),
        ({"email": "\udfff@example.com", "password": PASSWORD}, "email"),
        ({"email": [EMAIL], "password": PASSWORD}, "email"),
        ({"email": EMAIL, "password": PASSWORD, "role": "owner"}, "role"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_a_malformed_login_is_named_and_not_counted(
    deployment: Deployment, user: dict[str, Any], body: object, field: str
) -> None:
    """A 422 names the field, quotes nothing, and costs no attempt."""
    answer = deployment.send("login", body)

    assert 422 == answer.status
    assert [field] == [error["field"] for error in answer.body["errors"]]
    assert PASSWORD not in answer.text
    assert [(0,)] == deployment.sql("SELECT count(*) FROM permit.login_throttle")
