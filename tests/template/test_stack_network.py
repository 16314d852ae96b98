"""stacks/network.yaml makes subnets and endpoints or joins a VPC, and leads to no internet."""

from typing import Any

import pytest

from tests.support.sam_template import nested, of_type
from tests.support.template_variants import variant

TEMPLATE = nested("network")
EXISTING = {
    "VpcId": "vpc-1",
    "SubnetIds": "subnet-1,subnet-2",
    "RouteTableIds": "rtb-1",
}
VPCS = [pytest.param({}, id="own"), pytest.param(EXISTING, id="existing")]


def made(kind: str, **parameters: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of this type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in variant(TEMPLATE, **parameters).items()
        if resource["Type"] == kind
    }


def test_there_is_no_way_to_the_internet() -> None:
    """No gateway except S3's, no route of its own, no public address, with any parameters."""
    kinds = {resource["Type"] for resource in TEMPLATE["Resources"].values()}

    assert {
        "AWS::EC2::VPC",
        "AWS::EC2::Subnet",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::FlowLog",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::Logs::LogGroup",
        "AWS::IAM::Role",
    } == kinds
    for subnet in made("AWS::EC2::Subnet").values():
        assert not subnet.get("MapPublicIpOnLaunch")


def test_the_two_subnets_are_in_two_zones_and_share_the_route_table() -> None:
    """An outage of one zone leaves the other."""
    subnets = made("AWS::EC2::Subnet")
    associated = made("AWS::EC2::SubnetRouteTableAssociation").values()

    zones = [subnet["AvailabilityZone"] for subnet in subnets.values()]
    blocks = [subnet["CidrBlock"]["Fn::Select"][0] for subnet in subnets.values()]
    assert [{"Fn::Select": [index, {"Fn::GetAZs": ""}]} for index in (0, 1)] == zones
    assert [0, 1] == blocks
    assert {(name, "RouteTable") for name in subnets} == {
        (one["SubnetId"]["Ref"], one["RouteTableId"]["Ref"]) for one in associated
    }


def test_zones_and_addresses_can_be_chosen() -> None:
    """Some zones of an account have no Lambda or no RDS Proxy, and addresses may be taken."""
    subnets = made("AWS::EC2::Subnet", Zones="use1-b,use1-c")
    zones = [subnet["AvailabilityZone"]["Fn::Select"] for subnet in subnets.values()]

    assert [[index, {"Fn::Split": [",", {"Ref": "Zones"}]}] for index in (0, 1)] == zones
    assert [{"Ref": "VpcCidr"}] == [vpc["CidrBlock"] for vpc in made("AWS::EC2::VPC").values()]
    given = of_type("AWS::CloudFormation::Stack")["Network"]["Parameters"]
    assert {"Ref": "VpcCidr"} == given["VpcCidr"]
    assert {"Fn::Join": [",", {"Ref": "Zones"}]} == given["Zones"]


def test_an_existing_network_gets_groups_and_endpoints_only() -> None:
    """No VPC is made, and everything that is made is in the given one."""
    resources = variant(TEMPLATE, **EXISTING)
    kinds = {resource["Type"] for resource in resources.values()}

    assert {
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress",
    } == kinds
    assert {"VpcId"} == {
        resource["Properties"]["VpcId"]["Ref"]
        for resource in resources.values()
        if "VpcId" in resource["Properties"]
    }


@pytest.mark.parametrize("parameters", VPCS)
def test_outputs_are_there_whatever_is_chosen(parameters: dict[str, str]) -> None:
    """The parent hands them on, and does not know what was chosen."""
    resources = variant(TEMPLATE, **parameters)
    outputs = variant(TEMPLATE, {"all": TEMPLATE["Outputs"]}, **parameters)["all"]

    assert all("Condition" not in output for output in outputs.values())
    for name in ("Function", "Migrate", "Proxy", "Database"):
        assert {"Fn::GetAtt": [f"{name}SecurityGroup", "GroupId"]} == outputs[
            f"{name}SecurityGroupId"
        ]["Value"]
        assert f"{name}SecurityGroup" in resources
    own = "VpcId" not in parameters
    assert {"Ref": "Vpc" if own else "VpcId"} == outputs["VpcId"]["Value"]
    assert ({"Fn::Sub": "${SubnetA},${SubnetB}"} if own else {"Ref": "SubnetIds"}) == outputs[
        "SubnetIds"
    ]["Value"]


