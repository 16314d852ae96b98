"""stacks/pipeline.yaml: which of GitHub's tokens are accepted, and what the roles may."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.sam_template import deployed, nested

PIPELINE = nested("pipeline")
ROLES = {
    name: resource["Properties"]
    for name, resource in PIPELINE["Resources"].items()
    if resource["Type"] == "AWS::IAM::Role"
}
STACKS = ("network", "database", "observability")
# The namespaces of IAM where they are not called as the namespaces of CloudFormation.
ACTIONS_OF = {
    "ApiGatewayV2": "apigateway",
    "Certificate": "acm",
    "CodeDeploy": "codedeploy",
    "Serverless": "lambda",
}


def statements(role: str) -> Iterator[dict[str, Any]]:
    for policy in ROLES[role]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(("role", "environment"), [("PipelineRole", ""), ("WatchRole", "-watch")])
def test_role_is_for_the_jobs_of_one_environment(role: str, environment: str) -> None:
    """Exactly: a pattern would also accept jobs that nobody thought of."""
    [trust] = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]

    issuer = "token.actions.githubusercontent.com"
    subject = f"repo:${{Repository}}:environment:${{Environment}}{environment}"
    assert {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": {"Fn::Sub": subject},
        }
    } == trust["Condition"]


def test_pipeline_hands_its_stack_to_cloudformation_only() -> None:
    """It makes nothing itself, and passes one role to one service."""
    actions = [action for each in statements("PipelineRole") for action in listed(each["Action"])]
    [passed] = [each for each in statements("PipelineRole") if each["Action"] == "iam:PassRole"]

    assert {"cloudformation", "s3", "iam"} == {action.partition(":")[0] for action in actions}
    assert {"Fn::GetAtt": ["ExecutionRole", "Arn"]} == passed["Resource"]
    assert {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}} == passed[
        "Condition"
    ]


@pytest.mark.parametrize("role", ["PipelineRole", "WatchRole"])
def test_job_reads_no_secret_and_no_data(role: str) -> None:
    """An attacker in a job gets no customer's key."""
    actions = {action for each in statements(role) for action in listed(each["Action"])}

    assert not actions & {
        *("secretsmanager:GetSecretValue", "lambda:InvokeFunction", "rds-db:connect"),
        *("logs:GetLogEvents", "logs:FilterLogEvents", "logs:StartQuery", "sts:AssumeRole"),
    }
    assert not [action for action in actions if action.endswith(":*") or action == "*"]


def test_execution_role_is_cloudformations() -> None:
    """Of this account."""
    [trust] = ROLES["ExecutionRole"]["AssumeRolePolicyDocument"]["Statement"]

    assert {"Service": "cloudformation.amazonaws.com"} == trust["Principal"]
    assert {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}} == trust["Condition"]


def test_execution_role_knows_every_service_of_the_templates() -> None:
    """A resource of a new kind needs its actions here, or the pipeline stops halfway."""
    allowed = {
        action.partition(":")[0]
        for each in statements("ExecutionRole")
        for action in listed(each["Action"])
    }
    everything = {
        "Insights": "standard",
        "DomainName": "a.example",
        "HostedZoneId": "Z",
        "OriginLock": "true",
    }
    kinds = {resource["Type"] for resource in deployed(**everything).values()} | {
        resource["Type"] for stack in STACKS for resource in nested(stack)["Resources"].values()
    }
    services = {kind.split("::")[1] for kind in kinds if kind.startswith("AWS::")}

    assert {ACTIONS_OF.get(service, service.lower()) for service in services} <= allowed


def test_what_it_may_everywhere_knows_no_name() -> None:
    """It has whole services only by the stack's name, or for kinds that have no names."""
    everywhere = {
        action
        for each in statements("ExecutionRole")
        if listed(each["Resource"]) == ["*"]
        for action in listed(each["Action"])
    }

    assert not [action for action in everywhere if action.endswith(":*")]
    assert not [action for action in everywhere if action.startswith(("iam:", "lambda:", "sts:"))]


def test_execution_role_may_make_every_secret() -> None:
    """Each by its name; a secret that is missing here stops the deployment that adds it."""
    made = {
        name
        for name, resource in deployed(OriginLock="true").items()
        if resource["Type"] == "AWS::SecretsManager::Secret"
    }
    [granted] = [
        each["Resource"]
        for each in statements("ExecutionRole")
        if each["Action"] == "secretsmanager:*"
    ]
    named = {each["Fn::Sub"].rpartition(":secret:")[2] for each in granted}

    assert {f"{name}-*" for name in made} | {"rds!*"} == named
