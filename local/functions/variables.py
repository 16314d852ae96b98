"""The environment variables of a function's process: Lambda's and the function's own."""

import os
from dataclasses import dataclass

from local.postgres.database import Database
from local.processes import PROJECT
from local.site.secret_files import SecretFiles
from local.template.template import Function

# Settings of the template that have a meaning only on AWS.
CLOUD_ONLY = {"PERMIT_DATABASE_CA", "PERMIT_ORIGIN_SECRET"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """What this machine puts in the place of AWS's resources."""

    base_url: str
    database: Database
    secrets: SecretFiles

    def variables(self, function: Function) -> dict[str, str]:
        """A function gets the variables that its block of the template names, with local values."""
        named = function.environment
        values = {name: value for name, value in named.items() if name not in CLOUD_ONLY}
        values |= {name: value for name, value in self._values().items() if name in named}
        if "PERMIT_DATABASE_USER" in named:
            # On AWS there is no password: the function signs in by IAM.
            passwords = self.secrets.read_json("role-passwords.json")
            values["PERMIT_DATABASE_PASSWORD"] = passwords[named["PERMIT_DATABASE_USER"]]
        if "PERMIT_OWNER_CREDENTIALS" in named:
            values["PERMIT_ROLE_PASSWORDS"] = self.secrets.source("role-passwords.json")
        return _lambda_variables(function) | values

    def _values(self) -> dict[str, str]:
        return {
            "PERMIT_DATABASE_HOST": self.database.host,
            "PERMIT_DATABASE_PORT": str(self.database.port),
            "PERMIT_DATABASE_NAME": self.database.name,
            "PERMIT_PUBLIC_URL": self.base_url,
            "PERMIT_HEALTH_URL": f"{self.base_url}/v1/health",
            "PERMIT_MASTER_KEYS": self.secrets.source("master-keys.json"),
            "PERMIT_TOKEN_KEYS": self.secrets.source("token-keys.json"),
            "PERMIT_TOKEN_JWKS": self.secrets.source("token-jwks.json"),
            "PERMIT_THROTTLE_KEY": self.secrets.source("throttle-key"),
            "PERMIT_ANSWER_KEYS": self.secrets.source("answer-keys"),
            "PERMIT_OWNER_CREDENTIALS": self.database.owner,
        }


def _lambda_variables(function: Function) -> dict[str, str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    return {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(function.folder),
        "LANG": "en_US.UTF-8",
        "PATH": os.defpath,
        # On AWS this is a layer; the other layer is our virtual environment here.
        "PYTHONPATH": str(PROJECT / "shared"),
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }
