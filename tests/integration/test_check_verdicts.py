"""Every verdict end to end: from an API Gateway event to the database and back, whole answers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.deployment import FINGERPRINT, Answer, Deployment, Vendor
from tests.support.proof_reading import Proof, read_proof

NONCE = "c29tZS1ub25jZQ"
PAST_TERM = {"starts_at": "2020-01-01T00:00:00Z", "expires_at": "2021-01-01T00:00:00Z"}
OTHER = "fingerprint-of-another-machine"
Licence = dict[str, Any]
Request = dict[str, Any]
Case = Callable[[Vendor], tuple[Licence, Request]]
# name: (how it comes about, code, valid, the licence's status, the device's state, as told)
CASES: dict[str, tuple[Case, str, bool, str | None, str | None]] = {}


def case(
    code: str, *, valid: bool = False, status: str | None = "active", device: str | None = None
) -> Callable[[Case], Case]:
    def register(arrange: Case) -> Case:
        CASES[arrange.__name__] = (arrange, code, valid, status, device)
        return arrange

    return register


def on_device(fingerprint: str = FINGERPRINT, **request: object) -> Request:
    return {"device": {"fingerprint": fingerprint}, **request}


def seat(vendor: Vendor, licence: Licence, fingerprint: str = FINGERPRINT) -> str:
    return vendor.deployment.check(licence["key"], fingerprint)["device"]["id"]


@case("PRODUCT_MISMATCH")
def another_product(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(), on_device(product="viewer")


@case("KEY_REPLACED", status=None)
def key_rotated_away(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence()
    seat(vendor, licence)
    vendor.command("rotate-licence-key", licence)
    return licence, on_device()


@case("REVOKED", status="revoked")
def revoked(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence()
    vendor.command("revoke-licence", licence)
    return licence, on_device()


@case("SUSPENDED", status="suspended", device="seated")
def suspended(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence()
    seat(vendor, licence)
    vendor.command("suspend-licence", licence)
    return licence, on_device()


@case("NOT_STARTED", status="not_started")
def not_started(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(starts_at="2999-01-01T00:00:00Z"), on_device()


@case("EXPIRED", status="expired")
def expired_and_blocked(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(**PAST_TERM), on_device()


@case("VERSION_NOT_COVERED", status="expired")
def version_after_maintenance(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence(vendor.policy(on_expiry="maintain"), **PAST_TERM)
    return licence, on_device(version_date="2021-01-02")


@case("ENTITLEMENTS_MISSING")
def entitlement_not_granted(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence(vendor.policy(entitlements=["export"]), entitlements=["print"])
    return licence, on_device(entitlements=["export", "print", "sync"])


@case("DEVICE_REQUIRED")
def no_device(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(), {}


@case("DEVICE_BLOCKED", device="blocked")
def device_blocked(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence()
    vendor.command("block-device", licence, device_id=seat(vendor, licence))
    return licence, on_device()


@case("DEVICE_ALREADY_USED")
def second_trial(vendor: Vendor) -> tuple[Licence, Request]:
    trial = vendor.policy(unique="policy")
    seat(vendor, vendor.licence(trial))
    return vendor.licence(trial), on_device()


@case("DEVICE_NOT_ACTIVATED")
def activated_by_hand_only(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(vendor.policy(activation="manual")), on_device()


@case("TOO_MANY_DEVICES")
def no_seat_free(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence(vendor.policy(max_devices=1, self_service=False))
    seat(vendor, licence, OTHER)
    return licence, on_device()


@case("TOO_MANY_DEVICES", valid=True, device="seated")
def within_the_overage(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence(vendor.policy(max_devices=1, overage=1, self_service=False))
    seat(vendor, licence, OTHER)
    return licence, on_device()


@case("EXPIRED", valid=True, status="expired", device="seated")
def expired_and_allowed(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(vendor.policy(on_expiry="allow"), **PAST_TERM), on_device()


@case("EXPIRED", valid=True, status="expired", device="seated")
def version_within_maintenance(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence(vendor.policy(on_expiry="maintain"), **PAST_TERM)
    return licence, on_device(version_date="2021-01-01")


@case("GRACE", valid=True, status="grace", device="seated")
def in_grace(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(vendor.policy(grace="P100Y"), **PAST_TERM), on_device()


@case("VALID", valid=True, device="seated")
def in_force(vendor: Vendor) -> tuple[Licence, Request]:
    licence = vendor.licence(vendor.policy(entitlements=["export"]), entitlements=["print"])
    return licence, on_device(product="editor", entitlements=["print", "export"])


@case("VALID", valid=True)
def without_a_device(vendor: Vendor) -> tuple[Licence, Request]:
    return vendor.licence(vendor.policy(device_required=False)), {}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_has_its_whole_shape(deployment: Deployment, name: str) -> None:
    """HTTP 200, the code, and exactly the members of the contract with a proof that says so."""
    arrange, code, valid, status, device_state = CASES[name]
    licence, request = arrange(deployment.vendor)

    answer = ask(deployment, licence, request)

    body = answer.body
    assert [
        *("valid", "code", "detail", "checked_at", "next_check_at", "nonce"),
        *("licence", "device", "proof"),
    ] == [*body]
    assert (code, valid, NONCE) == (body["code"], body["valid"], body["nonce"])
    told = body["licence"] or {"status": None, "id": None, "entitlements": []}
    assert (status, status and licence["id"]) == (told["status"], told["id"])
    assert device_state == (body["device"] and body["device"]["state"])
    claims = proof_in(deployment, answer).claims
    assert (code, valid, NONCE) == (claims["code"], claims["valid"], claims["nonce"])
    assert (told["entitlements"], licence["id"]) == (claims["ent"], claims["sub"])
    next_check_at = datetime.fromisoformat(body["next_check_at"])
    assert int(next_check_at.timestamp()) == claims["nca"] <= claims["exp"]
    if not valid:
        checked_at = datetime.fromisoformat(body["checked_at"])
        assert timedelta(minutes=10) == next_check_at - checked_at


def test_every_code_of_the_contract_is_tested() -> None:
    """With NOT_FOUND below, every row of the contract; TOO_MANY_DEVICES has two answers."""
    assert 17 == len({(code, valid) for _, code, valid, _, _ in CASES.values()})


@pytest.mark.parametrize(
    ("key", "mistyped"),
    [
        ("012345-6789AB-CDEFGH-JKMNPQ-RSTVTR", False),
        ("012345-6789AB-CDEFGH-JKMNPQ-RSTVTS", True),
        ("no key at all", True),
    ],
)
def test_an_unknown_key_tells_nothing(deployment: Deployment, key: str, mistyped: bool) -> None:
    """NOT_FOUND is an answer without licence, device and proof; it says whether it is mistyped."""
    deployment.vendor.licence()

    answer = ask(deployment, {"key": key}, on_device())

    detail, checked_at = answer.body.pop("detail"), answer.body.pop("checked_at")
    next_check_at = answer.body.pop("next_check_at")
    assert {
        "valid": False,
        "code": "NOT_FOUND",
        "mistyped": mistyped,
        "nonce": NONCE,
        "licence": None,
        "device": None,
        "proof": None,
    } == answer.body
    assert mistyped == detail.startswith("The key is mistyped")
    assert is_utc(checked_at)
    assert datetime.fromisoformat(checked_at) + timedelta(minutes=10) == datetime.fromisoformat(
        next_check_at
    )


def test_a_valid_answer_has_every_detail(deployment: Deployment) -> None:
    """Licence and device are described as the contract says, times in UTC."""
    vendor = deployment.vendor
    policy = vendor.policy(name="Team", duration="P1Y", max_devices=5, entitlements=["b", "a"])
    metadata = {"plan": "team", "seats": [1, None, {"é": 1.5}]}
    licence = vendor.licence(policy, entitlements=["c", "a"], metadata=metadata, notes="private")

    answer = ask(deployment, licence, on_device())

    assert {
        "id": licence["id"],
        "product": "editor",
        "policy": "Team",
        "status": "active",
        "expires_at": licence["expires_at"],
        "entitlements": ["a", "b", "c"],
        "max_devices": 5,
        "devices_used": 1,
        "metadata": metadata,
    } == answer.body["licence"]
    device = answer.body["device"]
    assert ["id", "state", "first_seen_at", "last_seen_at"] == [*device]
    assert device["first_seen_at"] == device["last_seen_at"] <= answer.body["checked_at"]
    assert is_utc(answer.body["checked_at"])
    assert "private" not in answer.text
    assert ("application/json", "no-store") == (
        answer.headers["content-type"],
        answer.headers["cache-control"],
    )


def ask(deployment: Deployment, licence: Licence, request: Request) -> Answer:
    answer = deployment.send("licence_check", {"key": licence["key"], "nonce": NONCE, **request})
    assert answer.status == 200, answer.text
    return answer


def proof_in(deployment: Deployment, answer: Answer) -> Proof:
    path = f"/v1/tenants/{deployment.vendor.tenant_id}/jwks.json"
    return read_proof(answer.body["proof"], deployment.send("tenant_jwks", path=path).body["keys"])


def is_utc(text: str) -> bool:
    return text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None
