"""Invoked by Secrets Manager, step by step: replaces the key that signs access tokens."""

from datetime import UTC, datetime
from typing import Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from permit.keys.token_rotation import CannotRotate, TokenRotation
from permit.secrets.aws import secret_by_arn
from permit.settings import TokenRotationSettings

settings = TokenRotationSettings.from_environment()
logger = Logger()


class Step(BaseModel):
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html"""

    name: Literal["createSecret", "setSecret", "testSecret", "finishSecret"] = Field(alias="Step")
    secret: str = Field(alias="SecretId")
    version: str = Field(alias="ClientRequestToken", min_length=32, max_length=64)


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """An exception fails the step; Secrets Manager reports it and tries the rotation again."""
    step = Step.model_validate(event)
    secret = secret_by_arn(settings.token_keys)
    if step.secret != secret.arn:
        raise CannotRotate("SecretId is not the secret of PERMIT_TOKEN_KEYS")
    rotation = TokenRotation(secret=secret, published=settings.token_jwks, version=step.version)
    now = datetime.now(UTC)
    match step.name:
        case "createSecret":
            rotation.create(now)
        case "setSecret":
            rotation.publish(now)
        case "testSecret":
            rotation.test(now)
        case "finishSecret":
            rotation.finish(now)
    logger.info("rotation step done", step=step.name, version=step.version)
