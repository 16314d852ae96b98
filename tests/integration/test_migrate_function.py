"""The migrate function, as a deployment invokes it: its answer, its secrets, its TLS."""

import json
from typing import Any

import pytest

from permit import migrate as migrate_module
from permit.migrate import LOGIN_ROLES, DatabaseNotReady
from tests.support.deployment import Context, Deployment
from tests.support.servers import PASSWORD


@pytest.fixture
def owner(empty: dict[str, Any]) -> dict[str, str]:
    """The migrate function's variables."""
    return {
        "PERMIT_DATABASE_PORT": str(empty["port"]),
        "PERMIT_DATABASE_NAME": empty["dbname"],
        "PERMIT_OWNER_CREDENTIALS": json.dumps({"username": "test_owner", "password": PASSWORD}),
    }


def test_the_function_answers_with_the_version(
    deployment: Deployment, owner: dict[str, str]
) -> None:
    """What the deployment logs: where the schema is, and what brought it there."""
    passwords = json.dumps(dict.fromkeys(LOGIN_ROLES, PASSWORD))
    function = deployment.start_ready("migrate", **owner, PERMIT_ROLE_PASSWORDS=passwords)

    first, second = function.handler({}, Context()), function.handler({}, Context())

    assert {"version", "applied"} == set(first)
    assert {"version": first["version"], "applied": []} == second
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERMIT_OWNER_CREDENTIALS", "test_owner:hunter2"),
        ("PERMIT_OWNER_CREDENTIALS", '["hunter2"]'),
        ("PERMIT_OWNER_CREDENTIALS", '{"user": "hunter2"}'),
        ("PERMIT_OWNER_CREDENTIALS", '{"username": "test_owner", "password": ["hunter2"]}'),
        ("PERMIT_ROLE_PASSWORDS", "hunter2"),
        ("PERMIT_ROLE_PASSWORDS", '["hunter2"]'),
        ("PERMIT_ROLE_PASSWORDS", '{"postgres": "hunter2"}'),
        ("PERMIT_ROLE_PASSWORDS", '{"permit_check": ["hunter2"]}'),
    ],
)
def test_a_malformed_secret_is_named_and_not_quoted(
    deployment: Deployment, owner: dict[str, str], variable: str, value: str
) -> None:
    """The deployment fails on it before anything is done."""
    function = deployment.start_ready("migrate", **{**owner, variable: value})

    with pytest.raises(Exception, match=variable) as failure:
        function.handler({}, Context())

    assert "hunter2" not in str(failure.value)


def test_a_server_without_the_certificate_is_no_database(
    deployment: Deployment, owner: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a CA given, the owner's password goes only to a server that proves itself by that CA."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the function's role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the function's role")
    roots = migrate_module._HERE / "certificates" / "amazon-roots.pem"
    function = deployment.start_ready("migrate", **owner, PERMIT_DATABASE_CA=str(roots))

    with pytest.raises(DatabaseNotReady, match="SSL"):
        function.handler({"wait_seconds": 0}, Context())
