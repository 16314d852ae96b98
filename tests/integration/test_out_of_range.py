"""What Python reads and Postgres does not is refused at the edge: never a failure of ours."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import jwt
import pytest

from permit.security.token_keys import TokenKeys
from tests.support.deployment import Deployment
from tests.support.refusals import assert_refused

OFFSETS = ["+16:00", "-16:00", "+23:59", "+15:59:59", "+01:00:00.5"]


@pytest.mark.parametrize("offset", OFFSETS)
def test_an_offset_that_postgres_lacks(deployment: Deployment, offset: str) -> None:
    """Wherever a time is sent: in a body, in a query, in a command, in a cursor."""
    vendor = deployment.vendor
    policy, licence = vendor.policy(), vendor.licence()
    time = f"2030-01-01T00:00:00{offset}"
    path = f"/v1/licences/{licence['id']}"
    batch = {"licences": [{"policy_id": policy, "starts_at": time}]}
    key = {"name": "Shop", "role": "issuer", "expires_at": time}
    bodies: list[tuple[str, str, Any, str]] = [
        ("POST", "/v1/licences", {"policy_id": policy, "starts_at": time}, "starts_at"),
        ("POST", "/v1/licences", {"policy_id": policy, "expires_at": time}, "expires_at"),
        ("POST", "/v1/licences/batch", batch, "licences.0.starts_at"),
        ("PATCH", path, {"starts_at": time}, "starts_at"),
        ("PATCH", path, {"expires_at": time}, "expires_at"),
        ("POST", f"{path}/renew", {"expires_at": time}, "expires_at"),
        ("POST", "/v1/api-keys", key, "expires_at"),
    ]
    for method, to, body, field in bodies:
        assert_refused(deployment.call(method, to, body, token=vendor.token), field)
    queries = [
        ("/v1/licences", {"expires_before": time}, "expires_before"),
        ("/v1/audit-events", {"since": time}, "since"),
        ("/v1/audit-events", {"until": time}, "until"),
    ]
    for to in ("/v1/licences", "/v1/products", "/v1/users", "/v1/audit-events", f"{path}/devices"):
        made_up = base64.urlsafe_b64encode(json.dumps([time, str(uuid4())]).encode()).decode()
        queries.append((to, {"cursor": made_up}, "cursor"))
    for to, query, field in queries:
        assert_refused(deployment.call("GET", to, token=vendor.token, query=query), field)
    refused = deployment.refused(
        "change-licence", tenant_id=vendor.tenant_id, licence_id=licence["id"], expires_at=time
    )
    assert "expires_at" == refused["errors"][0]["field"]


@pytest.mark.parametrize("offset", ["+15:59", "-15:59", "Z", "z"])
def test_every_other_offset_is_kept_as_its_instant(deployment: Deployment, offset: str) -> None:
    """And answered in UTC."""
    vendor = deployment.vendor
    time = f"2030-01-01t00:00:00{offset}"

    issued = vendor.call(
        "POST", "/v1/licences", {"policy_id": vendor.policy(), "expires_at": time}, status=201
    )

    sent = datetime.fromisoformat(time.upper()).astimezone(UTC)
    assert sent == datetime.fromisoformat(issued["expires_at"])


@pytest.mark.parametrize("change", [{"sv": 2**31}, {"sv": -1}, {"sv": 10**30}, {"iat": -(10**400)}])
def test_a_token_s_numbers(deployment: Deployment, change: dict[str, Any]) -> None:
    """Signed by our own key, and no token of ours all the same: 401."""
    vendor = deployment.vendor
    right = jwt.decode(vendor.token, options={"verify_signature": False})
    keys = TokenKeys.parse((deployment.folder / "token-keys").read_text())
    key = keys.signer(datetime.now(UTC))
    headers = {"kid": key.kid, "typ": "at+jwt"}
    forged = jwt.encode({**right, **change}, key.private_key, algorithm="EdDSA", headers=headers)

    answer = deployment.call("GET", "/v1/products", token=forged)

    assert (401, "not_authenticated") == (answer.status, answer.body["code"])


def test_a_time_counts_as_its_day(deployment: Deployment) -> None:
    """A build's time, as build tools write it, in place of its date: at the check and a usage."""
    vendor = deployment.vendor
    policy = vendor.policy(
        on_expiry="maintain", meters=[{"name": "m", "limit": None, "period": None}]
    )
    terms = {"starts_at": "2020-01-01T00:00:00Z", "expires_at": "2021-01-01T12:00:00Z"}
    key = vendor.licence(policy, **terms)["key"]

    for built, code in (
        ("2021-01-01T23:00:00Z", "EXPIRED"),
        ("2021-01-01t23:00:00z", "EXPIRED"),
        ("2021-01-02T00:30:00+01:00", "EXPIRED"),
        ("2021-01-01T23:00:00-02:00", "VERSION_NOT_COVERED"),
    ):
        used = deployment.send("licence_usage", {"key": key, "meter": "m", "version_date": built})
        checked = deployment.check(key, version_date=built)
        assert (code, code) == (checked["code"], used.body["code"]), built
