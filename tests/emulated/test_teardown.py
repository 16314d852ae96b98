"""Deleting the stack: what is left can bring every tenant back, and nothing else is left."""

import re

import pytest

from tests.emulated.stack import Stack

RETAINED = {"MasterKeys", "TokenKeys", "TokenJwks"}


@pytest.fixture(scope="module")
def left(stack: Stack) -> dict[str, str]:
    """What was retained, by its name in the template; the stack is gone."""
    resources = stack.resources()
    stack.delete()
    return {name: resources[name] for name in RETAINED}


def test_keys_stay(stack: Stack, left: dict[str, str]) -> None:
    """The snapshot's proof keys are sealed under the master keys. No other secret costs money."""
    secrets = {
        each["ARN"] for each in stack.aws.client("secretsmanager").list_secrets()["SecretList"]
    }
    parameters = stack.aws.client("ssm").describe_parameters()["Parameters"]

    assert {left["MasterKeys"], left["TokenKeys"]} == secrets
    assert [left["TokenJwks"]] == [each["Name"] for each in parameters]


def test_database_leaves_a_last_snapshot(stack: Stack, left: dict[str, str]) -> None:
    """And is gone itself."""
    rds = stack.aws.client("rds")

    [snapshot] = rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]

    assert "permit" == snapshot["DBClusterIdentifier"]
    assert [] == rds.describe_db_clusters()["DBClusters"]
    assert [] == rds.describe_db_instances()["DBInstances"]


def test_nothing_runs_and_nothing_logs(stack: Stack, left: dict[str, str]) -> None:
    """No function, schedule, API, role or log group of the stack's."""
    aws = stack.aws
    roles = [each["RoleName"] for each in aws.client("iam").list_roles()["Roles"]]
    groups = aws.client("logs").describe_log_groups()["logGroups"]

    assert [] == stack.functions()
    assert [] == aws.client("scheduler").list_schedules()["Schedules"]
    assert [] == aws.client("apigatewayv2").get_apis()["Items"]
    assert [] == [name for name in roles if name.startswith(stack.name)]
    assert [] == [
        group["logGroupName"]
        for group in groups
        if re.search(rf"/{stack.name}\b", group["logGroupName"])
    ]
