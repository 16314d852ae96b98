"""Secrets, their rotation, and parameters, as Secrets Manager and Parameter Store keep them."""

import contextvars
import string
import threading
from typing import Any

from ministack.services import lambda_svc, secretsmanager, ssm
from ministack.services.cloudformation import drift, provisioners

from lacking.handlers import HANDLERS, Made, nothing

ROTATION_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


def add_secrets() -> None:
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
