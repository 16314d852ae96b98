"""stacks/network.yaml: who may connect to whom, by every rule of every security group."""

from itertools import product
from typing import Any

import pytest

from tests.support.sam_template import nested
from tests.support.template_variants import variant

TEMPLATE = nested("network")
VARIANTS = [
    pytest.param(
        {"VpcId": vpc, "Proxy": proxy, "InterfaceEndpoints": endpoints},
        id=f"vpc={vpc or 'own'}-proxy={proxy}-endpoints={endpoints}",
    )
    for vpc, proxy, endpoints in product(["", "vpc-1"], ["true", "false"], ["both", "one", "none"])
]
Way = tuple[str, str, int]


def made(kind: str, parameters: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Properties of the resources of this type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in variant(TEMPLATE, **parameters).items()
        if resource["Type"] == kind
    }


def group(reference: dict[str, str]) -> str:
    """The group's logical id."""
    return reference["Fn::GetAtt"][0].removesuffix("SecurityGroup")


def port(rule: dict[str, Any]) -> int:
    assert "tcp" == rule["IpProtocol"]
    assert rule["FromPort"] == rule["ToPort"]
    return int(rule["FromPort"])


def let_in(parameters: dict[str, str]) -> set[Way]:
    """The rules for connections in; every rule names a group."""
    rules = made("AWS::EC2::SecurityGroupIngress", parameters).values()
    return {
        (group(rule["SourceSecurityGroupId"]), group(rule["GroupId"]), port(rule)) for rule in rules
    }


def let_out(parameters: dict[str, str]) -> set[Way]:
    """The rules for connections out: to a group, or to a range of addresses."""
    return {
        (
            group(rule["GroupId"]),
            rule.get("CidrIp") or group(rule["DestinationSecurityGroupId"]),
            port(rule),
        )
        for rule in made("AWS::EC2::SecurityGroupEgress", parameters).values()
    }


def expected_ways(parameters: dict[str, str]) -> set[Way]:
    """Between groups: to the database by the proxy, if there is one, and to the endpoints."""
    ways = {("Migrate", "Database", 5432)}
    if parameters["Proxy"] == "true":
        ways |= {("Function", "Proxy", 5432), ("Proxy", "Database", 5432)}
    else:
        ways |= {("Function", "Database", 5432)}
    if parameters["InterfaceEndpoints"] != "none":
        ways |= {("Function", "Endpoint", 443)}
    return ways


@pytest.mark.parametrize("parameters", VARIANTS)
def test_only_those_are_let_in_who_have_to_be(parameters: dict[str, str]) -> None:
    """Functions to the proxy, the proxy and migrate to the database, and no address range."""
    ways = expected_ways(parameters)
    if parameters["InterfaceEndpoints"] != "none":
        ways |= {("Migrate", "Endpoint", 443)}

    assert ways == let_in(parameters)


@pytest.mark.parametrize("parameters", VARIANTS)
def test_nobody_is_let_out_further_than_he_has_to_be(parameters: dict[str, str]) -> None:
    """The other ends of the same ways; and migrate to S3, which has public addresses."""
    ways = expected_ways(parameters) | {("Migrate", "0.0.0.0/0", 443)}
    if parameters["InterfaceEndpoints"] == "none":
        ways |= {("Function", "0.0.0.0/0", 443)}

    assert ways == let_out(parameters)


@pytest.mark.parametrize("parameters", VARIANTS)
def test_no_group_keeps_the_rule_that_allows_everything_out(parameters: dict[str, str]) -> None:
    """A group made without a rule would; and no group has rules that its resource hides."""
    groups = made("AWS::EC2::SecurityGroup", parameters)

    assert len(groups) == (4 if parameters["InterfaceEndpoints"] == "none" else 5)
    for properties in groups.values():
        assert ["127.0.0.1/32"] == [rule["CidrIp"] for rule in properties["SecurityGroupEgress"]]
        assert "SecurityGroupIngress" not in properties
