"""Restores the newest snapshot of a stack into a stage, checks a licence there, and clears up.

    PERMIT_LICENCE_KEY=… make restore-drill STACK=permit-prod DRILL=permit-drill

It proves that the snapshot can be restored, that this build migrates and serves it, and that its
sealed proof keys open under the source's master keys: the proof verifies with the keys that the
source publishes. The stage must not exist before; it is deleted in the end, with what it leaves.
Run it from the checkout of the version that the source runs, after `make build`.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

boto3: Any = import_module("boto3")  # it ships no types

ROOT = Path(__file__).parents[1]
# A stage without customers: no protection, no name of its own, no alarm mails, nothing twice.
STAGE: dict[str, str] = {
    "AlarmEmail": "",
    "CertificateArn": "",
    "DatabaseId": "",
    "DeletionProtection": "false",
    "Deployment": "AllAtOnce",
    "DomainName": "",
    "HostedZoneId": "",
    "OriginLock": "false",
    "PublicUrl": "",
    "ReservedConcurrency": "0",
    "Standby": "false",
}
RETAINED = ("MasterKeys", "TokenKeys")


class DrillFailed(RuntimeError):
    """The drill has found a fault; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    name: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    resources: dict[str, str]

    @classmethod
    def describe(cls, name: str) -> "Stack":
        cloudformation: Any = boto3.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        return cls(
            name=name,
            parameters={p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]},
            outputs={o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]},
            resources={
                resource["LogicalResourceId"]: resource["PhysicalResourceId"]
                for page in pages
                for resource in page["StackResourceSummaries"]
            },
        )


def drill(source: Stack, stage_name: str, *, key: str, template: Path, api: str | None) -> None:
    """Runs the drill. Raises DrillFailed, or what a step raises."""
    snapshot = newest_snapshot(source)
    print(f"restoring {snapshot} into {stage_name}")
    began = time.monotonic()
    with deployed(stage_name, template, {**source.parameters, **STAGE, "SnapshotId": snapshot}):
        stage = Stack.describe(stage_name)
        hand_over_master_keys(source, stage)
        tenant = check(url_of(stage, api), url_of(source, api), key)
        minutes = (time.monotonic() - began) / 60
        print(f"a licence of tenant {tenant} is valid after {minutes:.1f} minutes")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    arn: str
    made_at: datetime
    is_complete: bool
    delete: Callable[[], object]


def snapshots(stack: Stack) -> list[Snapshot]:
    """All snapshots of the stack's database, automatic and manual."""
    database = stack.outputs.get("DatabaseId")
    if database is None:
        return []  # The stack was not made so far.
    rds: Any = boto3.client("rds")
    if stack.parameters["Engine"] == "aurora":
        found = rds.describe_db_cluster_snapshots(DBClusterIdentifier=database)
        kind, delete_one = "DBClusterSnapshot", rds.delete_db_cluster_snapshot
    else:
        found = rds.describe_db_snapshots(DBInstanceIdentifier=database)
        kind, delete_one = "DBSnapshot", rds.delete_db_snapshot
    return [
        Snapshot(
            arn=each[f"{kind}Arn"],
            made_at=each["SnapshotCreateTime"],
            is_complete=each["Status"] == "available",
            delete=partial(delete_one, **{f"{kind}Identifier": each[f"{kind}Identifier"]}),
        )
        for each in found[f"{kind}s"]
    ]


def newest_snapshot(source: Stack) -> str:
    """The ARN of the newest complete snapshot."""
    complete = [each for each in snapshots(source) if each.is_complete]
    if not complete:
        raise DrillFailed(f"the database of {source.name} has no snapshot")
    return max(complete, key=lambda each: each.made_at).arn


@contextmanager
def deployed(name: str, template: Path, parameters: dict[str, str]) -> Generator[None]:
    """Deploys the stage, and deletes it in any case."""
    if exists(name):
        raise DrillFailed(f"{name} exists already, and would be deleted in the end")
    began = datetime.now(UTC)
    overrides = [f'{key}="{value}"' for key, value in parameters.items()]
    command = [
        *(str(ROOT / ".venv-sam" / "bin" / "sam"), "deploy", "--template-file", str(template)),
        *("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "dev"),
        *("--stack-name", name, "--parameter-overrides", *overrides),
    ]
    try:
        subprocess.run(command, check=True)  # noqa: S603 (what it is given is the caller's own)
        yield
    finally:
        if exists(name):
            delete(name, since=began)


def exists(name: str) -> bool:
    cloudformation: Any = boto3.client("cloudformation")
    try:
        cloudformation.describe_stacks(StackName=name)
    except ClientError:
        return False
    return True


def delete(name: str, *, since: datetime) -> None:
    """Deletes the stack and what its policies leave: keys and a last snapshot, here only copies."""
    stack = Stack.describe(name)
    cloudformation: Any = boto3.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)
    secrets: Any = boto3.client("secretsmanager")
    for resource in RETAINED:
        if arn := stack.resources.get(resource):
            secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    if parameter := stack.resources.get("TokenJwks"):
        ssm: Any = boto3.client("ssm")
        ssm.delete_parameter(Name=parameter)
    for snapshot in snapshots(stack):
        if snapshot.made_at >= since:
            snapshot.delete()


def hand_over_master_keys(source: Stack, stage: Stack) -> None:
    """Copies the master keys: without them the snapshot's proof keys stay sealed."""
    secrets: Any = boto3.client("secretsmanager")
    kept = secrets.get_secret_value(SecretId=source.resources["MasterKeys"])["SecretString"]
    secrets.put_secret_value(SecretId=stage.resources["MasterKeys"], SecretString=kept)


def check(stage_url: str, source_url: str, key: str) -> str:
    """The licence's tenant. The stage must prove it valid; the source's keys verify that."""
    device = {"fingerprint": "restore-drill-restore-drill"}
    answer = ask(f"{stage_url}/v1/licences/check", {"key": key, "device": device})
    if not answer["valid"]:
        raise DrillFailed(f"the licence is {answer['code']} in the stage: {answer['detail']}")
    head, claims, signature = answer["proof"].split(".")
    tenant = json.loads(decoded(claims))["iss"].rpartition("/")[2]
    kid = json.loads(decoded(head))["kid"]
    published = ask(f"{source_url}/v1/tenants/{tenant}/jwks.json")["keys"]
    public = next((each["x"] for each in published if each["kid"] == kid), None)
    if public is None:
        raise DrillFailed(f"the source publishes no key {kid} of tenant {tenant}")
    # Raises InvalidSignature.
    signed = f"{head}.{claims}".encode()
    Ed25519PublicKey.from_public_bytes(decoded(public)).verify(decoded(signature), signed)
    return tenant


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def url_of(stack: Stack, api: str | None) -> str:
    return api.format(id=stack.resources["Api"]) if api else stack.outputs["ApiUrl"]


def ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 (the address is the stack's own)
        url, data, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 (as above)
        return json.load(response)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="the stack whose snapshot is restored, such as permit-prod")
    parser.add_argument("stage", help="the stack that is made and deleted, such as permit-drill")
    parser.add_argument("--template", type=Path, default=ROOT / ".aws-sam/build/template.yaml")
    parser.add_argument("--api", help="where an API is reached, by {id}, if not at its ApiUrl")
    asked = parser.parse_args()
    key = os.environ.get("PERMIT_LICENCE_KEY")
    if not key:
        parser.error("PERMIT_LICENCE_KEY names a licence of the source that is valid")
    source = Stack.describe(asked.source)
    try:
        drill(source, asked.stage, key=key, template=asked.template, api=asked.api)
    except DrillFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
