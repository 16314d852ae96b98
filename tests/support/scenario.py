"""A vendor's day over the API, every operation once: the examples of the API's description.

`make openapi` plays it and writes docs/examples.json; a test plays it again and
compares. What differs from run to run (ids, keys, tokens, times) is written as what stands for it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from permit.migrate import LOGIN_ROLES, migrate
from permit.security import licence_keys
from tests.support.authenticator import code
from tests.support.deployment import Deployment
from tests.support.servers import PASSWORD, embedded

DOCUMENT = Path(__file__).parents[2] / "docs" / "examples.json"
BEGINS = datetime(2026, 11, 23, 8, tzinfo=UTC)
OWNER, OWNERS_PASSWORD = "owner@example.com", "gently brewed lapsang 1847"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_RECOVERY_CODE = re.compile(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}")
_STAND_INS: dict[str, Any] = {
    "access_token": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
    "mfa_token": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
    "proof": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
    "refresh_token": "permit_rt_4nOGvcnMlZJ0yCkzD3hT6uS8XqWbLrEaFgHiPjQwUtY",
    "token": "permit_lk_4nOGvcnMlZJ0yCkzD3hT6uS8XqWbLrEaFgHiPjQwUtY",
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "uri": "otpauth://totp/Permit:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "code": "123456",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "request_id": "JKJaXmPLvHcESHA=",
    "latency_ms": 1.5,
    "next_check_at": "2026-11-27T12:00:00Z",
}


@dataclass
class Play:
    deployment: Deployment
    examples: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """The placeholder for each id, in the order of appearance."""

    def do(
        self,
        operation: str,
        body: object = None,
        *,
        status: int = 200,
        token: str | None = None,
        **ids: str,
    ) -> Any:
        """Sends it, and keeps what was sent and answered as the operation's example."""
        method, path = operation.split()
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        answer = self.deployment.call(method, path, body, token=token)
        assert answer.status == status, (operation, answer.text)
        example: dict[str, Any] = {"operation": operation}
        if ids:
            example["path"] = self._standing(ids)
        if body is not None:
            example["request"] = self._standing(body)
        example["status"] = status
        if answer.body is not None:
            example["answer"] = self._standing(answer.body)
        self.examples.append(example)
        return answer.body

    def _standing(self, value: Any, name: str = "") -> Any:
        if name == "key_hint" and isinstance(value, dict):  # how it changed
            return {key: each and _example_key()[-5:] for key, each in value.items()}
        if isinstance(value, dict):
            return {key: self._standing(each, key) for key, each in value.items()}
        if isinstance(value, list):
            if name == "recovery_codes":
                return [f"abcd-efgh-ijkl-mn{n:02}" for n in range(len(value))]
            return [self._standing(each, name) for each in value]
        if name in _STAND_INS and not (name == "code" and not str(value).isdigit()):
            return _STAND_INS[name]
        return self._text(value, name) if isinstance(value, str) else value

    def _text(self, text: str, name: str) -> str:
        if text.startswith("permit_ak_"):
            return "permit_ak_4nOGvcnMlZJ0yCkzD3hT6uS8XqWbLrEaFgHiPjQwUtY"
        if name == "key" and licence_keys.canonical(text) is not None:
            return _example_key()
        if name == "key_hint":
            return _example_key()[-5:]
        if _RECOVERY_CODE.fullmatch(text):
            return "abcd-efgh-ijkl-mn00"
        text = _UUID.sub(lambda match: self._id(match[0]), text)
        return _INSTANT.sub(lambda match: _rounded(match[0]), text)

    def _id(self, real: str) -> str:
        return self.names.setdefault(real, f"00000000-0000-4000-8000-{len(self.names) + 1:012}")


def _example_key() -> str:
    """A key with right check symbols."""
    payload = "0123456789ABCDEFGHJKMNPQRSTV"
    symbols = payload + licence_keys._check_symbols(payload)
    return "-".join(symbols[i : i + 6] for i in range(0, 30, 6))


