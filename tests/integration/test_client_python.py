"""The Python client against the real service: what the fake shows, the server does."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from permit_client import Licence, Permit
from tests.support.make_run import running


@dataclass(frozen=True, kw_only=True)
class Service:
    """A `make run`, and its demo vendor."""

    base_url: str
    key: str
    token: str
    keys: dict[str, Any]

    def call(self, method: str, path: str, body: object = None) -> Any:
        return call(self.base_url, method, path, body, self.token)

    def permit(self, folder: Path, **settings: Any) -> Permit:
        return Permit(
            self.base_url,
            **{"product": "demo", "keys": self.keys, "store": folder, **settings},
        )


def call(base_url: str, method: str, path: str, body: object, token: str | None = None) -> Any:
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 (our own address)
        f"{base_url}{path}", data=data, headers=headers, method=method
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("permit") / "run") as run:
        facts = run.facts
        url = facts["base_url"]
        login = {"email": facts["email"], "password": facts["password"]}
        yield Service(
            base_url=url,
            key=facts["licence_key"],
            token=call(url, "POST", "/v1/login", login)["access_token"],
            keys=call(url, "GET", f"/v1/tenants/{facts['tenant_id']}/jwks.json", None),
        )


def told(licence: Licence) -> tuple[str, str]:
    return licence.answer, licence.why


def test_from_activation_to_release(service: Service, tmp_path: Path) -> None:
    """A life: activated, restarted offline, suspended, reinstated, given back."""
    permit = service.permit(tmp_path, build_date="2026-11-22", device_name="A laptop")
    licence = permit.check(service.key)
    assert ("allowed", "verdict") == told(licence)
    assert licence.licence_id is not None
    assert licence.good_until is not None
    assert licence.next_check_at is not None
    assert licence.next_check_at < licence.good_until

    away = service.permit(tmp_path, build_date="2026-11-22")
    away._base_url = "http://127.0.0.1:1"  # the network is pulled
    assert ("allowed", "lease") == told(away.state())
    assert ("allowed", "lease") == told(away.check(service.key))
    pulled = away.check(service.key, fresh=True)
    assert ("allowed", "lease") == told(pulled)
    assert pulled.trouble is not None
    assert "offline" == pulled.trouble.why

    service.call("POST", f"/v1/licences/{licence.licence_id}/suspend", {})
    assert ("refused", "SUSPENDED") == told(permit.check(service.key, fresh=True))
    assert ("refused", "SUSPENDED") == told(away.check(service.key))  # the store is one
    service.call("POST", f"/v1/licences/{licence.licence_id}/reinstate", {})
    assert ("allowed", "verdict") == told(permit.check(service.key, fresh=True))

    assert "RELEASED" == permit.release().code
    assert ("could_not_check", "released") == told(permit.state())
    assert "NOT_ACTIVATED" == permit.release().code


def test_what_the_server_refuses(service: Service, tmp_path: Path) -> None:
    other = {"keys": [dict(service.keys["keys"][0])]}
    x = other["keys"][0]["x"]
    other["keys"][0].update(x=("A" if x[0] != "A" else "B") + x[1:], kid=None)
    cases = {
        "unknown": (service.permit(tmp_path / "1"), "AAAAAA-AAAAAA", ("refused", "NOT_FOUND")),
        "product": (
            service.permit(tmp_path / "2", product="viewer"),
            service.key,
            ("refused", "PRODUCT_MISMATCH"),
        ),
        "keys": (
            service.permit(tmp_path / "3", keys=other, fingerprint="laptop-of-the-test-0"),
            service.key,
            ("not_believed", "unknown_key"),
        ),
        "entitlements": (
            service.permit(tmp_path / "4", entitlements=("flying",)),
            service.key,
            ("refused", "ENTITLEMENTS_MISSING"),
        ),
    }
    found = {name: told(permit.check(key)) for name, (permit, key, _) in cases.items()}
    assert {name: expected for name, (_, _, expected) in cases.items()} == found


def test_a_full_licence_is_freed_by_its_holder(service: Service, tmp_path: Path) -> None:
    """The demo's policy has three seats."""
    laptops = [
        service.permit(
            tmp_path / str(n), fingerprint=f"laptop-of-the-test-{n}", device_name=f"L{n}"
        )
        for n in range(4)
    ]
    answers = [told(laptop.check(service.key)) for laptop in laptops]
    assert [("allowed", "verdict")] * 3 + [("refused", "TOO_MANY_DEVICES")] == answers

    devices = laptops[3].check(fresh=True).devices
    assert 3 == len(devices)
    assert laptops[3].release(next(each for each in devices if each.name == "L1"))
    assert ("allowed", "verdict") == told(laptops[3].check())
    assert ("refused", "TOO_MANY_DEVICES") == told(laptops[1].check(fresh=True))


def test_a_usage_of_an_unknown_meter(service: Service, tmp_path: Path) -> None:
    """Signed, so believed, and refused."""
    permit = service.permit(tmp_path, fingerprint="laptop-of-the-test-0")
    permit.check(service.key)
    usage = permit.use("exports")
    assert ("refused", "METER_UNKNOWN") == (usage.answer, usage.why)


def test_the_issuer_is_the_servers(service: Service, tmp_path: Path) -> None:
    permit = service.permit(tmp_path, fingerprint="laptop-of-the-test-0", issuer="https://x")
    assert ("not_believed", "other_issuer") == told(permit.check(service.key))
