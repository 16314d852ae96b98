"""Every route of the vendor's side: who may, that another tenant's is not there, and how cheap."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from permit.people.callers import ACTIONS
from tests.support.deployment import Answer, Deployment, Vendor
from tests.support.sam_template import database_users

FUNCTIONS = [name for name, user in database_users().items() if user == "permit_vendor"]
USER_ROLES = ("owner", "admin", "support")
KEY_ROLES = ("admin", "support", "issuer")
# What a well-formed request of each operation is; ids are made up unless a fixture fills them in.
BODIES: dict[str, Any] = {
    "POST /v1/products": {"code": "another", "name": "Another"},
    "PATCH /v1/products/{product_id}": {"name": "New"},
    "POST /v1/policies": {"product_id": "{product_id}", "name": "Another"},
    "PATCH /v1/policies/{policy_id}": {"name": "New"},
    "POST /v1/licences": {"policy_id": "{policy_id}"},
    "POST /v1/licences/batch": {"licences": [{"policy_id": "{policy_id}"}]},
    "POST /v1/licences/lookup": {"key": "{key}"},
    "PATCH /v1/licences/{licence_id}": {"notes": "x", "max_devices": 5},
    "POST /v1/licences/{licence_id}/renew": {"expires_at": "2050-01-01T00:00:00Z"},
    "POST /v1/licences/{licence_id}/transfer": {"holder": {"name": "New"}},
    "POST /v1/licences/{licence_id}/devices": {"fingerprint": "a-fingerprint-of-16"},
    "POST /v1/licences/{licence_id}/usage/reset": {"meter": "exports"},
    "POST /v1/users": {"email": "new@example.com", "role": "support"},
    "PATCH /v1/users/me": {"name": "New"},
    "POST /v1/users/me/password": {"current_password": "x", "new_password": "y" * 12},
    "POST /v1/users/me/second-factor/confirm": {"code": "123456"},
    "POST /v1/users/me/second-factor/remove": {"code": "123456"},
    "PATCH /v1/users/{user_id}": {"role": "support"},
    "PATCH /v1/users/second-factor": {"required": False},
    "POST /v1/api-keys": {"name": "Another", "role": "support"},
}
# Round trips, BEGIN and COMMIT among them: at most so many for a read and for a write.
READ, WRITE = 4, 6


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def operations(deployment: Deployment) -> Iterator[Any]:
    for function in FUNCTIONS:
        yield from deployment.environment(function).api.operations


def name(operation: Any) -> str:
    return f"{operation.method} {operation.path}"


def filled(text: Any, ids: dict[str, str]) -> Any:
    if isinstance(text, dict):
        return {key: filled(value, ids) for key, value in text.items()}
    if isinstance(text, list):
        return [filled(value, ids) for value in text]
    if isinstance(text, str):
        for key, value in ids.items():
            text = text.replace(f"{{{key}}}", value)
    return text


def send(deployment: Deployment, operation: Any, ids: dict[str, str], **more: Any) -> Answer:
    body = filled(BODIES.get(name(operation)), ids)
    return deployment.call(operation.method, filled(operation.path, ids), body, **more)


def things(vendor: Vendor) -> dict[str, str]:
    """One of each that a path may name."""
    meters = [{"name": "exports", "limit": 5, "period": "month"}]
    policy = vendor.policy(meters=meters)
    expiry = "2040-01-01T00:00:00Z"
    body = {"policy_id": policy, "expires_at": expiry}
    licence = vendor.call("POST", "/v1/licences", body, status=201)
    device = vendor.call(
        "POST",
        f"/v1/licences/{licence['id']}/devices",
        {"fingerprint": "another-fingerprint"},
        status=201,
    )
    invited = {"email": f"{uuid4()}@example.com", "role": "support"}
    user = vendor.call("POST", "/v1/users", invited, status=201)
    key = vendor.call("POST", "/v1/api-keys", {"name": "K", "role": "support"}, status=201)
    return {
        "product_id": vendor.product_id,
        "policy_id": policy,
        "licence_id": licence["id"],
        "key": licence["key"],
        "device_id": device["id"],
        "user_id": user["id"],
        "key_id": key["id"],
    }


def test_the_table_and_the_routes_agree(deployment: Deployment) -> None:
    """Every action has a route; every route has an action or is for people with a link."""
    found = list(operations(deployment))

    assert set(ACTIONS) == {operation.action for operation in found} - {None}
    assert {"POST /v1/users/accept", "POST /v1/users/reset-password"} == {
        name(operation) for operation in found if operation.action is None
    }
    assert set(BODIES) <= {name(operation) for operation in found}


@pytest.mark.parametrize("role", [*USER_ROLES, *(f"key:{role}" for role in KEY_ROLES)])
def test_each_role_does_what_the_table_says(
    deployment: Deployment, vendor: Vendor, role: str
) -> None:
    """The whole table against every route: 403 not_permitted where it says no, and only there."""
    ids = things(vendor)
    if role.startswith("key:"):
        token = vendor.api_key(role.removeprefix("key:"))
    else:
        token = vendor.token if role == "owner" else vendor.colleague(role)

    for operation in operations(deployment):
        if operation.action is None:
            continue
        answer = send(deployment, operation, ids, token=token)

        is_refused = (answer.status, (answer.body or {}).get("code")) == (403, "not_permitted")
        is_allowed = role.removeprefix("key:") in ACTIONS[operation.action]
        assert is_allowed != is_refused, (name(operation), answer.text)
        if is_refused:
            assert f"`{operation.action}` is for the roles owner" in answer.body["detail"]
            assert answer.body["detail"].endswith(f"yours is {role.removeprefix('key:')}.")
        assert 401 != answer.status, name(operation)
        assert answer.status < 500, name(operation)


def test_every_route_wants_a_credential(deployment: Deployment, vendor: Vendor) -> None:
    """401 before anything that was sent is looked at."""
    for operation in operations(deployment):
        if operation.action is None:
            continue
        path = filled(operation.path, dict.fromkeys(things_named(operation), str(uuid4())))

        answer = deployment.call(operation.method, path, raw_body="{")

        assert (401, "not_authenticated") == (answer.status, answer.body["code"]), path
        assert "Bearer" == answer.headers["www-authenticate"]


def things_named(operation: Any) -> list[str]:
    return [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]


def test_what_is_another_tenants_is_not_there(deployment: Deployment, vendor: Vendor) -> None:
    """Every route with a foreign id: 404, exactly as with one that never was."""
    other = Vendor.create(deployment, "other@example.com", code="other")
    foreign = things(other)
    assert vendor.token  # signing in is an event
    before = deployment.sql("SELECT count(*) FROM permit.audit_events")

    for operation in operations(deployment):
        named = things_named(operation)
        if not named:
            continue
        answers = [
            send(deployment, operation, ids, token=vendor.token)
            for ids in (foreign, {key: str(uuid4()) for key in foreign})
        ]

        assert [404, 404] == [answer.status for answer in answers], name(operation)
        assert answers[0].text == answers[1].text, name(operation)

    assert before == deployment.sql("SELECT count(*) FROM permit.audit_events")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/policies", {"product_id": "{product_id}", "name": "x"}, "product_id"),
        ("/v1/licences", {"policy_id": "{policy_id}"}, "policy_id"),
        (
            "/v1/licences/batch",
            {"licences": [{"policy_id": "{policy_id}"}]},
            "licences.0.policy_id",
        ),
    ],
)
def test_a_foreign_id_in_a_body_is_unknown(
    deployment: Deployment, vendor: Vendor, path: str, body: Any, field: str
) -> None:
    """422 with the field, as for one that never was."""
    foreign = things(Vendor.create(deployment, "other@example.com", code="other"))

    answer = deployment.call("POST", path, filled(body, foreign), token=vendor.token)

    assert (422, field) == (answer.status, answer.body["errors"][0]["field"])


@pytest.mark.parametrize("field", ["tenant_id", "id", "role", "key", "created_at", "revision"])
def test_nobody_assigns_what_is_not_his_to_set(
    deployment: Deployment, vendor: Vendor, field: str
) -> None:
    """An unknown or foreign field of a body is 422 on every route that takes one."""
    ids = things(vendor)
    for operation in operations(deployment):
        if operation.request is None or field in operation.request.model_fields:
            continue
        body = {**(filled(BODIES.get(name(operation)), ids) or {}), field: "x"}
        path = filled(operation.path, ids)

        answer = deployment.call(operation.method, path, body, token=vendor.token)

        assert 422 == answer.status, path
        assert field in {error["field"] for error in answer.body["errors"]}, path


def test_an_unknown_parameter_is_refused(deployment: Deployment, vendor: Vendor) -> None:
    """On every route, by its name, and nothing is done; also one that another route knows."""
    ids = things(vendor)
    events = "SELECT count(*) FROM permit.audit_events"
    before = deployment.sql(events)

    for operation in operations(deployment):
        methods = ("GET", "HEAD") if operation.method == "GET" else (operation.method,)
        for method in methods:
            asked = operation._replace(method=method)
            answer = send(deployment, asked, ids, token=vendor.token, query={"period": "2026-11"})

            assert 422 == answer.status, name(asked)
            if method != "HEAD":
                errors = [{"field": "period", "message": "is unknown: leave it out"}]
                assert errors == answer.body["errors"], name(asked)
    assert before == deployment.sql(events)


def test_reads_and_writes_take_few_round_trips(
    deployment: Deployment, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read at most 4, a write at most 6, also with an Idempotency-Key."""
    ids = things(vendor)
    counted: list[str] = []
    for function in FUNCTIONS:
        database = deployment.environment(function).database
        run = database._run
        monkeypatch.setattr(
            database, "_run", lambda *a, run=run, **k: counted.append("") or run(*a, **k)
        )

    for operation in operations(deployment):
        counted.clear()
        headers = {"idempotency-key": f"key-of-{uuid4()}"}
        answer = send(deployment, operation, ids, token=vendor.token, headers=headers)

        most = READ if operation.method == "GET" else WRITE
        assert len(counted) <= most, (name(operation), answer.status, len(counted))
