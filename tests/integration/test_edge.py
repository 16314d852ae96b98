"""What all functions share at their edge: query parameters, bad secrets, and silent logs."""

import json
import logging

import pytest

from permit.secrets.sources import SecretUnavailable
from permit.security.secret_formats import MalformedSecret
from tests.support.deployment import FUNCTION_OF, ROUTES, Context, Deployment, load_event
from tests.support.refusals import assert_refused

PAGES = {"home", "docs", "openapi"}


@pytest.mark.parametrize("event", FUNCTION_OF)
def test_an_unknown_parameter_is_refused(deployment: Deployment, event: str) -> None:
    """Where a token is needed, who asks comes first (test_vendor_access). A page takes any."""
    deployment.operator("rotate-token-key")
    plain = load_event(event)
    if event == "tenant_jwks":
        plain["rawPath"] = f"/v1/tenants/{deployment.vendor.tenant_id}/jwks.json"
        plain["requestContext"]["http"]["path"] = plain["rawPath"]
    queried = {
        **plain,
        "rawQueryString": "utm=1&key=a&key=b",
        "queryStringParameters": {"utm": "1", "key": "a,b"},
    }

    answered, refused = (deployment.invoke(FUNCTION_OF[event], each) for each in (plain, queried))

    if event in PAGES or FUNCTION_OF[event] in ("products", "licences", "team"):
        assert answered["statusCode"] == refused["statusCode"]
    else:
        problem = json.loads(refused["body"])
        assert (422, "invalid_request") == (refused["statusCode"], problem["code"])
        assert ["utm", "key"] == [each["field"] for each in problem["errors"]]


def test_a_parameter_comes_once(deployment: Deployment) -> None:
    """Whoever sends two values means one of them; a comma within a value makes it no two."""
    vendor = deployment.vendor
    licence = vendor.licence(holder={"name": "Lovelace, Ada"})

    for method in ("GET", "HEAD"):
        answer = deployment.call(
            method, "/v1/licences", token=vendor.token, query={"limit": ["1", "1"], "q": ["a", "a"]}
        )
        assert 422 == answer.status
        if method == "GET":
            assert_refused(answer, "limit", "q")
    [found] = vendor.call("GET", "/v1/licences", query={"q": "Lovelace, Ada"})["items"]

    assert licence["id"] == found["id"]


@pytest.mark.parametrize("event", FUNCTION_OF)
def test_every_answer_keeps_browsers_on_https(deployment: Deployment, event: str) -> None:
    """For a year, whatever is answered; not on other hosts of the vendor's domain."""
    deployment.operator("rotate-token-key")

    answer = deployment.invoke(FUNCTION_OF[event], load_event(event))

    assert "max-age=31536000" == answer["headers"]["Strict-Transport-Security"]


def test_names_of_headers_are_of_any_case(deployment: Deployment) -> None:
    """API Gateway sends them in lower case, `sam local start-api` as it had them."""
    event = load_event("licence_check")
    event["headers"] = {name.title(): value for name, value in event["headers"].items()}
    answered = deployment.invoke("licence_check", event)
    event["headers"]["Content-Type"] = "text/plain"
    refused = deployment.invoke("licence_check", event)

    assert (answered["statusCode"], refused["statusCode"]) == (200, 415)


@pytest.mark.parametrize("headers", [None, "absent"])
@pytest.mark.parametrize("event", FUNCTION_OF)
def test_an_event_may_have_no_headers(
    deployment: Deployment, event: str, headers: str | None
) -> None:
    """As one that is typed by hand into Lambda's console: answered, and never a failure."""
    deployment.operator("rotate-token-key")
    without = load_event(event)
    without["headers"] = headers
    if headers == "absent":
        del without["headers"]

    assert deployment.invoke(FUNCTION_OF[event], without)["statusCode"] < 500


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/docs", "/openapi.json", "/v1/health", "/.well-known/jwks.json"),
        *("/v1/tenants/{tenant}/jwks.json", "/v1/products", "/v1/licences/{licence}"),
        *("/v1/licences", "/v1/users/me", "/v1/licences/no-such-licence"),
    ],
)
def test_head_is_answered_like_get_without_the_body(deployment: Deployment, path: str) -> None:
    """The same status and headers, wherever GET is answered."""
    vendor = deployment.vendor
    token, licence = vendor.token, vendor.licence()["id"]
    path = path.format(tenant=vendor.tenant_id, licence=licence)
    event = load_event("health")
    event["rawPath"] = path
    event["headers"]["authorization"] = f"Bearer {token}"
    match = ROUTES.find("GET", path)
    assert match is not None
    answers = {}
    for method in ("GET", "HEAD"):
        event["requestContext"]["http"] |= {"method": method, "path": path}
        answers[method] = deployment.invoke(match.function.name, event)

    get, head = answers["GET"], answers["HEAD"]
    assert (get["statusCode"], get["headers"]) == (head["statusCode"], head["headers"])
    assert get["body"]
    assert not head["body"]


