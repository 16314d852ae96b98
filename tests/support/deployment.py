"""Permit as deployed, for one test: its own database, each function in its own environment."""

import importlib.util
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import psycopg

from local.gateway.routes import Routes
from local.template.template import read_functions
from tests.support.authenticator import code
from tests.support.sam_template import database_users, events, function_of, written
from tests.support.servers import PASSWORD, Server

PROJECT = Path(__file__).parents[2]
FINGERPRINT = "fingerprint-of-a-machine"
SECRETS = ("master-keys", "token-keys", "token-jwks", "throttle-key", "answer-keys")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What handlers use of Lambda's context."""

    milliseconds: int = 10_000
    function_name: str = "test"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:test"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any
    text: str


@dataclass(kw_only=True)
class Deployment:
    server: Server
    database: str
    folder: Path
    environments: dict[str, ModuleType] = field(default_factory=dict)
    _started: list[ModuleType] = field(default_factory=list)

    def environ(self, function: str) -> dict[str, str]:
        """The function's variables, as template.yaml names them."""
        return {
            "PERMIT_DATABASE_HOST": "127.0.0.1",
            "PERMIT_DATABASE_PORT": str(self.server.function_port),
            "PERMIT_DATABASE_NAME": self.database,
            "PERMIT_DATABASE_USER": database_users().get(function, ""),
            "PERMIT_DATABASE_PASSWORD": PASSWORD,
            **{
                f"PERMIT_{name.upper().replace('-', '_')}": f"file:{self.folder / name}"
                for name in SECRETS
            },
        }

    def write_secrets(self) -> None:
        contents = {
            "master-keys": json.dumps({"current": "1", "1": secrets.token_hex(32)}),
            "token-keys": json.dumps({"keys": []}),
            "token-jwks": json.dumps({"keys": []}),
            "throttle-key": secrets.token_hex(32),
            "answer-keys": secrets.token_hex(32),
        }
        for name, content in contents.items():
            (self.folder / name).write_text(content)

    def start(self, function: str, **environ: str) -> ModuleType:
        """A new execution environment: the module's state is its own."""
        path = PROJECT / "functions" / function / "app.py"
        spec = importlib.util.spec_from_file_location(f"{function}_app_{id(object())}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with patch.dict(os.environ, self.environ(function) | environ):
            spec.loader.exec_module(module)
        self._started.append(module)
        return module

    def start_ready(self, function: str, **environ: str) -> ModuleType:
        """With its settings read; only migrate reads them later, so that it can answer."""
        module = self.start(function, **environ)
        if function == "migrate":
            with patch.dict(os.environ, self.environ(function) | environ):
                module.settings()
        return module

    def environment(self, function: str) -> ModuleType:
        """The environment that serves this function's requests, one after another."""
        if function not in self.environments:
            self.environments[function] = self.start(function)
        return self.environments[function]

    def close(self) -> None:
        for module in self._started:
            if hasattr(module, "database"):
                module.database.close()

    def invoke(self, function: str, event: Mapping[str, Any], *, milliseconds: int = 10_000) -> Any:
        return self.environment(function).handler(event, Context(milliseconds=milliseconds))

    def send(
        self,
        event_name: str,
        body: object = None,
        *,
        raw_body: str | None = None,
        is_base64: bool = False,
        method: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        path: str | None = None,
        source_ip: str | None = None,
        milliseconds: int = 10_000,
    ) -> Answer:
        """Sends events/<event_name>.json, changed as given, to its function."""
        event = load_event(event_name)
        if body is not None:
            event["body"] = json.dumps(body)
        if raw_body is not None:
            event["body"] = raw_body
        event["isBase64Encoded"] = is_base64
        http = event["requestContext"]["http"]
        http["method"] = method or http["method"]
        http["sourceIp"] = source_ip or http["sourceIp"]
        if path is not None:
            event["rawPath"] = http["path"] = path
        for name, value in (headers or {}).items():
            if value is None:
                event["headers"].pop(name, None)
            else:
                event["headers"][name] = value
        return _answer(self.invoke(FUNCTION_OF[event_name], event, milliseconds=milliseconds))

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        source_ip: str = "203.0.113.7",
        raw_body: str | None = None,
    ) -> Answer:
        """Sends a request to the function of its path, as the gateway would."""
        event = _event(
            method, path, body, token, dict(query or {}), dict(headers or {}), source_ip, raw_body
        )
        match = ROUTES.find(method, path)
        assert match, f"no route takes {method} {path}"
        return _answer(self.invoke(match.function.name, event))

    def operator(self, command: str, **arguments: object) -> dict[str, Any]:
        """Runs an operator command that must succeed."""
        answer = self.invoke("operator", {"command": command, "arguments": arguments})
        assert answer["ok"], answer
        return answer["result"]

    def refused(self, command: str, **arguments: object) -> dict[str, Any]:
        """Runs an operator command that must be refused; the problem."""
        answer = self.invoke("operator", {"command": command, "arguments": arguments})
        assert not answer["ok"], answer
        return answer["problem"]

    def check(
        self, key: str, fingerprint: str | None = FINGERPRINT, **request: object
    ) -> dict[str, Any]:
        """The check's answer, which is HTTP 200 whatever the verdict."""
        device = request.pop("device", None)
        if fingerprint is not None:
            assert device is None or isinstance(device, dict)
            request["device"] = {"fingerprint": fingerprint, **(device or {})}
        answer = self.send("licence_check", {"key": key, **request})
        assert answer.status == 200, answer.text
        return answer.body

    def release(self, key: str, **request: object) -> dict[str, Any]:
        answer = self.send("licence_release", {"key": key, **request})
        assert answer.status == 200, answer.text
        return answer.body

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """As superuser, to whom row-level security does not apply."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.server.port,
            user="postgres",
            password=PASSWORD,
            dbname=self.database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def pass_time(self, elapsed: timedelta) -> None:
        """Moves the database's clock on, the only one that verdicts know."""
        self.sql("UPDATE test_clock SET shift = shift + %s", elapsed)

    @cached_property
    def vendor(self) -> "Vendor":
        return Vendor.create(self)