def _rounded(instant: str) -> str:
    """To the hour: a run takes some seconds, and times of other clocks are taken at its start."""
    given = datetime.fromisoformat(instant)
    if abs(given - datetime.now(UTC)) < timedelta(minutes=30):
        given = BEGINS
    return given.strftime("%Y-%m-%dT%H:00:00Z")


def play(deployment: Deployment, kind: type[Play] = Play) -> list[dict[str, Any]]:
    """Plays on a new deployment, and sets its database's clock."""
    now = datetime.now(UTC)
    deployment.pass_time(BEGINS + timedelta(minutes=5) - now)
    tenant = deployment.operator(
        "create-tenant", name="Example Ltd", email=OWNER, password=OWNERS_PASSWORD
    )
    deployment.operator("rotate-token-key")
    day = kind(deployment)
    _everybody(day, tenant["tenant_id"])
    token = _sign_in(day)
    day.do("GET /v1/tenants/me", token=token)
    licence = _sell(day, token)
    _devices(day, token, licence)
    _end(day, token, licence)
    _team(day, token)
    return day.examples


def _everybody(day: Play, tenant_id: str) -> None:
    day.do("GET /v1/health")
    day.do("GET /.well-known/jwks.json")
    day.do("GET /v1/tenants/{tenant_id}/jwks.json", tenant_id=tenant_id)


def _sign_in(day: Play) -> str:
    login = {"email": OWNER, "password": OWNERS_PASSWORD}
    signed_in = day.do("POST /v1/login", login)
    renewed = day.do("POST /v1/login/refresh", {"refresh_token": signed_in["refresh_token"]})
    elevated = day.do(
        "POST /v1/login/elevate", {"password": OWNERS_PASSWORD}, token=renewed["access_token"]
    )
    other = day.deployment.call("POST", "/v1/login", login).body
    day.do("POST /v1/login/logout", {"refresh_token": other["refresh_token"]}, status=204)
    return elevated["access_token"]


def _sell(day: Play, token: str) -> dict[str, Any]:
    product = day.do(
        "POST /v1/products", {"code": "editor", "name": "Editor"}, status=201, token=token
    )
    day.do("GET /v1/products", token=token)
    day.do("GET /v1/products/{product_id}", token=token, product_id=product["id"])
    day.do(
        "PATCH /v1/products/{product_id}",
        {"name": "Editor Pro"},
        token=token,
        product_id=product["id"],
    )
    policy = day.do(
        "POST /v1/policies",
        {
            "product_id": product["id"],
            "name": "Yearly subscription",
            "duration": "P1Y",
            "grace": "P14D",
            "max_devices": 2,
            "entitlements": ["export"],
            "meters": [{"name": "exports", "limit": 100, "period": "month"}],
        },
        status=201,
        token=token,
    )
    day.do("GET /v1/policies", token=token)
    day.do("GET /v1/policies/{policy_id}", token=token, policy_id=policy["id"])
    day.do(
        "PATCH /v1/policies/{policy_id}", {"max_devices": 3}, token=token, policy_id=policy["id"]
    )
    licence = day.do(
        "POST /v1/licences",
        {
            "policy_id": policy["id"],
            "holder": {"name": "Ada Lovelace", "email": "ada@example.com", "reference": "C-1815"},
            "metadata": {"order": "2026-0042"},
        },
        status=201,
        token=token,
    )
    day.do(
        "POST /v1/licences/batch",
        {"licences": [{"policy_id": policy["id"], "holder": {"reference": "C-1816"}}]},
        status=201,
        token=token,
    )
    day.do("GET /v1/licences", token=token)
    day.do("GET /v1/licences/{licence_id}", token=token, licence_id=licence["id"])
    day.do("POST /v1/licences/lookup", {"key": licence["key"]}, token=token)
    day.do(
        "PATCH /v1/licences/{licence_id}",
        {"notes": "Prefers invoices.", "entitlements": ["plugins"]},
        token=token,
        licence_id=licence["id"],
    )
    unused = {"product_id": product["id"], "name": "Unused"}
    other = day.deployment.call("POST", "/v1/policies", unused, token=token).body
    day.do("DELETE /v1/policies/{policy_id}", status=204, token=token, policy_id=other["id"])
    return {**licence, "product_id": product["id"]}


