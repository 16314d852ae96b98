"""AWS on this machine: ministack, and what the stack needs that ministack lacks.

Runs under .venv-emulate. The built template is deployed as it is; so each type of resource that
ministack does not know is made here. NOT_EMULATED are made in name only: docs/deploy.md lists them
beside what only an account can prove.
"""

import contextvars
import json
import os
import string
import threading
from pathlib import Path
from typing import Any

from ministack import app
from ministack.services import apigateway, cloudformation, lambda_svc, secretsmanager, ssm, sts
from ministack.services.cloudformation import drift, provisioners

NOT_EMULATED = (
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::EC2::FlowLog",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::Logs::QueryDefinition",
    "AWS::RDS::DBProxyTargetGroup",
)
ROTATION_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

HANDLERS = provisioners._RESOURCE_HANDLERS

Made = tuple[str, dict[str, Any]]


def main() -> None:
    """Serves until it is told to end; its settings are ministack's environment variables."""
    for kind in NOT_EMULATED:
        HANDLERS[kind] = {"create": in_name_only, "delete": nothing}
    with_secrets()
    with_databases()
    with_routes_of_a_body()
    with_metric_math()
    with_policies_of_nested_stacks()
    with_attributes_of_nested_stacks()
    with_sessions_told()
    with_loopback_as_tls()
    HANDLERS["AWS::IAM::OIDCProvider"] = {"create": identity_provider, "delete": nothing}
    app.main()


