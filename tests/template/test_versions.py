"""What parameters change reaches traffic: each alias moves with its function's configuration.

SAM hashes a function before its parameters have values, so a deployment that changes only those
publishes no version. Instead, a changed description of the version replaces the version.
"""

import json
from typing import Any

import pytest

from tests.support.sam_template import nested, transformed, written
from tests.support.template_variants import named

VERSIONS: dict[str, dict[str, Any]] = {
    resource["Properties"]["FunctionName"]["Ref"]: resource["Properties"]
    for resource in transformed().values()
    if resource["Type"] == "AWS::Lambda::Version"
}
LAYER = "layer:AWS-Parameters-and-Secrets-Lambda-Extension-Arm64:100"
EXTENSION = f"arn:aws:lambda:eu-west-1:123456789012:{LAYER}"
CHANGES: dict[str, dict[str, object]] = {
    "architecture": {"Architecture": "x86_64"},
    "lock": {"OriginLock": "true"},
    "extension": {"SecretsExtension": EXTENSION},
    "address": {"PublicUrl": "https://licences.example.com"},
    "domain": {"DomainName": "licences.example.com", "CertificateArn": "arn:aws:acm:x"},
    "throttle": {"RateLimit": 7},
    "reserve": {"ReservedConcurrency": 5},
    "origins": {"CorsOrigins": "https://portal.example.com"},
    "logs": {"LogRetentionDays": 7},
    "type": {"Deployment": "AllAtOnce"},
    "capacity": {"MaxCapacity": 16},
}


def configuration(function: str, **parameters: object) -> Any:
    """What a version keeps of its function."""
    properties = {
        name: value
        for name, value in transformed()[function]["Properties"].items()
        if name != "ReservedConcurrentExecutions"
    }
    return named(written(), **parameters).resolve(properties)


def description(function: str, **parameters: object) -> str:
    return named(written(), **parameters).resolve(VERSIONS[function]["Description"])


@pytest.mark.parametrize("function", sorted(VERSIONS))
@pytest.mark.parametrize("change", CHANGES)
def test_version_is_published_where_the_configuration_changes(function: str, change: str) -> None:
    """And nowhere else: Lambda refuses to publish an unchanged function."""
    before = configuration(function), description(function)
    after = configuration(function, **CHANGES[change]), description(function, **CHANGES[change])

    assert (before[0] != after[0]) == (before[1] != after[1])


@pytest.mark.parametrize("function", sorted(VERSIONS))
def test_name_that_moves_behind_cloudfront_publishes_nothing(function: str) -> None:
    """The same address, by another parameter, is the same configuration."""
    domain, address = CHANGES["domain"], CHANGES["address"]

    assert configuration(function, **domain) == configuration(function, **address)
    assert description(function, **domain) == description(function, **address)


@pytest.mark.parametrize("function", sorted(VERSIONS))
def test_version_is_published_where_the_database_or_its_subnets_change(function: str) -> None:
    """Place identifies both; a function that has neither does not name it."""
    text = json.dumps(transformed()[function]["Properties"])
    is_placed = "Outputs.Host" in text or "Outputs.SubnetIds" in text

    assert is_placed == ("Outputs.Place" in json.dumps(VERSIONS[function]["Description"]))


def test_place_is_made_of_host_and_subnets() -> None:
    """It identifies the host that functions connect to, of whatever kind."""
    outputs = nested("database")["Outputs"]
    place = json.dumps(outputs["Place"]["Value"])

    assert json.dumps(outputs["Host"]["Value"]) in place
    assert json.dumps({"Ref": "SubnetIds"}) in place


def test_description_fits() -> None:
    """A version's takes 256 letters: long names, two subnets and one's own extension fit."""
    place = (
        "permit-production.proxy-c123456789ab.ap-southeast-7 0123456789abcdef0,0123456789abcdef0"
    )
    address = "https://licences.some-company-with-a-long-name.com"
    values = {"SecretsExtension": EXTENSION, "PublicUrl": address, "Architecture": "x86_64"}

    longest = max((description(each, **values) for each in VERSIONS), key=len)

    assert 256 >= len(longest.replace("Database.Outputs.Place", place))
