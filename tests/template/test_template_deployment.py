"""template.yaml as a deployment: what waits for what, who moves traffic, what is chosen."""

import json
import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

import pytest

from tests.support.sam_template import (
    deployed,
    functions,
    nested,
    of_type,
    routes,
    source,
    transformed,
    written,
)

STACKS = ("network", "database", "observability")
ROUTED = {
    name
    for name, resource in written()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
    and resource["Properties"]["CodeUri"].removeprefix("functions/") in routes().values()
}
FRUGAL = {"Engine": "instance", "Proxy": "false", "ReservedConcurrency": 20}


def references(value: Any) -> Iterator[str]:
    """Everything that a resource names: other resources, and parameters too."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(name)}:
            yield name.partition(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from re.findall(r"\$\{(\w+)[.}]", text)
        case {"Fn::Sub": [str(text), values]}:
            yield from re.findall(r"\$\{(\w+)[.}]", text)
            yield from references(values)
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)
        case _:
            pass


def dependencies(resources: Mapping[str, Any]) -> dict[str, set[str]]:
    """What CloudFormation makes before each resource."""
    return {
        name: {each for each in references(resource) if each in resources}
        | ({resource["DependsOn"]} if isinstance(resource.get("DependsOn"), str) else set())
        | (set(resource["DependsOn"]) if isinstance(resource.get("DependsOn"), list) else set())
        for name, resource in resources.items()
    }


def all_before(name: str, **parameters: object) -> set[str]:
    """What CloudFormation makes before this resource, directly or not."""
    direct = dependencies(deployed(**parameters))
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = direct[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({}, id="standard"),
        pytest.param(FRUGAL, id="frugal"),
        pytest.param({"DomainName": "api.example.com", "OriginLock": "true"}, id="domain"),
    ],
)
def test_no_resource_waits_for_itself(parameters: dict[str, object]) -> None:
    """CloudFormation refuses a cycle, and finds it only when it is asked to deploy."""
    order = list(TopologicalSorter(dependencies(deployed(**parameters))).static_order())

    assert set(deployed(**parameters)) == set(order)


@pytest.mark.parametrize("function", sorted(ROUTED | {"OperatorFunction", "SweepFunction"}))
def test_new_code_waits_for_the_migration(function: str) -> None:
    """A deployment that cannot migrate changes no function that asks the database."""
    assert "Migration" in all_before(function)


def test_the_page_waits_for_the_alarms_that_it_names() -> None:
    """CloudWatch refuses a composite alarm that names one which is not there yet."""
    assert set(of_type("AWS::CloudWatch::Alarm")) <= all_before("Observability")


def test_migration_waits_for_all_that_it_needs() -> None:
    """Endpoints and rules, the writer, and a role with all of its policies; and for no new code."""
    before = all_before("Migration")

    assert {"Network", "Database", "MigrateFunction", "MigrateRole", "NetworkAccess"} <= before
    assert not before & (ROUTED | {"Api", "Observability"})


def test_another_database_is_migrated_too() -> None:
    """A restored snapshot may be older than the code; its resource id is another."""
    migration = deployed()["Migration"]["Properties"]

    assert {"Fn::GetAtt": ["Database", "Outputs.DirectUsers"]} == migration["Database"]
    assert "DBClusterResourceId" in json.dumps(nested("database")["Outputs"]["DirectUsers"])


def test_probe_waits_for_an_api_that_answers() -> None:
    """A probe while the stack is being made would ring the alarm of a new stack."""
    assert {"Api", "HealthFunction", "Migration"} <= all_before("ProbeFunction")


def test_cloudformation_hears_of_the_migration_in_time() -> None:
    """The function ends before CloudFormation stops waiting, and is not tried a second time."""
    migration = deployed()["Migration"]["Properties"]
    migrate = of_type("AWS::Lambda::Function")["MigrateFunction"]
    [retries] = [
        config["MaximumRetryAttempts"]
        for config in of_type("AWS::Lambda::EventInvokeConfig").values()
        if config["FunctionName"] == {"Ref": "MigrateFunction"}
    ]

    assert 900 == migration["ServiceTimeout"]
    assert migrate["Timeout"] < migration["ServiceTimeout"]
    assert 0 == retries


def test_functions_with_a_route_are_deployed_by_canary() -> None:
    """Each alias is moved by CodeDeploy, and no other function has one."""
    groups = of_type("AWS::CodeDeploy::DeploymentGroup")
    moved = {
        name
        for name, resource in transformed().items()
        if "CodeDeployLambdaAliasUpdate" in resource.get("UpdatePolicy", {})
    }

    assert {f"{name}DeploymentGroup" for name in ROUTED} == set(groups)
    assert {f"{name}Aliaslive" for name in ROUTED} == moved


@pytest.mark.parametrize("function", sorted(ROUTED))
def test_deployment_is_rolled_back_by_the_errors_of_its_own_alias(function: str) -> None:
    """An alarm that silence does not raise: new code that nobody calls yet is not at fault."""
    group = of_type("AWS::CodeDeploy::DeploymentGroup")[f"{function}DeploymentGroup"]
    [name] = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
    alarm = of_type("AWS::CloudWatch::Alarm")[name]

    assert ("AWS/Lambda", "Errors") == (alarm["Namespace"], alarm["MetricName"])
    assert [
        {"Name": "FunctionName", "Value": {"Ref": function}},
        {"Name": "Resource", "Value": {"Fn::Join": [":", [{"Ref": function}, "live"]]}},
    ] == alarm["Dimensions"]
    assert "notBreaching" == alarm["TreatMissingData"]
    assert alarm["AlarmActions"]
    assert alarm["DatapointsToAlarm"] * alarm["Period"] < 300  # within the canary's five minutes
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


def test_deployment_can_be_all_at_once() -> None:
    """For a private stage, and for a fix that cannot wait."""
    chosen = source().replace("Default: Canary10Percent5Minutes", "Default: AllAtOnce")

    names = {
        json.dumps(resource["Properties"]["DeploymentConfigName"])
        for resource in transformed(chosen).values()
        if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup"
    }

    assert 1 == len(names)
    assert "AllAtOnce" in names.pop()


@pytest.mark.parametrize("function", sorted(ROUTED))
def test_no_alarm_stops_an_emergency(function: str) -> None:
    """Empty, not absent: what is absent CodeDeploy keeps, and an enabled empty list it refuses."""

    def watched(deployment: str) -> Any:
        groups = of_type("AWS::CodeDeploy::DeploymentGroup", Deployment=deployment)
        return groups[f"{function}DeploymentGroup"]["AlarmConfiguration"]

    assert {} == watched("AllAtOnce")
    assert watched("Canary10Percent5Minutes")["Enabled"]
    assert watched("Linear10PercentEvery1Minute")["Enabled"]


def test_concurrency_is_reserved_only_when_asked_for() -> None:
    """A new account's limit of 10 leaves nothing to reserve."""
    standard = of_type("AWS::Lambda::Function")
    frugal = of_type("AWS::Lambda::Function", **FRUGAL)
    reserved = {n for n, each in frugal.items() if "ReservedConcurrentExecutions" in each}

    assert not any("ReservedConcurrentExecutions" in each for each in standard.values())
    assert ROUTED == reserved