def in_name_only(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
    """A resource of which nothing but its name is used."""
    return f"{stack}-{logical_id}", {}


def nothing(physical_id: str, properties: dict[str, Any]) -> None:
    """Deletes what was made in name only."""


# ------------------------------------------------------------------------------------- secrets


def with_secrets() -> None:
    """A secret's Ref is its ARN, its first value is as it was ordered, and it is rotated."""
    secret = HANDLERS["AWS::SecretsManager::Secret"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        _, attributes = provisioners._sm_secret_create(logical_id, ordered(properties), stack)
        return attributes["Id"], attributes

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> Made:
        name = secret_of(physical_id)["Name"]
        _, attributes = provisioners._sm_secret_update(
            name, ordered(old), ordered(new), stack, logical_id
        )
        return attributes["Id"], attributes

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        provisioners._sm_secret_delete(secret_of(physical_id)["Name"], properties)

    secret.update(create=create, update=update, delete=delete, update_with_logical_id=True)
    HANDLERS["AWS::SecretsManager::RotationSchedule"] = {"create": schedule, "delete": nothing}

    read, compared = drift._DRIFT_READERS["AWS::SecretsManager::Secret"]
    drift._DRIFT_READERS["AWS::SecretsManager::Secret"] = (
        lambda arn, properties: read(secret_of(arn)["Name"], properties),
        compared,
    )

    parameter = HANDLERS["AWS::SSM::Parameter"]
    make = parameter["create"]

    def create_parameter(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        # ministack's own name would begin with a slash, which an ARN does not repeat.
        named = {"Name": f"CFN-{stack}-{logical_id}", **properties}
        return make(logical_id, named, stack)

    parameter["create"] = create_parameter
    # What AWS publishes, such as the newest secrets extension, is put there from outside.
    ssm._reserved_name_error = lambda name: None


def secret_of(arn: str) -> dict[str, Any]:
    return secretsmanager._resolve(arn)[1]


def ordered(properties: dict[str, Any]) -> dict[str, Any]:
    """ministack reads ExcludeCharacters alone: what the other switches exclude is named there."""
    order = properties.get("GenerateSecretString")
    if not order:
        return properties
    excluded = order.get("ExcludeCharacters", "")
    excluded += string.punctuation if order.get("ExcludePunctuation") else ""
    excluded += string.ascii_uppercase if order.get("ExcludeUppercase") else ""
    return {**properties, "GenerateSecretString": {**order, "ExcludeCharacters": excluded}}


def schedule(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
    """Rotates once, in the background, as RotateImmediatelyOnUpdate asks; never again."""
    secret = secret_of(properties["SecretId"])
    secret.update(RotationEnabled=True, RotationLambdaARN=properties["RotationLambdaARN"])
    account_and_region = contextvars.copy_context()
    threading.Thread(target=account_and_region.run, args=(rotate, secret), daemon=True).start()
    return secret["ARN"], {}


class Ordered(dict[str, Any]):
    """A version with a label and no value yet: a request for its value does not find it."""

    def __bool__(self) -> bool:
        return False


def rotate(secret: dict[str, Any]) -> None:
    version = provisioners.new_uuid()
    secret["Versions"][version] = Ordered(Stages=["AWSPENDING"], CreatedDate=0)
    for step in ROTATION_STEPS:
        event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": version}
        run(secret["RotationLambdaARN"], event)


def run(function: str, event: dict[str, Any]) -> None:
    """Invokes a function as an AWS service does; raises where it fails."""
    record, config, _ = lambda_svc._get_func_record_for_ref(function)
    record = lambda_svc._execution_record_for_config(record, config)
    answer = lambda_svc._execute_function_with_config_scope(record, event)
    if answer.get("error"):
        raise ValueError(f"{config['FunctionName']} failed: {answer}")


# ----------------------------------------------------------------------------------- databases


def with_databases() -> None:
    """Names under which containers reach the one Postgres of this machine, and its owner's secret.

    `<identifier>-<kind>.` and the domain that the environment gives; the owner's user name and
    password are its too.
    """
    for kind, resource_type in (("cluster", "DBCluster"), ("instance", "DBInstance")):
        handler = HANDLERS[f"AWS::RDS::{resource_type}"]
        for action in ("create", "update"):
            handler[action] = managed(handler[action], kind)
        handler["delete"] = without_secret(handler["delete"], kind)
    HANDLERS["AWS::RDS::DBProxy"] = {"create": proxy, "delete": nothing}


def address(identifier: str, kind: str) -> str:
    return f"{identifier}-{kind}.{os.environ['EMULATED_DOMAIN']}"


def managed(make: Any, kind: str) -> Any:
    def make_managed(*given: Any) -> Made:
        identifier, attributes = make(*given)
        name = f"rds!{kind}-{identifier}"
        if name not in secretsmanager._secrets:
            value = {"Name": name, "SecretString": os.environ["EMULATED_OWNER"]}
            provisioners._sm_secret_create(name, value, "")
        return identifier, attributes | {
            "Endpoint.Address": address(identifier, kind),
            "MasterUserSecret.SecretArn": secretsmanager._secrets[name]["ARN"],
        }

    return make_managed


def without_secret(delete: Any, kind: str) -> Any:
    def delete_both(physical_id: str, properties: dict[str, Any]) -> None:
        delete(physical_id, properties)
        secretsmanager._secrets.pop(f"rds!{kind}-{physical_id}", None)

    return delete_both


def proxy(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
    name = properties["DBProxyName"]
    arn = f"arn:aws:rds:{os.environ['MINISTACK_REGION']}:{os.environ['MINISTACK_ACCOUNT_ID']}"
    return name, {
        "Endpoint": address(name, "proxy"),
        "DBProxyArn": f"{arn}:db-proxy:prx-{name}",
    }


# ------------------------------------------------------------------------------------- the API


def with_routes_of_a_body() -> None:
    """An HTTP API's Body, which is all that SAM makes of it: its routes and its CORS."""
    api = HANDLERS["AWS::ApiGatewayV2::Api"]
    make, change = api["create"], api["update"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        api_id, attributes = make(logical_id, configured(properties), stack)
        route(api_id, properties["Body"])
        return api_id, attributes

    def update(
        api_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> Made:
        made = change(api_id, configured(old), configured(new), stack, logical_id)
        route(api_id, new["Body"])
        return made

    api.update(create=create, update=update, update_with_logical_id=True)


def configured(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties, with what the body says of names, CORS and the default address."""
    body = properties["Body"]
    [server] = body.get("servers", [{}])
    endpoint = server.get("x-amazon-apigateway-endpoint-configuration", {})
    cors = body.get("x-amazon-apigateway-cors")
    return {
        **properties,
        "Name": body["info"]["title"],
        "DisableExecuteApiEndpoint": endpoint.get("disableExecuteApiEndpoint", False),
        **({"CorsConfiguration": cors} if cors else {}),
    }


def route(api_id: str, body: dict[str, Any]) -> None:
    apigateway._routes[api_id] = {}
    apigateway._integrations[api_id] = {}
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            asked = operation["x-amazon-apigateway-integration"]
            integration, _ = provisioners._apigw_v2_integration_create(
                path, {"ApiId": api_id, "IntegrationUri": asked["uri"]}, ""
            )
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            target = f"integrations/{integration}"
            given = {"ApiId": api_id, "RouteKey": f"{verb} {path}", "Target": target}
            provisioners._apigw_v2_route_create(path, given, "")


# ---------------------------------------------------------------------------- alarms and stacks


def with_metric_math() -> None:
    """An alarm over a formula of metrics is made in name only."""
    alarm = HANDLERS["AWS::CloudWatch::Alarm"]
    make, change = alarm["create"], alarm["update"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        made = in_name_only if "Metrics" in properties else make
        return made(logical_id, properties, stack)

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> Made:
        if "Metrics" in new:
            return physical_id, {}
        return change(physical_id, old, new, stack, logical_id)

    alarm.update(create=create, update=update, update_with_logical_id=True)


def with_policies_of_nested_stacks() -> None:
    """Deletes a nested stack as its DeletionPolicies say: ministack deletes all of it."""
    nested = HANDLERS["AWS::CloudFormation::Stack"]
    delete_all = nested["delete"]

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        stack = cloudformation._stacks[provisioners._nested_stack_lookup_name(physical_id)]
        for name, made in list(stack["_resources"].items()):
            policy = stack["_template"]["Resources"][name].get("DeletionPolicy", "Delete")
            if policy == "Snapshot":
                provisioners._snapshot_resource(
                    made["ResourceType"], made["PhysicalResourceId"], made["Properties"]
                )
            elif policy != "Delete":
                del stack["_resources"][name]
        delete_all(physical_id, properties)

    nested["delete"] = delete


def with_attributes_of_nested_stacks() -> None:
    """Keeps the attributes of what an update leaves as it is: ministack loses nested ones."""
    update = provisioners._update_resource

    def update_and_keep(*given: Any, **options: Any) -> Made:
        _, _, _, _, stack, logical_id, *_ = given
        made = cloudformation._stacks[stack]["_resources"].get(logical_id, {})
        return update(*given, **({"old_attrs": made.get("Attributes")} | options))

    provisioners._update_resource = update_and_keep


# ------------------------------------------------------------------------------------ sessions


def with_sessions_told() -> None:
    """Writes down the credentials of each running function, for the doubles that check them."""
    register = sts.register_session
    told = Path(os.environ["EMULATED_SESSIONS"])

    def register_and_tell(access_key: str, session: dict[str, Any]) -> None:
        register(access_key, session)
        with told.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"AccessKeyId": access_key, **session}) + "\n")

    sts.register_session = register_and_tell


def with_loopback_as_tls() -> None:
    """SAM's bucket refuses what does not come by TLS, which loopback does without."""
    pin = app.pin_request_origin

    def pin_as_tls(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_as_tls


def identity_provider(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
    """Its Ref is its ARN, by which roles trust it; its tokens are believed unsigned here."""
    account, host = os.environ["MINISTACK_ACCOUNT_ID"], properties["Url"].removeprefix("https://")
    arn = f"arn:aws:iam::{account}:oidc-provider/{host}"
    return arn, {"Arn": arn}


if __name__ == "__main__":
    main()
