"""The only reader of Permit's environment variables: what each function needs, validated at once.

What belongs to the Lambda platform (credentials, the extension's port) is read where it is used,
because it changes while a process lives.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from permit.secrets.aws import secret_by_arn
from permit.secrets.sources import SecretSource, variable_name

_WEB_ADDRESS = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?(?:/[^\s?#]*)?"
)


class SettingsError(RuntimeError):
    """Variables are missing or malformed. The message names every one, and never a value."""


class Settings(BaseModel):
    """Field `database_host` is variable `PERMIT_DATABASE_HOST`."""

    model_config = ConfigDict(
        frozen=True,
        defer_build=True,  # each takes time of a cold start, and a function needs only one
        alias_generator=variable_name,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        variables = os.environ if environ is None else environ
        # CloudFormation cannot easily leave a variable out, so an empty one counts as absent.
        given = {name: value for name, value in variables.items() if value}
        try:
            return cls.model_validate(given, by_name=False)
        except ValidationError as error:
            # The original would print the refused values: it is not kept as the cause.
            raise SettingsError(cls._explain(error)) from None

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        # pydantic names the variable, but the field where it refuses a default.
        names = {name: str(field.alias) for name, field in cls.model_fields.items()}
        problems = [
            (str(problem["loc"][0]), _wording(problem))
            for problem in error.errors(include_input=False, include_url=False)
        ]
        return "; ".join(f"{names.get(name, name)}: {wording}" for name, wording in problems)


def _wording(problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return "missing"
    return problem["msg"].removeprefix("Value error, ")


def _web_address(text: str) -> str:
    if not _WEB_ADDRESS.fullmatch(text):
        raise ValueError("must be an http:// or https:// address without query or fragment")
    return text


def _without_trailing_slash(text: str) -> str:
    return text.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]
# What paths are appended to.
BaseAddress = Annotated[WebAddress, AfterValidator(_without_trailing_slash)]


class DatabaseAddress(Settings):
    database_host: str
    database_port: int = Field(default=5432, ge=1, le=65535)
    database_name: str = "permit"


class DatabaseSettings(DatabaseAddress):
    """A function that works in the database; without a password it signs in with IAM."""

    database_user: str
    database_password: SecretSource | None = None
    database_ca: FilePath | None = None
    """The file of the server's certificate authority; without it, Amazon's for RDS Proxy."""
    aws_region: str | None = Field(default=None, alias="AWS_REGION", validate_default=True)

    @field_validator("aws_region")
    @classmethod
    def _needed_without_password(cls, region: str | None, info: ValidationInfo) -> str | None:
        # A malformed password is absent from the data, and has its own message.
        if region is None and info.data.get("database_password", "malformed") is None:
            raise ValueError("missing, and without PERMIT_DATABASE_PASSWORD needed to sign in")
        return region


class EdgeSettings(Settings):
    """A function with a route."""

    origin_secret: SecretSource | None = None


class ApiSettings(DatabaseSettings, EdgeSettings):
    """One that works in the database too."""


class CheckSettings(ApiSettings):
    master_keys: SecretSource
    public_url: BaseAddress | None = None


class LoginSettings(ApiSettings):
    token_keys: SecretSource
    throttle_key: SecretSource
    master_keys: SecretSource
    public_url: BaseAddress | None = None


class JwksSettings(ApiSettings):
    token_jwks: SecretSource


class VendorSettings(ApiSettings):
    """A function of the vendor's side."""

    token_jwks: SecretSource
    answer_keys: SecretSource
    public_url: BaseAddress | None = None


class TeamSettings(VendorSettings):
    master_keys: SecretSource
    throttle_key: SecretSource


class OperatorSettings(DatabaseSettings):
    master_keys: SecretSource
    token_keys: SecretSource
    token_jwks: SecretSource


class TokenRotationSettings(Settings):
    token_keys: str
    """An ARN: rotation changes the secret's versions, which no other source has."""
    token_jwks: SecretSource

    @field_validator("token_keys")
    @classmethod
    def _is_a_secret(cls, arn: str) -> str:
        return secret_by_arn(arn).arn


class MigrateSettings(DatabaseAddress):
    """The owner's direct connection; the passwords of the roles are given locally only."""

    owner_credentials: SecretSource
    role_passwords: SecretSource | None = None
    database_ca: FilePath | None = None
    aws_region: str | None = Field(default=None, alias="AWS_REGION")


class ProbeSettings(Settings):
    health_url: WebAddress