@pytest.mark.parametrize("stack", STACKS)
def test_nested_stack_is_given_what_it_asks_for(stack: str) -> None:
    """Every parameter that it has no default for, and none that it does not know."""
    known = nested(stack)["Parameters"]
    [given] = [
        set(properties["Parameters"])
        for properties in of_type("AWS::CloudFormation::Stack").values()
        if f"stacks/{stack}.yaml" in json.dumps(properties["TemplateURL"])
    ]

    assert given <= set(known)
    assert {name for name, each in known.items() if "Default" not in each} <= given


@pytest.mark.parametrize("stack", STACKS)
def test_nested_stack_has_the_outputs_that_are_used(stack: str) -> None:
    """CloudFormation finds a missing one only halfway through a deployment."""
    text = json.dumps([transformed(), written()["Outputs"]])
    used = set(re.findall(rf"{stack.title()}\"?[.,] ?\"?Outputs\.(\w+)", text))

    assert used <= set(nested(stack).get("Outputs", {}))


def test_extension_is_the_newest_unless_it_is_given_or_left_out() -> None:
    """AWS's public parameter for either architecture, one's own ARN, or none at all."""

    def of_login(**parameters: object) -> list[Any]:
        return of_type("AWS::Lambda::Function", **parameters)["LoginFunction"]["Layers"][2:]

    newest = "{{resolve:ssm:/aws/service/aws-parameters-and-secrets-lambda-extension/%s/latest}}"
    assert [newest % "arm64"] == of_login()
    assert [newest % "x86"] == of_login(Architecture="x86_64")
    assert [{"Ref": "SecretsExtension"}] == of_login(SecretsExtension="arn:aws:lambda:layer")
    assert [] == of_login(SecretsExtension="none")


