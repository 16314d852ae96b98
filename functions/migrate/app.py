"""Invoked by the deployment before new code takes traffic: waits for the database, migrates."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from permit.migrate import LOGIN_ROLES, migrate
from permit.security.secret_formats import MalformedSecret, parse_json_object
from permit.settings import MigrateSettings

settings = MigrateSettings.from_environment()

_WAIT_SECONDS = 120


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The schema version and what was applied; raising fails the deployment."""
    outcome = migrate(
        {
            "host": settings.database_host,
            "port": settings.database_port,
            "dbname": settings.database_name,
            **settings.owner_credentials.parsed(_parse_owner),
            **_tls(),
        },
        wait_seconds=event.get("wait_seconds", _WAIT_SECONDS),
        role_passwords=_role_passwords(),
    )
    return asdict(outcome)


def _tls() -> dict[str, str]:
    if settings.database_ca is None:
        return {}
    return {"sslmode": "verify-full", "sslrootcert": str(settings.database_ca)}


def _role_passwords() -> dict[str, str] | None:
    """Locally the roles sign in with passwords; on AWS with IAM."""
    source = settings.role_passwords
    return None if source is None else source.parsed(_parse_passwords)


def _parse_owner(text: str) -> dict[str, str]:
    """As RDS keeps its master user's secret."""
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
