"""Every function without its database: how it starts, and what it refuses before it asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.template.template import read_functions
from permit.settings import SettingsError
from tests.support.deployment import FUNCTION_OF, Deployment, load_event
from tests.support.event_answers import described
from tests.support.sam_template import ROOT, written
from tests.support.servers import Server

# What callers rely on. A newer event's path answers what the API's description says, a page GET.
KNOWN = {
    "health": "GET",
    "home": "GET",
    "docs": "GET",
    "openapi": "GET",
    "login": "POST",
    "login_second_factor": "POST",
    "login_elevate": "POST",
    "login_refresh": "POST",
    "login_logout": "POST",
    "licence_check": "POST",
    "licence_release": "POST",
    "licence_usage": "POST",
    "products": "GET, POST",
    "product": "GET, PATCH",
    "policies": "GET, POST",
    "policy": "DELETE, GET, PATCH",
    "licences": "GET, POST",
    "licence": "GET, PATCH",
    "tenant": "GET",
    "users": "GET, POST",
    "user": "GET, PATCH",
    "api_keys": "GET, POST",
    "api_key": "DELETE, GET",
    "audit_events": "GET",
    "jwks": "GET",
    "tenant_jwks": "GET",
}
ALLOWED = {
    event: ", ".join(sorted(method.upper() for method in described(load_event(event)))) or "GET"
    for event in FUNCTION_OF
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SHAPE = {"type", "title", "status", "detail", "code", "request_id"}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """Functions with an unreachable database: none of these tests may need it."""
    server = Server(port=9, function_port=9, log=tmp_path / "none")
    deployment = Deployment(server=server, database="none", folder=tmp_path)
    deployment.write_secrets()
    return deployment


def test_every_route_answers_the_methods_that_callers_know() -> None:
    """The description still has all that was promised before."""
    assert KNOWN.items() <= ALLOWED.items()


@pytest.mark.parametrize("event", ALLOWED)
def test_another_method_is_answered_with_allow(deployment: Deployment, event: str) -> None:
    """405 as a problem, with what the path does answer; nothing is done."""
    described = {*ALLOWED[event].split(", ")}
    allowed = described | ({"HEAD"} if "GET" in described else set())
    for method in set(METHODS) - allowed:
        answer = deployment.send(event, method=method)

        assert 405 == answer.status
        assert ", ".join(sorted(allowed)) == answer.headers["allow"]
        if method != "HEAD":  # to which no body is answered
            assert "method_not_allowed" == answer.body["code"]
            assert set(answer.body) == SHAPE


UNKNOWN = ("/", "/v1", "/v1/unknown", "//v1/login", "/v1/login/", "/v1/%")


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (event, path)
        for event in ALLOWED
        for path in UNKNOWN
        if (FUNCTION_OF[event], path) != ("reference", "/")  # which is its own
    ],
)
def test_an_unknown_path_is_not_found(deployment: Deployment, event: str, path: str) -> None:
    """404 as a problem in the one shape, whichever function it reaches."""
    answer = deployment.send(event, path=path)

    assert (404, "not_found") == (answer.status, answer.body["code"])
    assert set(answer.body) == SHAPE
    assert "application/problem+json" == answer.headers["content-type"]
    assert "urn:permit:problem:not_found" == answer.body["type"]
    assert load_event(event)["requestContext"]["requestId"] == answer.body["request_id"]


@pytest.mark.parametrize("event", [e for e in ALLOWED if ALLOWED[e] == "POST"])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"raw_body": ""}, 422),
        ({"raw_body": "{"}, 422),
        ({"raw_body": "null"}, 422),
        ({"raw_body": "%%%", "is_base64": True}, 422),
        ({"raw_body": "/w==", "is_base64": True}, 422),
        ({"raw_body": "[" * 50_000}, 422),
        ({"raw_body": '{"a": NaN}'}, 422),
        ({"raw_body": '{"a": ' + "9" * 10_000 + "}"}, 422),
        ({"raw_body": "a=b", "headers": {"content-type": "text/plain"}}, 415),
        ({"raw_body": "a=b", "headers": {"content-type": "application/jsonp"}}, 415),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_body_is_a_problem(
    deployment: Deployment, event: str, sent: dict[str, Any], status: int
) -> None:
    """Whatever is sent, the one shape names what is wrong with it, and it is not the server."""
    answer = deployment.send(event, **sent)

    assert status == answer.status
    assert {*SHAPE, "errors"} == set(answer.body)


DATABASE = ("PERMIT_DATABASE_HOST", "PERMIT_DATABASE_USER")
# What a function does without: it has a default, or is for some deployments only.
OPTIONAL = {
    *("PERMIT_DATABASE_PORT", "PERMIT_DATABASE_NAME", "PERMIT_DATABASE_PASSWORD"),
    *("PERMIT_DATABASE_CA", "PERMIT_ROLE_PASSWORDS"),
    *("PERMIT_ORIGIN_SECRET", "PERMIT_PUBLIC_URL"),
}
# Every other variable that the template gives a function is one that it needs.
REQUIRED = {
    function.name: tuple(
        variable
        for variable in function.environment
        if variable.startswith("PERMIT_") and variable not in OPTIONAL
    )
    for function in read_functions(written(), ROOT)
    if function.name != "token_rotation"  # it takes no file in the place of a secret
}
COMPLETE = {
    "PERMIT_OWNER_CREDENTIALS": '{"username": "a", "password": "b"}',
    "PERMIT_HEALTH_URL": "https://permit.example/v1/health",
}


@pytest.mark.parametrize("function", REQUIRED)
def test_what_is_required_is_enough(deployment: Deployment, function: str) -> None:
    """A function starts with the variables of the table, and asks for no other."""
    every = deployment.environ(function) | COMPLETE
    given = {name: every[name] if name in REQUIRED[function] else "" for name in every}

    assert deployment.start_ready(function, **given, AWS_REGION="eu-west-1").handler


@pytest.mark.parametrize(
    ("function", "variable"),
    [(function, variable) for function, needed in REQUIRED.items() for variable in needed],
)
def test_a_missing_variable_is_named(deployment: Deployment, function: str, variable: str) -> None:
    """The function refuses to start, and says which."""
    with pytest.raises(SettingsError, match=f"{variable}: missing"):
        deployment.start_ready(function, **{**COMPLETE, variable: ""})


def malformed() -> Iterator[tuple[str, str, str]]:
    """Each function with each of its variables, missing or malformed."""
    for function, needed in REQUIRED.items():
        if "PERMIT_DATABASE_HOST" in needed:
            yield from ((function, "PERMIT_DATABASE_PORT", value) for value in ("x", "0", "65536"))
        if "PERMIT_DATABASE_USER" in needed:
            yield function, "PERMIT_DATABASE_PASSWORD", "file:relative-hunter2"
        for variable in needed:
            if variable not in (*DATABASE, "PERMIT_HEALTH_URL"):
                yield function, variable, "file:relative-hunter2"
                yield function, variable, "arn:aws:s3:::hunter2"
    for function in ("login", "licence_check"):
        for value in ("permit.example", "ftp://hunter2", "https://a.example/?hunter2"):
            yield function, "PERMIT_PUBLIC_URL", value
    yield "login", "PERMIT_ORIGIN_SECRET", "arn:hunter2"
    yield "migrate", "PERMIT_ROLE_PASSWORDS", "file:hunter2"
    yield "migrate", "PERMIT_DATABASE_CA", "/nowhere/hunter2.pem"
    yield "probe", "PERMIT_HEALTH_URL", "hunter2"


@pytest.mark.parametrize(("function", "variable", "value"), list(malformed()))
def test_a_malformed_variable_is_named(
    deployment: Deployment, function: str, variable: str, value: str
) -> None:
    """The function refuses to start, says which, and does not quote what may be a secret."""
    with pytest.raises(SettingsError, match=f"{variable}: ") as refusal:
        deployment.start_ready(function, **{**COMPLETE, variable: value})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("function", [f for f in REQUIRED if "PERMIT_DATABASE_USER" in REQUIRED[f]])
def test_without_a_password_a_region_is_needed(deployment: Deployment, function: str) -> None:
    """Signing in with IAM needs to know where; the message names both variables."""
    with pytest.raises(SettingsError, match=r"AWS_REGION: missing.*PERMIT_DATABASE_PASSWORD"):
        deployment.start_ready(function, PERMIT_DATABASE_PASSWORD="", AWS_REGION="")
