"""stacks/database.yaml keeps its data, and users sign in only by IAM and TLS, on both engines."""

from itertools import product
from typing import Any

import pytest

from tests.support.sam_template import nested
from tests.support.template_variants import variant

TEMPLATE = nested("database")
AURORA, INSTANCE = {"Engine": "aurora"}, {"Engine": "instance"}
ENGINES = [pytest.param(AURORA, id="aurora"), pytest.param(INSTANCE, id="instance")]
VARIANTS = [
    pytest.param({"Engine": engine, "Proxy": proxy}, id=f"{engine}-proxy={proxy}")
    for engine, proxy in product(["aurora", "instance"], ["true", "false"])
]
DATA = {"aurora": "Cluster", "instance": "Instance"}


def made(kind: str, **parameters: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of this type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in variant(TEMPLATE, **parameters).items()
        if resource["Type"] == kind
    }


def database(parameters: dict[str, str]) -> dict[str, Any]:
    """The resource that holds the data."""
    return variant(TEMPLATE, **parameters)[DATA[parameters["Engine"]]]


@pytest.mark.parametrize("parameters", ENGINES)
def test_database_is_encrypted_and_takes_users_by_iam(parameters: dict[str, str]) -> None:
    """RDS makes and rotates the owner's password."""
    properties = database(parameters)["Properties"]

    assert properties["StorageEncrypted"] is True
    assert properties["EnableIAMDatabaseAuthentication"] is True
    assert properties["ManageMasterUserPassword"] is True
    assert "permit_admin" == properties["MasterUsername"]
    assert "MasterUserPassword" not in properties