def _devices(day: Play, token: str, licence: dict[str, Any]) -> None:
    one = {"token": token, "licence_id": licence["id"]}
    key = licence["key"]
    day.do(
        "POST /v1/licences/check",
        {
            "key": key,
            "product": "editor",
            "device": {"fingerprint": "5a8dd3ad0756a93ded72b823b19dd877", "name": "Laptop"},
            "entitlements": ["export"],
            "nonce": "n-0S6_WzA2Mj",
        },
    )
    day.do("POST /v1/licences/usage", {"key": key, "meter": "exports", "quantity": 3})
    day.do(
        "POST /v1/licences/release",
        {"key": key, "fingerprint": "5a8dd3ad0756a93ded72b823b19dd877"},
    )
    device = day.do(
        "POST /v1/licences/{licence_id}/devices",
        {"fingerprint": "e2fc714c4727ee9395f324cd2e7f331f", "name": "Desktop"},
        status=201,
        **one,
    )
    day.do("GET /v1/licences/{licence_id}/devices", **one)
    path = "/v1/licences/{licence_id}/devices/{device_id}"
    day.do(f"POST {path}/block", {"reason": "reported stolen"}, device_id=device["id"], **one)
    day.do(f"POST {path}/unblock", {"reason": "found again"}, device_id=device["id"], **one)
    day.do(f"DELETE {path}", status=204, device_id=device["id"], **one)
    day.do("GET /v1/licences/{licence_id}/usage", **one)
    day.do("POST /v1/licences/{licence_id}/usage/reset", {"meter": "exports"}, **one)


def _end(day: Play, token: str, licence: dict[str, Any]) -> None:
    one = {"token": token, "licence_id": licence["id"]}
    path = "POST /v1/licences/{licence_id}"
    day.do(f"{path}/suspend", {"reason": "non-payment"}, **one)
    day.do(f"{path}/reinstate", {"reason": "paid"}, **one)
    renewal = {"duration": "P1Y", "from": licence["expires_at"]}
    day.do(f"{path}/renew", renewal, **one)
    rotation = {"overlap": "P7D", "reason": "the customer moves to new servers"}
    day.do(f"{path}/rotate-key", rotation, **one)
    transfer = {
        "holder": {"name": "Grace Hopper", "email": "grace@example.com"},
        "release_devices": True,
        "rotate_key": True,
        "reason": "sold on",
    }
    day.do(f"{path}/transfer", transfer, **one)
    day.do(f"{path}/revoke", {"reason": "chargeback"}, **one)
    day.do("POST /v1/products/{product_id}/archive", token=token, product_id=licence["product_id"])


