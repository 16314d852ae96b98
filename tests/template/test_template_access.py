"""template.yaml gives each function what it uses and nothing else, and loses no key."""

import json
import re
from typing import Any

import pytest

from permit.security.sealing import MasterKeys
from permit.security.token_keys import TokenKeys
from tests.support.sam_template import of_type, transformed

FUNCTIONS = sorted(of_type("AWS::Lambda::Function"))
OPEN_POLICIES = {"NetworkAccess", "TracingAccess"}


def role_of(function: str) -> dict[str, Any]:
    role = of_type("AWS::Lambda::Function")[function]["Role"]["Fn::GetAtt"][0]
    return of_type("AWS::IAM::Role")[role]


def statements(function: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in role_of(function)["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def granted(function: str) -> dict[str, set[str]]:
    """The resources of each action, with their references written as text."""
    found: dict[str, set[str]] = {}
    for statement in statements(function):
        actions, resources = statement["Action"], statement["Resource"]
        for action in actions if isinstance(actions, list) else [actions]:
            for resource in resources if isinstance(resources, list) else [resources]:
                found.setdefault(action, set()).add(as_text(resource))
    return found


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_each_function_has_a_role_of_its_own() -> None:
    """A shared role would give each what the other needs."""
    roles = [
        function["Role"]["Fn::GetAtt"][0] for function in of_type("AWS::Lambda::Function").values()
    ]

    assert len(roles) == len(set(roles)) == len(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_role_grants_all_resources_or_all_actions(function: str) -> None:
    """Actions that AWS allows only on all resources are in the two policies that say why."""
    attached = {policy["Ref"] for policy in role_of(function)["ManagedPolicyArns"]}

    assert attached <= OPEN_POLICIES
    for action, resources in granted(function).items():
        assert "*" not in action
        assert not any("*" in resource for resource in resources)


def test_open_policies_hold_what_has_no_resource() -> None:
    """Tracing and network interfaces; and the function's own code may not touch the latter."""
    policies = of_type("AWS::IAM::ManagedPolicy")
    [tracing] = policies["TracingAccess"]["PolicyDocument"]["Statement"]
    allow, deny = policies["NetworkAccess"]["PolicyDocument"]["Statement"]

    assert OPEN_POLICIES == set(policies)
    assert {action.split(":")[0] for action in tracing["Action"]} == {"xray"}
    assert allow["Action"] == deny["Action"]
    assert ("Allow", "Deny") == (allow["Effect"], deny["Effect"])
    assert {"Null": {"lambda:SourceFunctionArn": "false"}} == deny["Condition"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_signs_in_as_its_own_database_user_only(function: str) -> None:
    """The user of the environment is the one that the role may connect as."""
    variables = of_type("AWS::Lambda::Function")[function]["Environment"]["Variables"]
    users = {
        match[1]
        for resource in granted(function).get("rds-db:connect", set())
        if (match := re.search(r"\"\$\{Database\.Outputs\.Users\}/(\w+)\"", resource))
    }

    user = variables.get("PERMIT_DATABASE_USER")
    assert ({user} if user else set()) == users


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_writes_to_its_own_log_group_only(function: str) -> None:
    """It cannot read or write others' logs, and cannot make a log group without retention."""
    group = of_type("AWS::Lambda::Function")[function]["LoggingConfig"]["LogGroup"]["Ref"]
    logs = {action: where for action, where in granted(function).items() if action[:5] == "logs:"}

    own = {json.dumps({"Fn::GetAtt": [group, "Arn"]})}
    assert {"logs:CreateLogStream": own, "logs:PutLogEvents": own} == logs


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_reads_the_secrets_of_its_environment_only(function: str) -> None:
    """Every secret that its settings name, and no other."""
    variables = of_type("AWS::Lambda::Function")[function]["Environment"]["Variables"].values()
    secrets = of_type("AWS::SecretsManager::Secret")
    told = {
        as_text(value)
        for value in variables
        if isinstance(value, dict)
        and (value.get("Ref") in secrets or re.search(":ssm:|OwnerSecretArn", as_text(value)))
    }

    read = granted(function)
    assert told == read.get("secretsmanager:GetSecretValue", set()) | read.get(
        "ssm:GetParameter", set()
    )


def test_only_the_operator_and_the_rotation_write_secrets() -> None:
    """No function that answers callers can replace a key."""
    writers = {
        function
        for function in FUNCTIONS
        for action in granted(function)
        if re.match(r"(secretsmanager|ssm):(?!Get)", action)
    }

    assert {"OperatorFunction", "TokenRotationFunction"} == writers


@pytest.mark.parametrize("alias", sorted(of_type("AWS::Lambda::Alias")))
def test_deployment_may_move_the_alias_of_its_own_function_only(alias: str) -> None:
    """CodeDeploy's role names the function and its alias, none of the others, no other stack's."""
    function = of_type("AWS::Lambda::Alias")[alias]["FunctionName"]["Ref"]
    group = of_type("AWS::CodeDeploy::DeploymentGroup")[f"{function}DeploymentGroup"]
    role = of_type("AWS::IAM::Role")[group["ServiceRoleArn"]["Fn::GetAtt"][0]]
    statement, alarms = role["Policies"][0]["PolicyDocument"]["Statement"]
    arn = {"Fn::GetAtt": [function, "Arn"]}

    assert [arn, {"Fn::Join": [":", [arn, "live"]]}] == statement["Resource"]
    assert "cloudwatch:DescribeAlarms" == alarms["Action"]


def test_every_log_group_ends() -> None:
    """Logs name callers' addresses, which are not kept for ever."""
    groups = of_type("AWS::Logs::LogGroup")

    assert len(groups) == len(FUNCTIONS) + 1
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


@pytest.mark.parametrize("secret", ["MasterKeys", "TokenKeys", "TokenJwks"])
def test_keys_outlive_the_stack(secret: str) -> None:
    """Deleting the stack, or replacing the resource, destroys no key."""
    resource = transformed()[secret]

    assert ("RetainExceptOnCreate", "Retain") == (
        resource["DeletionPolicy"],
        resource["UpdateReplacePolicy"],
    )


@pytest.mark.parametrize("secret", ["MasterKeys", "ThrottleKey", "AnswerKeys"])
def test_generated_keys_are_64_hexadecimal_digits(secret: str) -> None:
    """CloudFormation may use 0 to 9 and a to f."""
    generated = of_type("AWS::SecretsManager::Secret")[secret]["GenerateSecretString"]
    excluded = set(generated["ExcludeCharacters"])

    assert 64 == generated["PasswordLength"]
    assert generated["ExcludePunctuation"] is generated["ExcludeUppercase"] is True
    assert set("0123456789abcdef") == set("0123456789abcdefghijklmnopqrstuvwxyz") - excluded


def test_first_master_keys_are_read_by_the_code() -> None:
    """The template and the code agree on the format."""
    generated = of_type("AWS::SecretsManager::Secret")["MasterKeys"]["GenerateSecretString"]
    first = json.loads(generated["SecretStringTemplate"]) | {
        generated["GenerateStringKey"]: "0a" * 32
    }

    assert "1" == MasterKeys.parse(json.dumps(first)).current_version


def test_first_token_keys_are_an_empty_set() -> None:
    """There is no default key: the rotation makes the first."""
    first = of_type("AWS::SecretsManager::Secret")["TokenKeys"]["SecretString"]

    assert {"keys": []} == json.loads(TokenKeys.parse(first).dump())
    assert {"keys": []} == json.loads(of_type("AWS::SSM::Parameter")["TokenJwks"]["Value"])
