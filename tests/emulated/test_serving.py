"""The deployed stack does what it is for, and all that was there before its update."""

import pytest

from tests.emulated.stack import Stack
from tests.emulated.vendor import Vendor


def test_health_has_all_that_it_asks_for(stack: Stack) -> None:
    """The database answers through its proxy, under the schema of this code."""
    checks = stack.await_health()["checks"]

    assert {"database", "schema"} == set(checks)
    assert {"ok"} == {check["status"] for check in checks.values()}


def test_owner_signs_in_and_is_believed(vendor: Vendor, stack: Stack) -> None:
    """With the token key that the deployment had made."""
    token = vendor.log_in().body["access_token"]

    status, body = stack.call("GET", "/v1/licences", token=token)

    assert 200 == status
    assert 1 <= len(body["items"])


def test_issued_licence_is_valid_and_its_proof_verifies(vendor: Vendor, stack: Stack) -> None:
    """An independent library reads it with the keys that the tenant publishes."""
    token = vendor.log_in().body["access_token"]
    issued = stack.call("POST", "/v1/licences", {"policy_id": vendor.policy_id}, token=token)
    assert 201 == issued.status, issued.body

    device = {"fingerprint": "a machine of this version"}
    answer = vendor.check(issued.body["key"], **device)
    proof = vendor.proof(issued.body["key"], **device)

    assert ("VALID", True) == (answer.body["code"], answer.body["valid"])
    assert issued.body["id"] == proof.claims["sub"]


def test_what_the_previous_version_made_is_as_it_was(vendor: Vendor, stack: Stack) -> None:
    """A licence with its seat, and a session."""
    seated = vendor.check()
    newcomer = vendor.check(fingerprint="a machine that has no seat")
    refreshed = stack.call("POST", "/v1/login/refresh", {"refresh_token": vendor.refresh_token})

    assert ("VALID", 1) == (seated.body["code"], seated.body["licence"]["devices_used"])
    assert "TOO_MANY_DEVICES" == newcomer.body["code"]
    assert 200 == refreshed.status


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/.well-known/jwks.json"])
def test_public_pages_are_there(stack: Stack, path: str) -> None:
    """Each from the function of its route."""
    assert 200 == stack.call("GET", path).status


def test_function_without_a_route_is_run_by_its_schedule_alone(stack: Stack) -> None:
    """The sweep does its work when it is invoked, and no route leads there."""
    stack.invoke("sweep", {})

    assert 404 == stack.call("GET", "/v1/sweep").status
