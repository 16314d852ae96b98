"""Brings the database to this code's schema: as a resource of the deployment, or when invoked.

As CloudFormation's custom resource it always answers, or the stack would wait for an hour: nothing
that can fail happens before `handler`. It never deletes anything, even if the stack is deleted.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

import psycopg
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from permit.edge.custom_resources import answer
from permit.migrate import LOGIN_ROLES, SignIn, migrate
from permit.security import rds_token
from permit.security.secret_formats import MalformedSecret, parse_json_object
from permit.settings import MigrateSettings

_WAIT_SECONDS = 120
_ANSWER_SECONDS = 40  # kept for telling CloudFormation, retries included
_PHYSICAL_ID = "permit-schema"

logger = Logger()
settings = cache(MigrateSettings.from_environment)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Returns the schema version and what was applied; an exception fails the invocation."""
    remaining = context.get_remaining_time_in_millis() / 1000
    seconds = max(remaining - _ANSWER_SECONDS, remaining / 2)
    if "RequestType" not in event:
        return _run(event.get("wait_seconds", _WAIT_SECONDS), seconds)
    if event["RequestType"] == "Delete":
        answer(event, physical_id=_PHYSICAL_ID)
        return None
    try:
        logger.info("migrated", **_run(_WAIT_SECONDS, seconds))
    except Exception as error:  # noqa: BLE001 (whatever it is, CloudFormation waits for an answer)
        logger.error("migration failed", reason=_reason(error))
        answer(event, physical_id=_PHYSICAL_ID, failure=_reason(error))
    else:
        answer(event, physical_id=_PHYSICAL_ID)
    return None


def _run(wait_seconds: float, seconds: float) -> dict[str, Any]:
    outcome = migrate(
        _ways_to_sign_in(),
        # Two connections, another run before this one, and this one.
        wait_seconds=min(wait_seconds, seconds / 6),
        run_seconds=seconds / 3,
        role_passwords=_role_passwords(),
    )
    return asdict(outcome)


def _reason(error: Exception) -> str:
    """For CloudFormation's log: without the error's detail, in which Postgres quotes values."""
    where = " ".join(getattr(error, "__notes__", []))
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return f"{error.sqlstate} {error.diag.message_primary} {where}".rstrip()
    return f"{type(error).__name__}: {error} {where}".rstrip()


def _ways_to_sign_in() -> list[SignIn]:
    """By the owner's password and, on AWS, by an IAM token.

    From Postgres 16 on, whoever creates a role becomes a member of it. The roles made here sign in
    by IAM, and RDS asks every member of such a role, even an indirect one, for a token.
    """
    return [_password] if settings().database_ca is None else [_password, _token]


def _password() -> dict[str, Any]:
    # Always fresh: RDS changes it every week.
    return _address() | settings().owner_credentials.parsed(_parse_owner, fresh=True)


def _token() -> dict[str, Any]:
    user = settings().owner_credentials.parsed(_parse_owner)["user"]
    token = rds_token.sign(
        host=settings().database_host,
        port=settings().database_port,
        user=user,
        region=settings().aws_region or "",
        credentials=rds_token.Credentials.from_environment(),
        now=datetime.now(UTC),
    )
    return _address() | {"user": user, "password": token}


def _address() -> dict[str, Any]:
    own = settings()
    address = {
        "host": own.database_host,
        "port": own.database_port,
        "dbname": own.database_name,
    }
    if own.database_ca is None:
        return address
    return address | {"sslmode": "verify-full", "sslrootcert": str(own.database_ca)}


def _role_passwords() -> dict[str, str] | None:
    """Locally the roles sign in with passwords; on AWS with IAM."""
    source = settings().role_passwords
    return None if source is None else source.parsed(_parse_passwords)


def _parse_owner(text: str) -> dict[str, str]:
    """In the format of RDS's secret of the master user."""
    fields = parse_json_object(text, what="the owner's credentials")
    user, password = fields.get("username"), fields.get("password")
    if not isinstance(user, str) or not isinstance(password, str):
        raise MalformedSecret("the owner's credentials lack a username or a password")
    return {"user": user, "password": password}


def _parse_passwords(text: str) -> dict[str, str]:
    passwords = parse_json_object(text, what="the roles' passwords")
    for role, password in passwords.items():
        if role not in LOGIN_ROLES or not isinstance(password, str):
            raise MalformedSecret("the roles' passwords are not one text for each of our roles")
    return passwords
