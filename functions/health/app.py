"""GET /v1/health: can the service serve? The probe, monitors and people ask it."""

import time
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from permit import VERSION
from permit.contracts import Answer
from permit.db import Database
from permit.edge.api import Api, answer
from permit.edge.payload import Context, Response
from permit.errors import DatabaseUnavailable
from permit.migrate import required_version
from permit.settings import ApiSettings
from permit.upkeep import get_schema_version

Status = Literal["ok", "fail"]


class DatabaseCheck(Answer):
    status: Status
    """Whether the database answers."""
    latency_ms: float | None = None
    """How long the database took to answer, in milliseconds. Null: it did not answer."""


class SchemaCheck(Answer):
    status: Status
    """Whether the schema is at least what this version needs."""
    version: int | None = None
    """The number of the newest migration. Null: the database did not answer."""


class Checks(Answer):
    database: DatabaseCheck
    """The database."""
    # `schema` is taken by pydantic itself.
    schema_: SchemaCheck = Field(serialization_alias="schema")
    """The database's schema."""


class HealthAnswer(Answer):
    status: Status
    """`ok` if every check is; `fail` comes with HTTP 503."""
    timestamp: datetime
    """When the answer was made."""
    version: str
    """The version of the service."""
    checks: Checks
    """The checks that were made."""


settings = ApiSettings.from_environment()
database = Database(settings)
# The promise is an answer within three seconds, also when the database is stuck.
api = Api(database, settings.origin_secret, database_seconds=2.5)
REQUIRED_SCHEMA = required_version()


@api.get("/v1/health")
def health() -> Response:
    """Can the service serve? 503 with the failed check if it cannot."""
    checks = run_checks()
    is_healthy = checks.database.status == checks.schema_.status == "ok"
    return answer(
        HealthAnswer(
            status="ok" if is_healthy else "fail",
            timestamp=datetime.now(UTC),
            version=VERSION,
            checks=checks,
        ),
        status=200 if is_healthy else 503,
        headers={} if is_healthy else {"Retry-After": "5"},
    )


def run_checks() -> Checks:
    started = time.perf_counter()
    try:
        schema_version = get_schema_version(database)
    except DatabaseUnavailable as refusal:
        api.note(reason=refusal.reason)
        return Checks(database=DatabaseCheck(status="fail"), schema_=SchemaCheck(status="fail"))
    latency = round((time.perf_counter() - started) * 1000, 1)
    # At or past: during a deployment the schema is a version ahead of the code.
    is_new_enough = schema_version >= REQUIRED_SCHEMA
    return Checks(
        database=DatabaseCheck(status="ok", latency_ms=latency),
        schema_=SchemaCheck(status="ok" if is_new_enough else "fail", version=schema_version),
    )


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
