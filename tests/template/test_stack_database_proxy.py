"""stacks/database.yaml: RDS Proxy, and where functions are told to connect."""

from itertools import product
from typing import Any

import pytest

from permit.migrate import LOGIN_ROLES
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
PROXY_ARN = "arn:aws:rds:us-east-1:000000000000:db-proxy:prx-02b0da66d1c8dd4cf"


def made(kind: str, parameters: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Properties of the resources of this type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in variant(TEMPLATE, **parameters).items()
        if resource["Type"] == kind
    }


def output(name: str, parameters: dict[str, str]) -> Any:
    """Its value; None if the output does not exist, because an output may not be empty."""
    made = variant(TEMPLATE, TEMPLATE["Outputs"], **parameters)
    return made[name]["Value"] if name in made else None


def users(resource_id: Any) -> Any:
    """The ARN for rds-db:connect, up to the user's name."""
    arn = "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${Id}"
    return {"Fn::Sub": [arn, {"Id": resource_id}]}


@pytest.mark.parametrize("parameters", ENGINES)
def test_proxy_signs_in_by_iam_from_end_to_end(parameters: dict[str, str]) -> None:
    """TLS from the function, no secret, and no statement in its log."""
    [proxy] = made("AWS::RDS::DBProxy", parameters).values()

    assert "IAM_AUTH" == proxy["DefaultAuthScheme"]
    assert "Auth" not in proxy
    assert proxy["RequireTLS"] is True
    assert proxy["DebugLogging"] is False
    assert [{"Ref": "ProxySecurityGroupId"}] == proxy["VpcSecurityGroupIds"]


@pytest.mark.parametrize("parameters", ENGINES)
def test_proxy_connects_as_the_users_of_the_functions_and_nobody_else(
    parameters: dict[str, str],
) -> None:
    """The six, on this database; not as its owner."""
    [role] = made("AWS::IAM::Role", parameters).values()
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    prefix, direct = output("DirectUsers", parameters)["Fn::Sub"]

    assert "rds-db:connect" == statement["Action"]
    assert [[f"{prefix}/{user}", direct] for user in LOGIN_ROLES] == [
        resource["Fn::Sub"] for resource in statement["Resource"]
    ]


@pytest.mark.parametrize("parameters", ENGINES)
def test_a_request_waits_seconds_for_a_connection(parameters: dict[str, str]) -> None:
    """AWS's default of 120 s outlasts every request. Some connections are left to migrate."""
    [targets] = made("AWS::RDS::DBProxyTargetGroup", parameters).values()
    pool = targets["ConnectionPoolConfigurationInfo"]

    assert 1 <= pool["ConnectionBorrowTimeout"] <= 5
    assert pool["MaxIdleConnectionsPercent"] < pool["MaxConnectionsPercent"] < 100


def test_proxy_is_given_the_database_once_it_has_a_server() -> None:
    """A cluster without a writer is refused; the tag that names the server waits for it."""
    for parameters, kind in ((AURORA, "DBClusterIdentifiers"), (INSTANCE, "DBInstanceIdentifiers")):
        [targets] = made("AWS::RDS::DBProxyTargetGroup", parameters).values()
        server = {"aurora": "Writer", "instance": "Instance"}[parameters["Engine"]]

        assert [{"Ref": DATA[parameters["Engine"]]}] == targets[kind]
        assert [{"Ref": server}] == [tag["Value"] for tag in targets["Tags"]]


def test_without_a_proxy_nothing_of_it_is_made() -> None:
    """And it is not paid for."""
    kinds = {resource["Type"] for resource in variant(TEMPLATE, Proxy="false").values()}

    assert not {"AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup", "AWS::IAM::Role"} & kinds


@pytest.mark.parametrize("parameters", VARIANTS)
def test_functions_are_told_where_to_connect_and_as_what(parameters: dict[str, str]) -> None:
    """To the proxy and by its id, which its ARN ends with; else to the database and by its own."""
    data = DATA[parameters["Engine"]]
    resource_id = {"Cluster": "DBClusterResourceId", "Instance": "DbiResourceId"}[data]
    position = PROXY_ARN.split(":").index("prx-02b0da66d1c8dd4cf")
    direct = (
        {"Fn::GetAtt": [data, "Endpoint.Address"]},
        users({"Fn::GetAtt": [data, resource_id]}),
    )
    by_proxy = (
        {"Fn::GetAtt": ["DatabaseProxy", "Endpoint"]},
        users(
            {
                "Fn::Select": [
                    position,
                    {"Fn::Split": [":", {"Fn::GetAtt": ["DatabaseProxy", "DBProxyArn"]}]},
                ]
            }
        ),
    )
    uses_proxy = parameters["Proxy"] == "true"

    assert (by_proxy if uses_proxy else direct) == (
        output("Host", parameters),
        output("Users", parameters),
    )
    assert direct == (output("DirectHost", parameters), output("DirectUsers", parameters))
    assert ({"Ref": "DatabaseProxy"} if uses_proxy else None) == output("ProxyName", parameters)
    assert {"Ref": data} == output("DatabaseId", parameters)
    assert {"Fn::GetAtt": [data, "MasterUserSecret.SecretArn"]} == output(
        "OwnerSecretArn", parameters
    )
    assert "5432" == output("Port", parameters)