@dataclass(kw_only=True)
class Vendor:
    """A tenant with one product."""

    deployment: Deployment
    tenant_id: str
    product_id: str
    email: str
    password: str

    @classmethod
    def create(
        cls, deployment: Deployment, email: str = "owner@example.com", code: str = "editor"
    ) -> "Vendor":
        tenant = deployment.operator("create-tenant", name="Example Ltd", email=email)
        product = deployment.operator(
            "create-product", tenant_id=tenant["tenant_id"], code=code, name="Editor"
        )
        return cls(
            deployment=deployment,
            tenant_id=tenant["tenant_id"],
            product_id=product["id"],
            email=email,
            password=tenant["password"],
        )

    @cached_property
    def token(self) -> str:
        """The owner's access token."""
        return self.log_in(self.email, self.password)

    def log_in(self, email: str, password: str) -> str:
        keys = json.loads((self.deployment.folder / "token-keys").read_text())["keys"]
        if not keys:
            self.deployment.operator("rotate-token-key")
        answer = self.deployment.send("login", {"email": email, "password": password})
        assert answer.status == 200, answer.text
        return answer.body["access_token"]

    def elevated(
        self, token: str | None = None, password: str | None = None, code: str | None = None
    ) -> str:
        """A fresh proof of self: the owner's, or theirs whose token and password are given."""
        body = {"password": password or self.password} | ({} if code is None else {"code": code})
        answer = self.deployment.call("POST", "/v1/login/elevate", body, token=token or self.token)
        assert answer.status == 200, answer.text
        return answer.body["access_token"]

    def call(
        self, method: str, path: str, body: object = None, *, status: int = 200, **request: Any
    ) -> Any:
        """The body of an answer to the owner, or to the bearer of `token`."""
        request.setdefault("token", self.token)
        answer = self.deployment.call(method, path, body, **request)
        assert answer.status == status, answer.text
        return answer.body

    def api_key(self, role: str, **request: Any) -> str:
        """A new one's text."""
        body = {"name": f"A shop's {role}", "role": role, **request}
        return self.call("POST", "/v1/api-keys", body, status=201)["key"]

    def colleague(self, role: str) -> str:
        """The access token of a user with this role, who was invited and has accepted."""
        email, password = f"{role}.colleague@example.com", "a long enough passphrase"
        invited = self.call("POST", "/v1/users", {"email": email, "role": role}, status=201)
        accepted = {"token": invited["token"], "password": password}
        self.call("POST", "/v1/users/accept", accepted, status=204, token=None)
        return self.log_in(email, password)

    def leave_traces(self, key: str) -> None:
        """A row in every table of the vendor's side; `key` is a licence's with the meter `m`."""
        body = {"name": "Traces", "role": "support"}
        self.call(
            "POST",
            "/v1/api-keys",
            body,
            status=201,
            headers={"idempotency-key": "traces-of-a-vendors-side"},
        )
        invited = {"email": f"invited-by-{self.email}", "role": "support"}
        self.call("POST", "/v1/users", invited, status=201)
        path = "/v1/users/me/second-factor"
        secret = self.call("POST", path)["secret"]
        self.call("POST", f"{path}/confirm", {"code": code(secret)})
        usage = {"key": key, "meter": "m", "idempotency_key": "once"}
        assert self.call("POST", "/v1/licences/usage", usage)["allowed"]

    def policy(self, **terms: object) -> str:
        created = self.deployment.operator(
            "create-policy",
            **{
                "tenant_id": self.tenant_id,
                "product_id": self.product_id,
                "name": "Standard",
                **terms,
            },
        )
        return created["id"]

    def licence(self, policy_id: str | None = None, **terms: object) -> dict[str, Any]:
        """{id, key, …}; without a policy, under one with default terms."""
        return self.deployment.operator(
            "create-licence",
            tenant_id=self.tenant_id,
            policy_id=policy_id or self.policy(),
            **terms,
        )

    def command(self, command: str, licence: Mapping[str, Any], **arguments: object) -> Any:
        return self.deployment.operator(
            command, tenant_id=self.tenant_id, licence_id=licence["id"], **arguments
        )