@pytest.mark.parametrize("parameters", ENGINES)
def test_data_outlives_the_stack(parameters: dict[str, str]) -> None:
    """Deleting is refused, and where it is not, or it is replaced, a snapshot is left."""
    resource = database(parameters)
    properties = resource["Properties"]

    assert ("Snapshot", "Snapshot") == (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
    assert {"Ref": "DeletionProtection"} == properties["DeletionProtection"]
    assert "true" == TEMPLATE["Parameters"]["DeletionProtection"]["Default"]
    assert {"Ref": "BackupDays"} == properties["BackupRetentionPeriod"]
    assert TEMPLATE["Parameters"]["BackupDays"]["MinValue"] >= 1
    assert properties["CopyTagsToSnapshot"] is True


@pytest.mark.parametrize("parameters", VARIANTS)
def test_no_server_is_public(parameters: dict[str, str]) -> None:
    """Only in the group and the subnets that are given."""
    servers = made("AWS::RDS::DBInstance", **parameters)
    properties = database(parameters)["Properties"]

    assert all(server["PubliclyAccessible"] is False for server in servers.values())
    groups = properties.get("VpcSecurityGroupIds") or properties["VPCSecurityGroups"]
    assert [{"Ref": "DatabaseSecurityGroupId"}] == groups
    assert {"Ref": "SubnetGroup"} == properties["DBSubnetGroupName"]


@pytest.mark.parametrize("parameters", ENGINES)
def test_engine_is_postgres_17_in_the_minor_version_of_the_day(parameters: dict[str, str]) -> None:
    """A minor version written here would soon be older than the database, and be refused."""
    properties = database(parameters)["Properties"]
    family = {"aurora": "aurora-postgresql17", "instance": "postgres17"}[parameters["Engine"]]

    assert "17" == properties["EngineVersion"]
    assert properties["AutoMinorVersionUpgrade"] is True
    assert [family] == [group["Family"] for group in parameter_groups(parameters)]


@pytest.mark.parametrize("parameters", ENGINES)
def test_database_takes_tls_only_and_logs_no_value(parameters: dict[str, str]) -> None:
    """Values are licence keys' hashes, emails, fingerprints: not with a slow statement, nor a
    failed one, nor in the detail of an error."""
    [group] = parameter_groups(parameters)

    assert {
        "rds.force_ssl": "1",
        "log_statement": "none",
        "log_min_duration_statement": "1000",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
        "log_lock_waits": "1",
    } == group["Parameters"]


def parameter_groups(parameters: dict[str, str]) -> list[dict[str, Any]]:
    return [
        *made("AWS::RDS::DBClusterParameterGroup", **parameters).values(),
        *made("AWS::RDS::DBParameterGroup", **parameters).values(),
    ]


@pytest.mark.parametrize("parameters", ENGINES)
def test_database_uses_the_parameters_that_are_made_for_it(parameters: dict[str, str]) -> None:
    """Not the defaults of its family."""
    properties = database(parameters)["Properties"]
    used = properties.get("DBClusterParameterGroupName") or properties["DBParameterGroupName"]

    assert used["Ref"] in variant(TEMPLATE, **parameters)


@pytest.mark.parametrize("parameters", VARIANTS)
def test_every_log_group_is_made_first_and_ends(parameters: dict[str, str]) -> None:
    """RDS makes one without an end where it finds none: same names, and before their writers."""
    groups = made("AWS::Logs::LogGroup", **parameters)
    resource = database(parameters)
    kind = {"aurora": "cluster", "instance": "instance"}[parameters["Engine"]]
    identifier = "DBClusterIdentifier" if kind == "cluster" else "DBInstanceIdentifier"

    path, names = groups["DatabaseLogs"]["LogGroupName"]["Fn::Sub"]
    assert "/aws/rds/${Kind}/${Id}/postgresql" == path
    assert {"Kind": kind, "Id": resource["Properties"][identifier]} == names
    assert "DatabaseLogs" == resource["DependsOn"]
    assert ["postgresql"] == resource["Properties"]["EnableCloudwatchLogsExports"]
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


@pytest.mark.parametrize("parameters", ENGINES)
@pytest.mark.parametrize(("mode", "days"), [("standard", 7), ("advanced", 465)])
def test_insights_keep_what_their_mode_asks_for(
    parameters: dict[str, str], mode: str, days: int
) -> None:
    """Advanced is refused under 465 days, standard is free up to 7; a server is as its cluster."""
    chosen = {**parameters, "Insights": mode}
    holders = [database(chosen)["Properties"], *made("AWS::RDS::DBInstance", **chosen).values()]

    assert {"Ref": "Insights"} == holders[0]["DatabaseInsightsMode"]
    assert {days} == {holder["PerformanceInsightsRetentionPeriod"] for holder in holders}
    assert all(
        holder.get("PerformanceInsightsEnabled", holder.get("EnablePerformanceInsights")) is True
        for holder in holders
    )


def test_aurora_scales_between_the_capacities_given_and_never_pauses() -> None:
    """The probe would wake it every minute, and a proxy keeps it from pausing at all."""
    cluster = database(AURORA)["Properties"]
    servers = made("AWS::RDS::DBInstance", **AURORA)

    assert {
        "MinCapacity": {"Ref": "MinCapacity"},
        "MaxCapacity": {"Ref": "MaxCapacity"},
    } == cluster["ServerlessV2ScalingConfiguration"]
    assert TEMPLATE["Parameters"]["MinCapacity"]["MinValue"] > 0
    assert ["db.serverless"] == [server["DBInstanceClass"] for server in servers.values()]


def test_a_standby_is_a_second_server_in_another_zone() -> None:
    """It must be as large as the writer to take over."""
    standby = {"Standby": "true"}
    servers = made("AWS::RDS::DBInstance", **AURORA, **standby)

    assert {"Writer", "StandbyServer"} == servers.keys()
    assert servers["Writer"] == servers["StandbyServer"]
    assert servers["StandbyServer"]["PromotionTier"] <= 1
    assert database({**INSTANCE, **standby})["Properties"]["MultiAZ"] is True
    assert database(INSTANCE)["Properties"]["MultiAZ"] is False


@pytest.mark.parametrize("parameters", ENGINES)
def test_a_snapshot_becomes_a_new_database(parameters: dict[str, str]) -> None:
    """With its own identifier; what the snapshot already decides is not given again."""
    restored = {**parameters, "SnapshotId": "snap", "DatabaseId": "permit-2"}
    before, after = (database(each)["Properties"] for each in (parameters, restored))
    names = {"DBClusterIdentifier", "DBInstanceIdentifier"}

    assert [{"Ref": "StackName"}] == [before[name] for name in names & before.keys()]
    assert [{"Ref": "DatabaseId"}] == [after[name] for name in names & after.keys()]
    assert {"Ref": "SnapshotId"} == after.get(
        "SnapshotIdentifier", after.get("DBSnapshotIdentifier")
    )
    assert {
        "MasterUsername",
        "DatabaseName",
        "DBName",
    } & before.keys() == before.keys() - after.keys()
