"""The built functions as in the cloud: TLS, IAM tokens, a transaction pooler, secrets by extension.

No function has a password: each signs in through the double of RDS Proxy with a token of its own
role's credentials, and reads its secrets through the double of AWS's extension.
"""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from permit.migrate import LOGIN_ROLES
from permit.security.token_keys import TokenKeys
from tests.support.artifacts import Artifacts, install_runtime
from tests.support.extension_double import Extension, serving
from tests.support.iam_tokens import Identity
from tests.support.lambda_runtime import RunningFunction, Runtime, environment, running_function
from tests.support.pinning import pins
from tests.support.proxy_double import ProxyDouble, proxying
from tests.support.sam_template import (
    database_users,
    events,
    functions,
    logical_id,
    routes,
    written,
)
from tests.support.servers import (
    PASSWORD,
    Server,
    behind_pgbouncer,
    embedded,
    is_pgbouncer_installed,
    server_folder,
)
from tests.support.tls import Authority

ACCOUNT = "arn:aws:{service}:eu-west-1:123456789012:{name}"
DATABASE = "permit"


def secret(name: str) -> str:
    return ACCOUNT.format(service="secretsmanager", name=f"secret:{name}-AbCdEf")


MASTER_KEYS, TOKEN_KEYS, THROTTLE_KEY, ANSWER_KEYS, OWNER = map(
    secret, ("master", "token", "throttle", "answer", "owner")
)
TOKEN_JWKS = ACCOUNT.format(service="ssm", name="parameter/permit/jwks")
USERS = database_users()
IDENTITIES = {
    name: Identity(
        access_key=f"ASIA{number:016}",
        secret_key=secrets.token_hex(20),
        session_token=f"session+of/{name}=",
        user=user,
    )
    for number, (name, user) in enumerate(sorted(USERS.items()))
}


@dataclass(kw_only=True)
class Cloud:
    runtime: Runtime
    proxy: ProxyDouble
    direct: ProxyDouble
    extension: Extension
    bundle: Path
    folder: Path
    exits: ExitStack
    running: dict[str, RunningFunction] = field(default_factory=dict)

    def start(self, function: str, **changes: str) -> RunningFunction:
        name, properties = self._deployed(function)
        log = self.folder / f"{function}-{len(self.running)}.log"
        return self.exits.enter_context(
            running_function(
                self.runtime, name, properties, log, **self._environ(function) | changes
            )
        )

    def load(self, function: str) -> None:
        """As INIT does: imports the handler's module, without an event."""
        name, properties = self._deployed(function)
        task_root = self.runtime.artifacts.function(name)
        subprocess.run(
            [self.runtime.python, "-c", "import app"],
            cwd=task_root,
            env=environment(self.runtime, task_root, properties) | self._environ(function),
            check=True,
        )

    def _deployed(self, function: str) -> tuple[str, dict[str, Any]]:
        return logical_id(function), {**written()["Globals"]["Function"], **functions()[function]}

    def invoke(self, function: str, event: object) -> Any:
        if function not in self.running:
            self.running[function] = self.start(function)
        return self.running[function].invoke(event)

    def send(self, event_name: str, body: object = None) -> Any:
        event = dict(events()[event_name])
        if body is not None:
            event["body"] = json.dumps(body)
        answer = self.invoke(routes()[event["routeKey"]], event)
        assert "statusCode" in answer, answer
        return answer

    def operator(self, command: str, **arguments: object) -> dict[str, Any]:
        answer = self.invoke("operator", {"command": command, "arguments": arguments})
        assert answer.get("ok"), answer
        return answer["result"]

    def _environ(self, function: str) -> dict[str, str]:
        named = functions()[function]["Environment"]["Variables"]
        server = self.direct if function == "migrate" else self.proxy
        values = {
            "PERMIT_MASTER_KEYS": MASTER_KEYS,
            "PERMIT_TOKEN_KEYS": TOKEN_KEYS,
            "PERMIT_TOKEN_JWKS": TOKEN_JWKS,
            "PERMIT_THROTTLE_KEY": THROTTLE_KEY,
            "PERMIT_ANSWER_KEYS": ANSWER_KEYS,
            "PERMIT_OWNER_CREDENTIALS": OWNER,
            "PERMIT_DATABASE_USER": USERS.get(function, ""),
        }
        own = IDENTITIES.get(function)
        return {
            **{name: value for name, value in values.items() if name in named},
            "PERMIT_DATABASE_HOST": "localhost",
            "PERMIT_DATABASE_PORT": str(server.port),
            "PERMIT_DATABASE_NAME": DATABASE,
            "PERMIT_DATABASE_CA": str(self.bundle),
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.extension.server_port),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.extension.server_port}",
            **(own.environ if own else {"AWS_SESSION_TOKEN": "session of migrate"}),
            **({} if own else {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}),
        }


