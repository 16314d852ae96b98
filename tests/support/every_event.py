"""Sends each of a release's events/*.json to its function, about what a furnished vendor has."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from local.template.intrinsics import parse
from local.template.template import read_functions
from tests.support.furnished import Furnished
from tests.support.previous import Installed

# Reaches no database, and only Secrets Manager invokes it: test_token_rotation.py.
NOT_SENT = {"token_rotation"}


def send_every_event(made: Furnished, tree: Path) -> None:
    """As the files of this tree are, with the vendor's own keys, tokens and ids in their places."""
    functions = read_functions(parse((tree / "template.yaml").read_text("utf-8")), tree)
    served_by = {route.key: each.name for each in functions for route in each.routes}
    names = [each.name for each in functions]
    for path in sorted((tree / "events").glob("*.json")):
        event = json.loads(path.read_text("utf-8"))
        if "routeKey" in event:
            _send(made, path.stem, event, served_by[event["routeKey"]])
        elif path.stem not in NOT_SENT:
            [function] = [name for name in names if path.stem.startswith(name)]
            _invoke(made, function, event)


def _send(made: Furnished, name: str, event: dict[str, Any], function: str) -> None:
    body, path = _bodies(made, name), _paths(made).get(name)
    if body is not None:
        event["body"] = json.dumps(body)
    if path is not None:
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["headers"]["authorization"] = f"Bearer {_token(made, name)}"
    answer = made.vendor.deployment.invoke(function, event)
    assert answer["statusCode"] < 300, (name, answer)


def _token(made: Furnished, name: str) -> str:
    if name != "login_elevate":
        return made.vendor.token
    # A token of the release before has no session to prove oneself in: a login gives one that has.
    own = {"email": made.vendor.email, "password": made.vendor.password}
    return made.vendor.deployment.send("login", own).body["access_token"]


def _bodies(made: Furnished, name: str) -> dict[str, Any] | None:
    """Made when they are asked for: some serve once."""
    sold = made.licences["in term"]
    [fingerprint] = sold["fingerprints"]
    send, guarded = made.vendor.deployment.send, made.guarded
    own = {"email": made.vendor.email, "password": made.vendor.password}

    def refresh_token() -> dict[str, Any]:
        return {"refresh_token": send("login", own).body["refresh_token"]}

    def second_step() -> dict[str, Any]:
        first = send("login", {name: guarded[name] for name in ("email", "password")}).body
        return {"mfa_token": first["mfa_token"], "code": guarded["recovery_codes"][1]}

    made_by = {
        "login": lambda: own,
        "login_refresh": refresh_token,
        "login_logout": refresh_token,
        "login_second_factor": second_step,
        "login_elevate": lambda: {"password": made.vendor.password},
        "licence_check": lambda: {"key": sold["key"], "device": {"fingerprint": fingerprint}},
        "licence_release": lambda: {"key": sold["key"], "fingerprint": fingerprint},
        "licence_usage": lambda: {"key": made.licences["perpetual"]["key"], "meter": "exports"},
    }
    return made_by[name]() if name in made_by else None


def _paths(made: Furnished) -> dict[str, str]:
    """The paths for the events that name something of the vendor's."""
    first = {
        kind: made.get(f"/v1/{kind}")["items"][0]["id"]
        for kind in ("api-keys", "licences", "policies", "products")
    }
    return {
        "api_key": f"/v1/api-keys/{first['api-keys']}",
        "licence": f"/v1/licences/{first['licences']}",
        "policy": f"/v1/policies/{first['policies']}",
        "product": f"/v1/products/{first['products']}",
        "tenant_jwks": f"/v1/tenants/{made.vendor.tenant_id}/jwks.json",
    }


def _invoke(made: Furnished, function: str, event: dict[str, Any]) -> None:
    deployment = made.vendor.deployment
    assert isinstance(deployment, Installed)
    if event.get("command") == "create-tenant":
        event["arguments"]["email"] = "the-events-own@example.com"
    with _answering(deployment.send("health").text) as deployment.health_url:
        answer = deployment.invoke(function, event)
    assert answer.get("ok", True), (function, answer)
    assert answer.get("healthy", True), (function, answer)


@contextmanager
def _answering(text: str) -> Iterator[str]:
    """An address that gives this answer: the probe's way to the health route."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/health"
        server.shutdown()
        thread.join()