# Which function each HTTP event is for.
FUNCTION_OF = {name: function_of(name) for name, event in events().items() if "routeKey" in event}
ROUTES = Routes(read_functions(written(), PROJECT))


def _event(
    method: str,
    path: str,
    body: object,
    token: str | None,
    query: dict[str, object],
    headers: dict[str, str],
    source_ip: str,
    raw_body: str | None,
) -> dict[str, Any]:
    event = load_event("login")
    event.pop("body")
    event["rawPath"] = path
    event["requestContext"]["http"] |= {"method": method, "path": path, "sourceIp": source_ip}
    event["requestContext"]["routeKey"] = event["routeKey"] = f"ANY {path}"
    if body is not None or raw_body is not None:
        event["body"] = json.dumps(body) if raw_body is None else raw_body
    if query:
        # Of a parameter that comes more than once, API Gateway makes one text.
        event["queryStringParameters"] = {
            name: ",".join(value) if isinstance(value, list) else str(value)
            for name, value in query.items()
        }
        event["rawQueryString"] = urlencode(query, doseq=True)
    if token is not None:
        event["headers"]["authorization"] = f"Bearer {token}"
    event["headers"] |= headers
    return event


def _answer(response: Mapping[str, Any]) -> Answer:
    text = response.get("body") or ""
    return Answer(
        status=response["statusCode"],
        headers={name.lower(): value for name, value in response["headers"].items()},
        body=json.loads(text) if text else None,
        text=text,
    )


def load_event(name: str) -> dict[str, Any]:
    return json.loads((PROJECT / "events" / f"{name}.json").read_text())


@contextmanager
def connected(deployment: Deployment, role: str) -> Iterator[psycopg.Connection[Any]]:
    """As a function's role, without any pooler: the server itself decides about privileges."""
    with psycopg.connect(
        host="127.0.0.1",
        port=deployment.server.port,
        user=role,
        password=PASSWORD,
        dbname=deployment.database,
    ) as connection:
        yield connection
