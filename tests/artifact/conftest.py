"""The built functions in the Lambda's runtime, over a database that the built migrate made."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from permit.migrate import LOGIN_ROLES
from tests.support.artifacts import HOST, Artifacts, build, find_python, install_runtime
from tests.support.lambda_runtime import RunningFunction, Runtime, running_function
from tests.support.sam_template import events, functions, logical_id, routes, written
from tests.support.servers import PASSWORD, Server, embedded, server_folder

_DATABASE = "permit"
# Nothing listens on port 9: the probe finds no service there, and the rotation no AWS.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def python() -> Path:
    found = find_python()
    if found is None:
        pytest.skip("CPython 3.13 is not on PATH as python3.13")
    return found


@pytest.fixture(scope="session")
def host_artifacts(python: Path) -> Artifacts:
    if HOST == "none":
        pytest.skip("Lambda's emulator runs on Linux, on x86_64 and arm64")
    return build(HOST)


@dataclass(kw_only=True)
class Stack:
    """The deployed functions: each is started when it is first invoked, and then kept."""

    runtime: Runtime
    server: Server
    folder: Path
    exits: ExitStack
    bytecode_as_built: dict[Path, str]
    running: dict[str, RunningFunction] = field(default_factory=dict)

    def invoke(self, function: str, event: object) -> Any:
        return self.start(function).invoke(event)

    def send(self, event_name: str, body: object = None, **changes: Any) -> Any:
        """The answer to events/<event_name>.json, or to the same with another body."""
        event = {**events()[event_name], **changes}
        if body is not None:
            event["body"] = json.dumps(body)
        return self.invoke(routes()[event["routeKey"]], event)

    def operator(self, command: str, **arguments: object) -> dict[str, Any]:
        answer = self.invoke("operator", {"command": command, "arguments": arguments})
        assert answer["ok"], answer
        return answer["result"]

    def start(self, function: str, **environ: str) -> RunningFunction:
        """The function's one environment; a new one where it gets other variables."""
        if function in self.running and not environ:
            return self.running[function]
        properties = {**written()["Globals"]["Function"], **functions()[function]}
        log = self.folder / f"{function}-{len(self.running)}.log"
        started = self.exits.enter_context(
            running_function(
                self.runtime,
                logical_id(function),
                properties,
                log,
                **self._variables(function),
                **environ,
            )
        )
        self.running[function if not environ else log.stem] = started
        return started

    def _variables(self, function: str) -> dict[str, str]:
        """The variables that the template gives the function, with values of this machine."""
        named = functions()[function]["Environment"]["Variables"]
        values = {name: value for name, value in self._values.items() if name in named}
        values |= {
            "PERMIT_DATABASE_HOST": "127.0.0.1",
            "PERMIT_DATABASE_PORT": str(self.server.port),
            "PERMIT_DATABASE_NAME": _DATABASE,
        }
        if "PERMIT_DATABASE_USER" in named:
            values["PERMIT_DATABASE_USER"] = named["PERMIT_DATABASE_USER"]
            values["PERMIT_DATABASE_PASSWORD"] = PASSWORD
        if function == "token_rotation":
            values["PERMIT_TOKEN_KEYS"] = events()["token_rotation"]["SecretId"]
            values["AWS_ENDPOINT_URL"] = NOBODY
            values["AWS_MAX_ATTEMPTS"] = "1"
        if "PERMIT_OWNER_CREDENTIALS" in named:
            values["PERMIT_ROLE_PASSWORDS"] = json.dumps(dict.fromkeys(LOGIN_ROLES, PASSWORD))
        return values

    @cached_property
    def _values(self) -> dict[str, str]:
        contents = {
            "PERMIT_MASTER_KEYS": json.dumps({"current": "1", "1": secrets.token_hex(32)}),
            "PERMIT_TOKEN_KEYS": json.dumps({"keys": []}),
            "PERMIT_TOKEN_JWKS": json.dumps({"keys": []}),
            "PERMIT_THROTTLE_KEY": secrets.token_hex(32),
            "PERMIT_ANSWER_KEYS": secrets.token_hex(32),
            "PERMIT_OWNER_CREDENTIALS": json.dumps({"username": "owner", "password": PASSWORD}),
        }
        for name, content in contents.items():
            (self.folder / name).write_text(content, encoding="utf-8")
        files = {name: f"file:{self.folder / name}" for name in contents}
        return files | {"PERMIT_HEALTH_URL": f"{NOBODY}/v1/health"}


@pytest.fixture(scope="session")
def stack(python: Path, host_artifacts: Artifacts) -> Iterator[Stack]:
    """Deployed as docs say: migrate, make the first token key, create a tenant."""
    runtime = Runtime(python=python, packages=install_runtime(python), artifacts=host_artifacts)
    with server_folder() as folder, embedded(folder) as server, ExitStack() as exits:
        with server.connect() as connection:
            connection.execute(f"CREATE ROLE owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE DATABASE {_DATABASE} OWNER owner")
        stack = Stack(
            runtime=runtime,
            server=server,
            folder=folder,
            exits=exits,
            bytecode_as_built=host_artifacts.bytecode(),
        )
        migrated = stack.invoke("migrate", events()["migrate"])
        assert migrated.get("version"), migrated
        stack.operator("rotate-token-key")
        yield stack
