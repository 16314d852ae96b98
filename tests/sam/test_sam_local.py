"""`make sam`: every event by `sam local invoke`, in Docker, over the embedded Postgres."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from permit.migrate import LOGIN_ROLES
from permit.security.token_keys import TokenKeys
from tests.support.artifacts import HOST, build
from tests.support.event_answers import usual_answer
from tests.support.port_forward import bridge_address, forwarded
from tests.support.sam_template import ROOT, events, function_of, logical_id
from tests.support.servers import PASSWORD, embedded

# In the order of a deployment: the schema, then the owner who signs in. Nobody listens where the
# probe asks.
EXPECTED: dict[str, dict[str, Any]] = {
    "migrate": {},
    "operator_create_tenant": {"ok": True},
    **{
        name: {"statusCode": usual_answer(name)[0]}
        for name, event in events().items()
        if "routeKey" in event
    },
    "sweep": {},
    "probe": {"healthy": False, "reason": "refused"},
    # Without AWS there is nothing to rotate: that it says so is all that can be seen here.
    "token_rotation": {"errorType": "OSError"},
}

# What it rotates has versions, which a text has not.
AT_AWS = {"PERMIT_TOKEN_KEYS": events()["token_rotation"]["SecretId"]}


@dataclass(frozen=True, kw_only=True)
class SamLocal:
    template: Path
    variables: Path

    def invoke(self, logical_id: str, event: str) -> Any:
        """The function's answer: the last line that SAM prints."""
        command = [
            *(ROOT / ".venv-sam" / "bin" / "sam", "local", "invoke", logical_id),
            *("--template", self.template, "--event", ROOT / "events" / f"{event}.json"),
            *(
                "--env-vars",
                self.variables,
                "--parameter-overrides",
                f"Architecture={HOST} SecretsExtension=none",
            ),
            # What is there is used; an image that is missing is fetched all the same.
            "--skip-pull-image",
        ]
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        # Not splitlines: it ends a line within an answer at U+2028, which JSON may hold as it is.
        return json.loads(run.stdout.rstrip("\n").rpartition("\n")[2])


@pytest.fixture(scope="session")
def sam_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamLocal]:
    folder = tmp_path_factory.mktemp("sam")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)  # Postgres runs as another user than root
    artifacts = build(HOST)
    with ExitStack() as exits:
        server = exits.enter_context(embedded(folder))
        with server.connect() as connection:
            connection.execute(f"CREATE ROLE owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE permit OWNER owner")
        host, port = bridge_address(), server.port
        if host is None:
            host = "host.docker.internal"
        else:
            port = exits.enter_context(forwarded(server.port, address=host))
        variables = folder / "variables.json"
        given = {"Parameters": values(host, port), "TokenRotationFunction": AT_AWS}
        variables.write_text(json.dumps(given), encoding="utf-8")
        yield SamLocal(template=artifacts.folder / "template.yaml", variables=variables)


@pytest.mark.parametrize("event", EXPECTED)
def test_sam_local_invokes_the_event(sam_local: SamLocal, event: str) -> None:
    """The event as it stands, and the answer that it should get."""
    expected = EXPECTED[event]

    answer = sam_local.invoke(logical_id(function_of(event)), event)

    answer = answer or {}
    assert expected == {name: answer.get(name) for name in expected}, answer
    assert ("errorType" in answer) == ("errorType" in expected), answer


def test_every_event_is_invoked() -> None:
    """The list above leaves none out."""
    assert set(events()) == set(EXPECTED)


def values(host: str, port: int) -> dict[str, str]:
    """The variables that the template names, for every function alike."""
    now = datetime.now(UTC)
    token_keys = TokenKeys(keys=()).rotated(now)
    return {
        "PERMIT_DATABASE_HOST": host,
        "PERMIT_DATABASE_PORT": str(port),
        "PERMIT_DATABASE_NAME": "permit",
        "PERMIT_DATABASE_PASSWORD": PASSWORD,
        "PERMIT_DATABASE_CA": "",
        "PERMIT_MASTER_KEYS": json.dumps({"current": "1", "1": secrets.token_hex(32)}),
        "PERMIT_TOKEN_KEYS": token_keys.dump(),
        "PERMIT_TOKEN_JWKS": json.dumps(token_keys.jwks(now)),
        "PERMIT_THROTTLE_KEY": secrets.token_hex(32),
        "PERMIT_ANSWER_KEYS": secrets.token_hex(32),
        "PERMIT_OWNER_CREDENTIALS": json.dumps({"username": "owner", "password": PASSWORD}),
        "PERMIT_ROLE_PASSWORDS": json.dumps(dict.fromkeys(LOGIN_ROLES, PASSWORD)),
        "PERMIT_HEALTH_URL": "http://127.0.0.1:9/v1/health",
    }
