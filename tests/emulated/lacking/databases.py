"""RDS: addresses under which containers reach this machine's Postgres, and managed owners."""

import os
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from lacking.handlers import HANDLERS, Made, nothing


def add_databases() -> None:
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
