"""Every event through the built functions in AWS's own runtime, each as events/ has it."""

import json
import re
from typing import Any

import pytest

from tests.support.event_answers import usual_answer
from tests.support.sam_template import events, functions, routes

# A newer event gets its usual answer.
KNOWN = {
    # The events' tenant and licences do not exist here, and their refresh token never existed.
    "health": (200, {"status", "timestamp", "version", "checks"}),
    "login_refresh": (401, {"type", "title", "status", "detail", "code", "request_id"}),
    "login_logout": (204, set()),
    "licence_release": (
        200,
        {*("released", "code", "devices_used"), *("available_at", "seat_free_at", "mistyped")},
    ),
    "jwks": (200, {"keys"}),
    "tenant_jwks": (404, {"type", "title", "status", "detail", "code", "request_id"}),
    "licence_usage": (
        200,
        {
            *("valid", "code", "detail", "allowed", "used", "limit", "resets_at", "nonce"),
            *("proof", "mistyped"),
        },
    ),
    # The events' API key belongs to nobody.
    **dict.fromkeys(
        (
            *("products", "product", "policies", "policy", "licences", "licence"),
            *("tenant", "users", "user", "api_keys", "api_key", "audit_events"),
            *("login_second_factor", "login_elevate"),
        ),
        (401, {"type", "title", "status", "detail", "code", "request_id"}),
    ),
    "openapi": (200, {"openapi", "info", "servers", "tags", "paths", "components"}),
    "licence_check": (
        200,
        {
            *("valid", "code", "detail", "checked_at", "next_check_at", "nonce"),
            *("licence", "device", "proof", "mistyped"),
        },
    ),
}
HTTP_EVENTS = {
    name: KNOWN.get(name) or usual_answer(name)
    for name, event in events().items()
    if "routeKey" in event and name not in ("docs", "login")  # these have tests of their own
}
# What a check must not import at its cold start. Powertools imports botocore's bare package, which
# costs a millisecond; the SDK itself begins with its session.
KEPT_OFF_THE_CHECK = {
    *("argon2", "bcrypt", "jwt", "pydantic_settings", "zxcvbn"),
    *("boto3", "botocore.session"),
}


def body_of(answer: dict[str, Any]) -> dict[str, Any]:
    return json.loads(answer["body"]) if answer.get("body") else {}


@pytest.mark.parametrize("event", sorted(HTTP_EVENTS))
def test_http_event_is_answered(stack, event: str) -> None:
    """The status and the fields of the answer."""
    status, fields = HTTP_EVENTS[event]

    answer = stack.send(event)

    assert status == answer["statusCode"], answer
    assert fields is None or fields == set(body_of(answer))


def test_page_of_the_description_is_served(stack) -> None:
    """With its script in it: what the layer ships is all that it needs."""
    answer = stack.send("docs")

    assert 200 == answer["statusCode"]
    assert "SwaggerUIBundle" in answer["body"]


def test_created_tenant_logs_in_with_the_events_as_they_stand(stack) -> None:
    """The operator's event makes the owner; the login's event signs the same person in."""
    created = stack.invoke("operator", events()["operator_create_tenant"])

    answer = stack.send("login")

    assert created["ok"], created
    assert 200 == answer["statusCode"], answer
    assert {"access_token", "token_type", "expires_in", "refresh_token"} == set(body_of(answer))
    refreshed = stack.send("login_refresh", {"refresh_token": body_of(answer)["refresh_token"]})
    assert 200 == refreshed["statusCode"], refreshed


def test_issued_licence_is_checked_and_released(stack) -> None:
    """A new device gets a signed verdict, and gives its seat back."""
    key = issue_licence(stack, "checked@example.com")

    checked = body_of(
        stack.send("licence_check", {"key": key, "device": {"fingerprint": "f" * 32}})
    )
    released = body_of(stack.send("licence_release", {"key": key, "fingerprint": "f" * 32}))

    assert (True, "VALID") == (checked["valid"], checked["code"])
    assert 2 == checked["proof"].count(".")
    assert (True, "RELEASED") == (released["released"], released["code"])


def test_direct_events_are_answered(stack) -> None:
    """A second migration finds nothing to do; the sweep counts; the probe finds nobody."""
    migrated = stack.invoke("migrate", events()["migrate"])
    swept = stack.invoke("sweep", events()["sweep"])
    probed = stack.invoke("probe", events()["probe"])

    assert [] == migrated["applied"]
    assert all(isinstance(count, int) for count in swept.values())
    assert (False, "refused") == (probed["healthy"], probed["reason"])
    assert '"Health":[0.0]' in stack.start("probe").printed().replace(" ", "")


def test_rotation_finds_the_sdk_of_the_runtime(stack) -> None:
    """It is in no layer; without AWS the step fails, and says so."""
    failed = stack.invoke("token_rotation", events()["token_rotation"])

    assert "AWS cannot be reached" in failed["errorMessage"]


def test_check_imports_nothing_that_it_does_not_use(stack) -> None:
    """From the start of its process to a signed verdict."""
    key = issue_licence(stack, "imports@example.com")
    fresh = stack.start("licence_check", PYTHONPROFILEIMPORTTIME="1")
    request = {"key": key, "device": {"fingerprint": "f" * 32}}

    answer = fresh.invoke({**events()["licence_check"], "body": json.dumps(request)})

    imported = {
        match[1]
        for match in re.finditer(r"^import time:.*\|\s*(\S+)$", fresh.printed(), re.MULTILINE)
    }
    assert body_of(answer)["proof"]
    assert {"psycopg", "cryptography", "permit"} <= imported
    assert not imported & KEPT_OFF_THE_CHECK


def test_runtime_compiles_nothing(stack) -> None:
    """Here, unlike in Lambda, the folders can be written to: compiled modules would stay there."""
    for event in HTTP_EVENTS:
        stack.send(event)
    for function in set(functions()) - set(routes().values()):
        stack.invoke(function, {})

    assert set(stack.running) >= set(functions())
    assert stack.bytecode_as_built == stack.runtime.artifacts.bytecode()


def issue_licence(stack, email: str) -> str:
    """The key of a licence of a new tenant."""
    tenant = stack.operator("create-tenant", name="Example Ltd", email=email)["tenant_id"]
    product = stack.operator("create-product", tenant_id=tenant, code="editor", name="Editor")
    policy = stack.operator(
        "create-policy", tenant_id=tenant, product_id=product["id"], name="Standard"
    )
    return stack.operator("create-licence", tenant_id=tenant, policy_id=policy["id"])["key"]
