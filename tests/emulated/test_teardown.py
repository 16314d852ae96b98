"""Deleting the stack: what is left can bring every tenant back, and nothing else is left."""

import re

import pytest

from tests.emulated.stack import Stack

RETAINED = ("MasterKeys", "TokenKeys", "TokenJwks")


@pytest.fixture(scope="module")
def left(stack: Stack) -> dict[str, str]:
    """What was retained, by its name in the template; the stack is gone."""
    known = {**stack.resources(), **stack.outputs}
    stack.delete()
    return {name: known[name] for name in (*RETAINED, "DatabaseId")}


def test_keys_stay(stack: Stack, left: dict[str, str]) -> None:
    """The snapshot's proof keys are sealed under the master keys. No other secret costs money."""
    secrets = {
        each["ARN"] for each in stack.aws.client("secretsmanager").list_secrets()["SecretList"]
    }
    parameters = stack.aws.client("ssm").describe_parameters()["Parameters"]
    own = [each["Name"] for each in parameters if not each["Name"].startswith("/aws/")]

    assert {left["MasterKeys"], left["TokenKeys"]} == secrets
    assert [left["TokenJwks"]] == own


def test_database_leaves_a_last_snapshot(stack: Stack, left: dict[str, str]) -> None:
    """And is gone itself."""
    rds = stack.aws.client("rds")

    found = rds.describe_db_cluster_snapshots(DBClusterIdentifier=left["DatabaseId"])
    kinds = {each["DBClusterSnapshotIdentifier"] for each in found["DBClusterSnapshots"]}

    assert f"{left['DatabaseId']}-final-snapshot" in kinds
    assert [] == rds.describe_db_clusters()["DBClusters"]
    assert [] == rds.describe_db_instances()["DBInstances"]


def test_nothing_runs_and_nothing_logs(stack: Stack, left: dict[str, str]) -> None:
    """No function, schedule, API, role or log group of the stack's.

    But the log of the database that a snapshot has replaced: it is wanted most.
    """
    aws = stack.aws
    roles = [each["RoleName"] for each in aws.client("iam").list_roles()["Roles"]]
    groups = aws.client("logs").describe_log_groups()["logGroups"]

    assert [] == stack.functions()
    assert [] == aws.client("scheduler").list_schedules()["Schedules"]
    assert [] == aws.client("apigatewayv2").get_apis()["Items"]
    assert [] == [name for name in roles if name.startswith(stack.name)]
    assert ["/aws/rds/cluster/permit/postgresql"] == [
        group["logGroupName"]
        for group in groups
        if re.search(rf"/{stack.name}\b", group["logGroupName"])
    ]