@pytest.mark.parametrize("body", [None, "", "null", "\ufeffnull", " null\n", "{}"])
def test_a_body_that_may_be_left_out_may_be_null(deployment: Deployment, body: str | None) -> None:
    """As many a client sends for nothing."""
    vendor = deployment.vendor
    path = f"/v1/licences/{vendor.licence()['id']}"

    for action in ("suspend", "reinstate", "rotate-key"):
        vendor.call("POST", f"{path}/{action}", raw_body=body)


def test_a_body_that_is_needed_is_not_null(deployment: Deployment) -> None:
    """422, which says so."""
    vendor = deployment.vendor
    answer = deployment.call("POST", "/v1/products", token=vendor.token, raw_body="null")

    assert_refused(answer, "body")


SECRETS = [
    ("login", "PERMIT_TOKEN_KEYS"),
    ("login", "PERMIT_THROTTLE_KEY"),
    ("login_refresh", "PERMIT_TOKEN_KEYS"),
    ("licence_check", "PERMIT_MASTER_KEYS"),
    ("jwks", "PERMIT_TOKEN_JWKS"),
]
BAD_SECRETS = [
    (*secret, content)
    for secret in SECRETS
    for content in (None, "", "hunter2", "[]", '{"current": "hunter2"}')
]
# A password has no format: it can only be absent.
BAD_SECRETS += [("health", "PERMIT_DATABASE_PASSWORD", content) for content in (None, "")]


@pytest.mark.parametrize(("event", "variable", "content"), BAD_SECRETS)
def test_a_bad_secret_is_named_at_the_first_invocation(
    deployment: Deployment, event: str, variable: str, content: str | None
) -> None:
    """Absent, empty or malformed: the function stops with its name, and never its content."""
    deployment.operator("rotate-token-key")
    path = deployment.folder / "a-secret"
    if content is not None:
        path.write_text(content)
    function, licence = FUNCTION_OF[event], deployment.vendor.licence()
    deployment.environments[function] = deployment.start(function, **{variable: f"file:{path}"})
    body = {"licence_check": {"key": licence["key"], "device": {"fingerprint": "f" * 16}}}

    with pytest.raises((SecretUnavailable, MalformedSecret), match=variable) as refusal:
        deployment.send(event, body.get(event))

    assert "hunter2" not in str(refusal.value)


def test_a_whole_session_leaves_no_secret_in_the_log(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Ids and codes only: no key, token, password, fingerprint, name or email, right or wrong."""
    with caplog.at_level(logging.DEBUG):
        secrets = live_through_a_session(deployment)

    printed = capsys.readouterr().out
    logged = [json.loads(line) for line in printed.splitlines() if '"message":' in line]
    requests = [line for line in logged if line["message"] == "request"]
    codes = {line.get("code") for line in requests}
    assert {"VALID", "RELEASED", "invalid_credentials", "invalid_request"} <= codes
    assert {"correlation_id", "route", "status", "milliseconds"} <= set(requests[0])
    assert [] == [secret for secret in secrets if secret in printed + caplog.text]


def live_through_a_session(deployment: Deployment) -> list[str]:
    """Every route, well and badly used; what must not be found afterwards."""
    deployment.operator("rotate-token-key")
    vendor = deployment.vendor
    key = vendor.licence(holder={"email": "holder@example.com"})["key"]
    password, email = vendor.password, vendor.email
    device = {"name": "Jo's laptop", "components": {"disk": "component-of-a-machine"}}
    tokens = deployment.send("login", {"email": email, "password": password}).body
    renewed = deployment.send("login_refresh", {"refresh_token": tokens["refresh_token"]}).body
    deployment.send("login", {"email": email, "password": "a-wrong-password"})
    deployment.send("login", {"email": email, password: password})
    deployment.send("login", {"email": password, "password": [password]})
    deployment.send("login_logout", {"refresh_token": renewed["refresh_token"]})
    deployment.send("login_refresh", {"refresh_token": tokens["refresh_token"]})
    checked = deployment.check(key, device=device)
    deployment.check(key.swapcase(), nonce="a-nonce-of-a-client")
    deployment.send("licence_check", {"key": key, key: 1})
    deployment.send("licence_check", raw_body=key)
    deployment.release(key, fingerprint="fingerprint-of-a-machine")
    for event in ("health", "jwks", "tenant_jwks"):
        deployment.send(event)
    deployment.invoke("sweep", {})
    deployment.start("probe", PERMIT_HEALTH_URL="http://127.0.0.1:9/v1/health").handler(
        {}, Context()
    )
    secrets = [key, key.lower(), password, email, "a-wrong-password", "holder@example.com"]
    secrets += [checked["proof"], "fingerprint-of-a-machine", "component-of-a-machine"]
    secrets += ["Jo's laptop", "a-nonce-of-a-client", "203.0.113.7"]
    return secrets + [each[name] for each in (tokens, renewed) for name in each if "_token" in name]