def _team(day: Play, token: str) -> None:
    password = "a long enough passphrase"
    invited = day.do(
        "POST /v1/users",
        {"email": "ada@example.com", "role": "admin", "name": "Ada"},
        status=201,
        token=token,
    )
    one = {"token": token, "user_id": invited["id"]}
    again = day.do("POST /v1/users/{user_id}/invitation", status=201, **one)
    accepted = {"token": again["token"], "password": password}
    day.do("POST /v1/users/accept", accepted, status=204)
    day.do("GET /v1/users", token=token)
    day.do("GET /v1/users/{user_id}", **one)
    reset = day.do("POST /v1/users/{user_id}/password-reset", status=201, **one)
    chosen = {"token": reset["token"], "password": f"{password} 2"}
    day.do("POST /v1/users/reset-password", chosen, status=204)
    sign_in = {"email": "ada@example.com", "password": f"{password} 2"}
    own = day.deployment.send("login", sign_in).body["access_token"]
    day.do("GET /v1/users/me", token=own)
    day.do("PATCH /v1/users/me", {"name": "Ada Lovelace"}, token=own)
    _second_factor(day, own, sign_in)
    own = day.deployment.send("login", sign_in).body["access_token"]
    day.do(
        "POST /v1/users/me/password",
        {"current_password": sign_in["password"], "new_password": f"{password} 3"},
        status=204,
        token=own,
    )
    day.do("PATCH /v1/users/{user_id}", {"role": "support"}, **one)
    day.do("POST /v1/users/{user_id}/deactivate", **one)
    day.do("POST /v1/users/{user_id}/reactivate", **one)
    key = day.do(
        "POST /v1/api-keys", {"name": "Web shop", "role": "issuer"}, status=201, token=token
    )
    day.do("GET /v1/api-keys", token=token)
    day.do("GET /v1/api-keys/{key_id}", token=token, key_id=key["id"])
    day.do("DELETE /v1/api-keys/{key_id}", status=204, token=token, key_id=key["id"])
    day.do("GET /v1/audit-events", token=token)
    day.do("GET /v1/users/second-factor", token=token)
    proven = _owner_with_second_factor(day)
    day.do("PATCH /v1/users/second-factor", {"required": True}, token=proven)


def _owner_with_second_factor(day: Play) -> str:
    """The owner's token, once they have enrolled and shown by a second code that it is they."""
    path, call = "/v1/users/me/second-factor", day.deployment.call
    sign_in = {"email": OWNER, "password": OWNERS_PASSWORD}
    own = day.deployment.send("login", sign_in).body["access_token"]
    secret = call("POST", path, token=own).body["secret"]
    call("POST", f"{path}/confirm", {"code": code(secret, steps=-1)}, token=own)
    proof = {"password": OWNERS_PASSWORD, "code": code(secret)}
    return call("POST", "/v1/login/elevate", proof, token=own).body["access_token"]


def _second_factor(day: Play, own: str, sign_in: dict[str, str]) -> None:
    path = "/v1/users/me/second-factor"
    secret = day.do(f"POST {path}", token=own)["secret"]
    day.do(f"POST {path}/confirm", {"code": code(secret, steps=-1)}, token=own)
    first = day.deployment.send("login", sign_in).body
    own = day.do(
        "POST /v1/login/second-factor",
        {"mfa_token": first["mfa_token"], "code": code(secret)},
    )["access_token"]
    day.do(f"POST {path}/remove", {}, status=204, token=own)
    secret = day.deployment.call("POST", path, token=own).body["secret"]
    day.deployment.call("POST", f"{path}/confirm", {"code": code(secret)}, token=own)
    me = day.deployment.call("GET", "/v1/users/me", token=own).body
    owner = day.deployment.send("login", {"email": OWNER, "password": OWNERS_PASSWORD}).body
    day.do(
        "DELETE /v1/users/{user_id}/second-factor",
        status=204,
        token=owner["access_token"],
        user_id=me["id"],
    )


def _played() -> Iterator[dict[str, Any]]:
    from tests.integration.conftest import TEST_CLOCK

    with TemporaryDirectory(prefix="permit-scenario-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded(folder) as server:
            with server.connect() as connection:
                connection.execute("CREATE DATABASE scenario")
            owner = {
                "host": "127.0.0.1",
                "port": server.port,
                "user": "postgres",
                "password": PASSWORD,
                "dbname": "scenario",
            }
            migrate(owner, role_passwords=dict.fromkeys(LOGIN_ROLES, PASSWORD))
            with server.connect("scenario") as connection:
                connection.execute(TEST_CLOCK)
            deployment = Deployment(server=server, database="scenario", folder=folder)
            deployment.write_secrets()
            yield from play(deployment)
            deployment.close()


if __name__ == "__main__":
    examples = list(_played())
    DOCUMENT.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n")
