"""Shows where a deployed stack differs from its templates: `make drift STACK=permit`.

CloudFormation compares a stack without its nested stacks, so each is compared. Exits with 1 if
anything has drifted.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

boto3: Any = import_module("boto3")  # it ships no types


_PAUSE = 3.0  # seconds between questions
# Not a drift: the rotation writes this value.
_MEANT = {("AWS::SSM::Parameter", "/Value")}


class CannotCompare(RuntimeError):
    """CloudFormation did not finish a comparison; the message is its reason."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A resource that is not as it was deployed."""

    stack: str
    resource: str
    status: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        changes = "".join(f"\n    {change}" for change in self.changes)
        return f"{self.stack} {self.resource}: {self.status}{changes}"


def find_drifts(cloudformation: Any, stack: str) -> Iterator[Drift]:
    """The drifts of the stack and of its nested stacks. Raises CannotCompare."""
    for each in [stack, *_nested(cloudformation, stack)]:
        _compare(cloudformation, each)
        pages = cloudformation.describe_stack_resource_drifts(
            StackName=each, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
        )
        for found in pages["StackResourceDrifts"]:
            changes = tuple(_changes(found))
            if found["StackResourceDriftStatus"] == "DELETED" or changes:
                yield Drift(
                    stack=each.rpartition(":stack/")[2].partition("/")[0] or each,
                    resource=found["LogicalResourceId"],
                    status=found["StackResourceDriftStatus"],
                    changes=changes,
                )


def _nested(cloudformation: Any, stack: str) -> list[str]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [
        resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::CloudFormation::Stack"
    ]


def _compare(cloudformation: Any, stack: str) -> None:
    detection = cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
    while True:
        status = cloudformation.describe_stack_drift_detection_status(
            StackDriftDetectionId=detection
        )
        if status["DetectionStatus"] == "DETECTION_COMPLETE":
            return
        if status["DetectionStatus"] == "DETECTION_FAILED":
            raise CannotCompare(f"{stack}: {status.get('DetectionStatusReason', 'no reason')}")
        time.sleep(_PAUSE)


def _changes(found: dict[str, Any]) -> Iterator[str]:
    for difference in found.get("PropertyDifferences", []):
        path = difference["PropertyPath"]
        if (found["ResourceType"], path) not in _MEANT:
            was, now = (
                json.dumps(difference.get(f"{name}Value")) for name in ("Expected", "Actual")
            )
            yield f"{path}: deployed {was}, now {now}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", help="the name of the stack, such as permit")
    asked = parser.parse_args()
    drifts = list(find_drifts(boto3.client("cloudformation"), asked.stack))
    for drift in drifts:
        print(drift)
    print(f"{asked.stack}: {len(drifts)} resources have drifted")
    return 1 if drifts else 0


if __name__ == "__main__":
    sys.exit(main())