@pytest.mark.parametrize(
    ("zones", "own", "existing"),
    [
        ("both", ["SubnetA", "SubnetB"], {"Fn::Split": [",", {"Ref": "SubnetIds"}]}),
        ("one", ["SubnetA"], [{"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "SubnetIds"}]}]}]),
    ],
)
def test_endpoints_are_in_the_zones_that_are_paid_for(
    zones: str, own: list[str], existing: object
) -> None:
    """In both, or in one; under AWS's own names, so that nothing has to be told of them."""
    for name in ("SecretsEndpoint", "ParametersEndpoint"):
        ours = made("AWS::EC2::VPCEndpoint", InterfaceEndpoints=zones)[name]
        theirs = made("AWS::EC2::VPCEndpoint", InterfaceEndpoints=zones, **EXISTING)[name]

        assert [{"Ref": subnet} for subnet in own] == ours["SubnetIds"]
        assert existing == theirs["SubnetIds"]
        assert ours["PrivateDnsEnabled"] is theirs["PrivateDnsEnabled"] is True


def test_private_names_of_the_endpoints_are_answered() -> None:
    """They are not without both of the VPC's settings."""
    [vpc] = made("AWS::EC2::VPC").values()

    assert vpc["EnableDnsSupport"] is vpc["EnableDnsHostnames"] is True


def test_s3_endpoint_takes_answers_to_cloudformation_and_nothing_else() -> None:
    """Its bucket is called after the region without hyphens."""
    endpoint = made("AWS::EC2::VPCEndpoint")["S3Endpoint"]
    [statement] = endpoint["PolicyDocument"]["Statement"]

    region = {"Fn::Join": ["", {"Fn::Split": ["-", {"Ref": "AWS::Region"}]}]}
    bucket = "arn:${AWS::Partition}:s3:::cloudformation-custom-resource-response-${Region}/*"
    assert "Gateway" == endpoint["VpcEndpointType"]
    assert "s3:PutObject" == statement["Action"]
    assert {"Fn::Sub": [bucket, {"Region": region}]} == statement["Resource"]


def test_s3_endpoint_is_left_out_where_the_subnets_reach_s3_already() -> None:
    """A second one on the same route table is refused."""
    endpoints = made("AWS::EC2::VPCEndpoint", **{**EXISTING, "RouteTableIds": ""})

    assert "S3Endpoint" in made("AWS::EC2::VPCEndpoint", **EXISTING)
    assert "S3Endpoint" not in endpoints


@pytest.mark.parametrize("name", ["SecretsEndpoint", "ParametersEndpoint"])
def test_endpoints_serve_this_account_only(name: str) -> None:
    """No credentials of other accounts work here, and no secret of other accounts is reached."""
    [statement] = made("AWS::EC2::VPCEndpoint")[name]["PolicyDocument"]["Statement"]
    own = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}

    assert own == statement["Condition"]
    assert ":${AWS::Region}:${AWS::AccountId}:" in statement["Resource"]["Fn::Sub"]


def test_endpoints_let_through_what_the_functions_behind_them_may_do() -> None:
    """If a role grants what an endpoint refuses, it would fail only in the cloud."""
    let_through = {
        action
        for endpoint in ("SecretsEndpoint", "ParametersEndpoint")
        for statement in made("AWS::EC2::VPCEndpoint")[endpoint]["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    }
    roles = of_type("AWS::IAM::Role")
    granted = {
        action
        for function in of_type("AWS::Lambda::Function").values()
        if "VpcConfig" in function
        for policy in roles[function["Role"]["Fn::GetAtt"][0]]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if action.startswith(("secretsmanager:", "ssm:"))
    }

    assert granted
    assert granted == let_through


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_rejected_traffic_is_logged_for_a_while() -> None:
    """Every permitted way is known; what is rejected is not, and its log ends."""
    [flow_log] = made("AWS::EC2::FlowLog").values()
    [log_group] = made("AWS::Logs::LogGroup").values()

    assert "REJECT" == flow_log["TrafficType"]
    assert {"Ref": "LogRetentionDays"} == log_group["RetentionInDays"]
