"""Every few minutes, clears what lapsed or expired and publishes figures for the dashboard."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from permit import upkeep
from permit.db import Database
from permit.settings import DatabaseSettings

database = Database(DatabaseSettings.from_environment())
metrics = Metrics(namespace="Permit")
logger = Logger()


@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    database.allow(context.get_remaining_time_in_millis() / 1000 - 1)
    counts: dict[str, int] = asdict(upkeep.sweep(database))
    for name, count in counts.items():
        metrics.add_metric(name.title().replace("_", ""), MetricUnit.Count, count)
    upkeep.fold_holders(database)
    for user in upkeep.fold_emails(database):
        logger.warning("email_taken", tenant_id=str(user.tenant_id), user_id=str(user.user_id))
    return counts
