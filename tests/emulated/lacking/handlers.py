"""ministack's makers of resources, by their types, and what makes nothing but a name."""

from typing import Any

from ministack.services.cloudformation import provisioners

HANDLERS = provisioners._RESOURCE_HANDLERS

Made = tuple[str, dict[str, Any]]


def in_name_only(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
    """A resource of which nothing but its name is used."""
    return f"{stack}-{logical_id}", {}


def nothing(physical_id: str, properties: dict[str, Any]) -> None:
    """Deletes what was made in name only."""