def test_pages_of_other_origins_are_let_in_by_parameter_only() -> None:
    """Without origins there is no CORS configuration at all."""

    def cors(**parameters: object) -> Any:
        return of_type("AWS::ApiGatewayV2::Api", **parameters)["Api"]["Body"].get(
            "x-amazon-apigateway-cors"
        )

    assert cors() is None
    allowed = cors(CorsOrigins="https://portal.example.com")
    assert {"authorization", "content-type", "idempotency-key"} == set(allowed["allowHeaders"])
    assert "allowCredentials" not in allowed


def test_own_domain_closes_the_default_address() -> None:
    """Otherwise anybody who finds it could bypass what is in front."""

    def is_closed(**parameters: object) -> bool:
        [server] = of_type("AWS::ApiGatewayV2::Api", **parameters)["Api"]["Body"]["servers"]
        return server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]

    assert not is_closed()
    assert is_closed(DomainName="api.example.com")


def test_two_stacks_fit_in_one_account() -> None:
    """Every name that we choose is the stack's own."""
    for name, resource in deployed().items():
        if resource["Type"] == "AWS::Lambda::Alias":
            continue  # the function's own
        for key in ("Name", "FunctionName", "LogGroupName", "QueueName", "AlarmName"):
            chosen = resource.get("Properties", {}).get(key)
            if chosen is not None and not set(references(chosen)) & set(deployed()):
                assert "${AWS::StackName}" in json.dumps(chosen), name


def test_nothing_is_public_but_the_api() -> None:
    """No function has an address of its own, and only named services may invoke one."""
    kinds = {resource["Type"] for resource in transformed().values()}
    invokers = {each["Principal"] for each in of_type("AWS::Lambda::Permission").values()}

    assert not kinds & {"AWS::Lambda::Url", "AWS::EC2::InternetGateway", "AWS::S3::Bucket"}
    assert {"apigateway.amazonaws.com", "secretsmanager.amazonaws.com"} == invokers
    assert all(
        "SourceArn" in permission for permission in of_type("AWS::Lambda::Permission").values()
    )


def test_scheduled_functions_leave_what_failed_in_the_queue() -> None:
    """Failed runs are kept, and the role may send them there."""
    queue = {"Fn::GetAtt": ["FailedRuns", "Arn"]}
    kept = {
        config["FunctionName"]["Ref"]
        for config in of_type("AWS::Lambda::EventInvokeConfig").values()
        if config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") == queue
    }
    scheduled = {
        name
        for name, resource in written()["Resources"].items()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    }

    assert scheduled == kept
    for function in kept:
        role = of_type("AWS::Lambda::Function")[function]["Role"]["Fn::GetAtt"][0]
        assert json.dumps(queue) in json.dumps(of_type("AWS::IAM::Role")[role])


def test_first_token_key_needs_no_operator() -> None:
    """The rotation starts with its schedule, once Secrets Manager may invoke it."""
    schedule = deployed()["TokenKeysRotation"]

    assert schedule["Properties"]["RotateImmediatelyOnUpdate"] is True
    assert {"TokenRotationPermission", "TokenRotationFunction"} <= all_before("TokenKeysRotation")
    assert "token_rotation" in functions()
