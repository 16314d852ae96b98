"""Each function's role, as IAM enforces it: its own secrets and database user, and no other."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from permit.migrate import LOGIN_ROLES
from permit.security import rds_token
from tests.emulated.database import DOMAIN, PORT
from tests.emulated.stack import Stack
from tests.support.port_forward import bridge_address
from tests.support.proxy_double import REGION
from tests.support.sam_template import functions

FUNCTIONS = sorted(name.replace("_", "-") for name in functions())
WRITERS = ("operator", "token-rotation")
# Each by the setting that names it.
SECRETS = {
    "PERMIT_ANSWER_KEYS": "AnswerKeys",
    "PERMIT_MASTER_KEYS": "MasterKeys",
    "PERMIT_OWNER_CREDENTIALS": "OwnerSecret",
    "PERMIT_THROTTLE_KEY": "ThrottleKey",
    "PERMIT_TOKEN_JWKS": "TokenJwks",
    "PERMIT_TOKEN_KEYS": "TokenKeys",
}


@pytest.fixture(scope="module")
def sessions(stack: Stack) -> dict[str, dict[str, Any]]:
    """Each function's credentials, which Lambda makes when it runs."""
    client = stack.aws.client("lambda")
    for function in FUNCTIONS:
        # Whatever it answers to nothing.
        client.invoke(FunctionName=f"{stack.name}-{function}", Payload=b"{}")
    return {function: stack.session(function) for function in FUNCTIONS}


@pytest.fixture(scope="module")
def secrets(stack: Stack) -> dict[str, str]:
    """What there is to reach, by its name in the templates."""
    resources = stack.resources()
    return {
        **{
            name: resources[name]
            for name in ("AnswerKeys", "MasterKeys", "ThrottleKey", "TokenKeys")
        },
        "OwnerSecret": stack.outputs["OwnerSecret"],
        "TokenJwks": resources["TokenJwks"],
    }


def own_secrets(stack: Stack, function: str) -> set[str]:
    """What the function's settings name."""
    return {SECRETS[name] for name in stack.variables(function) if name in SECRETS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_reads_its_own_secrets(
    stack: Stack, sessions: dict[str, Any], secrets: dict[str, str], function: str
) -> None:
    """And none that another needs."""
    keys = stack.aws.client("secretsmanager", sessions[function])
    parameters = stack.aws.client("ssm", sessions[function])

    def can_read(name: str) -> bool:
        if name == "TokenJwks":
            return is_allowed(parameters.get_parameter, Name=secrets[name])
        return is_allowed(keys.get_secret_value, SecretId=secrets[name])

    assert own_secrets(stack, function) == {name for name in secrets if can_read(name)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_writes_what_it_rotates(
    stack: Stack, sessions: dict[str, Any], secrets: dict[str, str], function: str
) -> None:
    """Nobody else changes a key. What is written is what was there."""
    root = stack.aws.client("secretsmanager")
    keys = stack.aws.client("secretsmanager", sessions[function])
    parameters = stack.aws.client("ssm", sessions[function])
    published = stack.aws.client("ssm").get_parameter(Name=secrets["TokenJwks"])["Parameter"]

    def can_write(name: str) -> bool:
        if name == "TokenJwks":
            same = {"Name": published["Name"], "Value": published["Value"], "Overwrite": True}
            return is_allowed(parameters.put_parameter, **same)
        value = root.get_secret_value(SecretId=secrets[name])["SecretString"]
        return is_allowed(keys.put_secret_value, SecretId=secrets[name], SecretString=value)

    own = own_secrets(stack, function) if function in WRITERS else set()
    assert own == {name for name in secrets if can_write(name)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_is_one_user_of_the_database(
    stack: Stack, sessions: dict[str, Any], function: str
) -> None:
    """Its token opens the proxy for the user that its settings name, if any, and for no other."""
    own = {stack.variables(function).get("PERMIT_DATABASE_USER")} - {None}

    assert own == {user for user in LOGIN_ROLES if can_connect(sessions[function], user)}


def is_allowed(call: Any, **arguments: object) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        return False
    return True


def can_connect(session: dict[str, Any], user: str) -> bool:
    host = f"permit-proxy.{DOMAIN}"
    token = rds_token.sign(
        host=host,
        port=PORT,
        user=user,
        region=REGION,
        credentials=rds_token.Credentials(
            access_key_id=session["AccessKeyId"],
            secret_access_key=session["SecretAccessKey"],
            session_token=session["SessionToken"],
        ),
        now=datetime.now(UTC),
    )
    try:
        psycopg.connect(
            host=host,
            hostaddr=bridge_address() or "127.0.0.1",
            port=PORT,
            user=user,
            password=token,
            dbname="permit",
            sslmode="require",
        ).close()
    except psycopg.OperationalError:
        return False
    return True