@pytest.fixture(scope="module")
def cloud(python: Path, host_artifacts: Artifacts) -> Iterator[Cloud]:
    pooled = behind_pgbouncer if is_pgbouncer_installed() else embedded
    with server_folder() as folder, pooled(folder) as server, ExitStack() as exits:
        authority = Authority.make(folder / "authority")
        make_owner(server)
        context = authority.certify("localhost")
        cloud = Cloud(
            runtime=Runtime(
                python=python, packages=install_runtime(python), artifacts=host_artifacts
            ),
            proxy=exits.enter_context(
                proxying(
                    ProxyDouble(
                        target=server.function_port,
                        tls=context,
                        identities=list(IDENTITIES.values()),
                    )
                )
            ),
            direct=exits.enter_context(proxying(ProxyDouble(target=server.port, tls=context))),
            extension=exits.enter_context(serving(made_extension())),
            bundle=authority.bundle,
            folder=folder,
            exits=exits,
        )
        migrated = cloud.invoke("migrate", events()["migrate"])
        assert migrated.get("applied"), migrated
        with server.connect() as connection:
            for role in LOGIN_ROLES:  # the sessions behind the proxy are the double's own
                connection.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
        yield cloud


def make_owner(server: Server) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER owner")


def made_extension() -> Extension:
    now = datetime.now(UTC)
    token_keys = TokenKeys(keys=()).rotated(now)
    return Extension(
        secrets={
            MASTER_KEYS: json.dumps({"current": "1", "1": secrets.token_hex(32)}),
            TOKEN_KEYS: token_keys.dump(),
            THROTTLE_KEY: secrets.token_hex(32),
            ANSWER_KEYS: secrets.token_hex(32),
            OWNER: json.dumps({"username": "owner", "password": PASSWORD}),
        },
        parameters={"/permit/jwks": json.dumps(token_keys.jwks(now))},
        tokens=[*(each.session_token for each in IDENTITIES.values()), "session of migrate"],
    )


def made_licence(cloud: Cloud, email: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new tenant, and a licence of its."""
    tenant = cloud.operator("create-tenant", name="Cloud Ltd", email=email)
    product = cloud.operator(
        "create-product", tenant_id=tenant["tenant_id"], code="editor", name="Editor"
    )
    policy = cloud.operator(
        "create-policy", tenant_id=tenant["tenant_id"], product_id=product["id"], name="Standard"
    )
    licence = cloud.operator(
        "create-licence", tenant_id=tenant["tenant_id"], policy_id=policy["id"]
    )
    return tenant, licence


def test_main_job_runs_without_a_password(cloud: Cloud) -> None:
    """A tenant, a login, a licence, a check by a new device and again, a release, the keys."""
    tenant, licence = made_licence(cloud, "cloud@example.com")
    device = {"fingerprint": "f" * 32}

    statuses = {
        "health": cloud.send("health")["statusCode"],
        "login": cloud.send("login", {"email": tenant["email"], "password": tenant["password"]})[
            "statusCode"
        ],
        "jwks": cloud.send("jwks")["statusCode"],
    }
    checks = [
        json.loads(cloud.send("licence_check", {"key": licence["key"], "device": device})["body"])
        for _ in range(2)
    ]
    released = cloud.send("licence_release", {"key": licence["key"], **device})

    assert {"health": 200, "login": 200, "jwks": 200} == statuses
    assert [("VALID", 1)] * 2 == [(c["code"], c["licence"]["devices_used"]) for c in checks]
    assert all(each["proof"] for each in checks)
    assert "RELEASED" == json.loads(released["body"])["code"]
    assert cloud.invoke("sweep", events()["sweep"])["seats_taken"] == 0


def test_each_function_connects_as_its_own_user(cloud: Cloud) -> None:
    """And as no other: AWS, not Permit, refuses a function that claims to be another."""
    cloud.send("health")
    assert {"permit_public"} <= set(cloud.proxy.users) <= set(USERS.values())

    impostor = cloud.start("health", PERMIT_DATABASE_USER="permit_operator")
    answer = impostor.invoke(events()["health"])

    assert 503 == answer["statusCode"]
    assert "the role may not be" in cloud.proxy.refusals[-1]


def test_nothing_that_was_sent_pins_a_session(cloud: Cloud) -> None:
    """As the proxy saw it: every statement of the main job."""
    cloud.send("health")

    assert cloud.proxy.statements
    assert [] == [statement for statement in cloud.proxy.statements if pins(statement)]


@pytest.mark.parametrize("function", sorted(USERS))
def test_no_secret_is_asked_for_while_a_function_loads(cloud: Cloud, function: str) -> None:
    """During INIT the extension would refuse. The emulator loads at the first event: too late."""
    before = cloud.extension.requests

    cloud.load(function)

    assert before == cloud.extension.requests


def test_extension_that_is_not_ready_is_asked_again(cloud: Cloud) -> None:
    """Right after INIT it may still refuse once."""
    _, licence = made_licence(cloud, "waiting@example.com")
    body = json.dumps({"key": licence["key"], "device": {"fingerprint": "f" * 32}})
    fresh = cloud.start("licence_check")
    cloud.extension.not_ready = 1

    answer = fresh.invoke({**events()["licence_check"], "body": body})

    assert 0 == cloud.extension.not_ready
    assert json.loads(answer["body"])["proof"]
