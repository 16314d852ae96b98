"""Secrets at AWS: read through the Parameters and Secrets extension, written through boto3.

http.client and boto3 are imported when used: neither belongs in a cold start that needs no secret.
"""

import json
import os
import re
import time
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

from permit.secrets.files import ChangedMeanwhile

_ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z]+):(?P<region>[a-z0-9-]+):\d{12}:(?P<rest>.+)")
_TIMEOUT_SECONDS = 2.0
_NOT_READY_PAUSE_SECONDS = 0.1
_LONGEST_ANSWER = 1_000_000
# A label for a version that is not current yet; Secrets Manager drops versions without any.
_NEXT = "PERMITNEXT"


class Refused(OSError):
    """AWS refused a call."""

    def __init__(self, operation: str, code: str) -> None:
        super().__init__(f"AWS refused {operation}: {code}")
        self.code = code


def secret_by_arn(arn: str) -> "SecretsManagerSecret":
    place = parse_arn(arn)
    if not isinstance(place, SecretsManagerSecret):
        raise ValueError("is not an ARN of a Secrets Manager secret")
    return place


def parse_arn(arn: str) -> "SecretsManagerSecret | SsmParameter":
    match = _ARN.fullmatch(arn)
    service, rest = (match["service"], match["rest"]) if match else ("", "")
    if match and service == "secretsmanager" and rest.startswith("secret:"):
        return SecretsManagerSecret(arn=arn, region=match["region"])
    if match and service == "ssm" and rest.startswith("parameter/"):
        name = rest.removeprefix("parameter/")
        # An ARN shows both /a/b and a without a leading slash; a name that is a path has one.
        return SsmParameter(name=f"/{name}" if "/" in name else name, region=match["region"])
    raise ValueError(
        "is an ARN of neither a Secrets Manager secret nor a Parameter Store parameter"
    )


@dataclass(kw_only=True)
class SecretsManagerSecret:
    """A secret with its versions; a change says which version it replaces, or is refused."""

    arn: str
    region: str
    max_age: float = 300.0
    _changed_from: str = field(default="", init=False)

    def read(self) -> str:
        answer = _ask_extension(f"/secretsmanager/get?secretId={quote(self.arn, safe='')}")
        return _text(answer.get("SecretString"))

    def read_uncached(self) -> str:
        answer = self._call("get_secret_value", VersionStage="AWSCURRENT")
        self._changed_from = answer["VersionId"]
        return _text(answer.get("SecretString"))

    def write(self, value: str) -> None:
        """Replaces what was read for the change. Raises ChangedMeanwhile if somebody else has."""
        version = str(uuid4())
        self.put_version(value, version=version, stage=_NEXT)
        self.make_current(version, replacing=self._changed_from)
        self._changed_from = version

    def versions(self) -> dict[str, set[str]]:
        """The stages of each version that has any."""
        answer = self._call("describe_secret")
        return {name: set(each) for name, each in answer.get("VersionIdsToStages", {}).items()}

    def read_version(self, version: str, *, stage: str) -> str:
        answer = self._call("get_secret_value", VersionId=version, VersionStage=stage)
        return _text(answer.get("SecretString"))

    def put_version(self, value: str, *, version: str, stage: str) -> None:
        self._call(
            "put_secret_value",
            ClientRequestToken=version,
            SecretString=value,
            VersionStages=[stage],
        )

    def make_current(self, version: str, *, replacing: str) -> None:
        """Raises ChangedMeanwhile, as AWS finds, if `replacing` is no longer current."""
        try:
            self._call(
                "update_secret_version_stage",
                VersionStage="AWSCURRENT",
                MoveToVersionId=version,
                RemoveFromVersionId=replacing,
            )
        except Refused as error:
            if error.code == "InvalidParameterException":
                raise ChangedMeanwhile from error
            raise

    def forget_pending(self, version: str) -> None:
        self._call(
            "update_secret_version_stage", VersionStage="AWSPENDING", RemoveFromVersionId=version
        )

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return _call(self.region, "secretsmanager", operation, SecretId=self.arn, **arguments)


@dataclass(frozen=True, kw_only=True)
class SsmParameter:
    """A parameter of Systems Manager, by its ARN."""

    name: str
    region: str
    max_age: float = 300.0

    def read(self) -> str:
        path = "/systemsmanager/parameters/get"
        answer = _ask_extension(f"{path}?name={quote(self.name, safe='')}&withDecryption=true")
        return _text(answer.get("Parameter", {}).get("Value"))

    def read_uncached(self) -> str:
        answer = _call(self.region, "ssm", "get_parameter", Name=self.name, WithDecryption=True)
        return _text(answer["Parameter"].get("Value"))

    def write(self, value: str) -> None:
        _call(
            self.region,
            "ssm",
            "put_parameter",
            Name=self.name,
            Value=value,
            Type="String",
            Overwrite=True,
        )


def _ask_extension(path: str) -> dict[str, Any]:
    status, body = _get(path)
    if status == 400 and b"not ready to serve traffic" in body:
        time.sleep(_NOT_READY_PAUSE_SECONDS)
        status, body = _get(path)
    if status != 200:
        # Not a secret but AWS's reason, such as AccessDeniedException.
        reason = body[:300].decode("utf-8", "replace").strip()
        raise OSError(f"the secrets extension answered {status}: {reason!r}")
    return _parse(body)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        answer: object = json.loads(body)
    except ValueError:
        # JSONDecodeError carries the whole document, which may be the secret.
        raise ValueError("the secrets extension's answer is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the secrets extension's answer is not a JSON object")
    return cast("dict[str, Any]", answer)


def _get(path: str) -> tuple[int, bytes]:
    from http.client import HTTPConnection, HTTPException

    port = int(os.environ.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT") or 2773)
    token = os.environ.get("AWS_SESSION_TOKEN", "")
    connection = HTTPConnection("localhost", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"X-Aws-Parameters-Secrets-Token": token})
        response = connection.getresponse()
        return response.status, response.read(_LONGEST_ANSWER)
    except HTTPException as error:
        raise OSError(f"the secrets extension broke off: {type(error).__name__}") from error
    finally:
        connection.close()


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("the answer holds no text")
    return value


def _call(region: str, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
    # By name and as Any: it ships no types, and pyright would complain of every line.
    boto3: Any = import_module("boto3")
    errors: Any = import_module("botocore.exceptions")
    try:
        return getattr(boto3.client(service, region_name=region), operation)(**arguments)
    except errors.ClientError as error:
        code: str = error.response.get("Error", {}).get("Code", "unknown")
        raise Refused(operation, code) from error
    except errors.BotoCoreError as error:
        raise OSError(f"AWS cannot be reached: {type(error).__name__}") from error
