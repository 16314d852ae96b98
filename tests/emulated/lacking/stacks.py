"""Alarms over formulas, and nested stacks: their policies and their attributes."""

from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import provisioners

from lacking.handlers import HANDLERS, Made, in_name_only


def add_metric_math() -> None:
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


def add_policies_of_nested_stacks() -> None:
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


def add_attributes_of_nested_stacks() -> None:
    """Keeps the attributes of what an update leaves as it is: ministack loses nested ones."""
    update = provisioners._update_resource

    def update_and_keep(*given: Any, **options: Any) -> Made:
        _, _, _, _, stack, logical_id, *_ = given
        made = cloudformation._stacks[stack]["_resources"].get(logical_id, {})
        return update(*given, **({"old_attrs": made.get("Attributes")} | options))

    provisioners._update_resource = update_and_keep
