"""Reads the functions of template.yaml, with their settings, routes and schedules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.refusal import CannotRun
from local.template.intrinsics import Resolver

RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}
# What SAM and Lambda take when the template says nothing.
DEFAULT_TIMEOUT, DEFAULT_MEMORY = 3, 128


@dataclass(frozen=True, kw_only=True)
class Route:
    """A method (or `ANY`) and a path of the HTTP API; the path `$default` takes all others."""

    method: str
    path: str

    @property
    def key(self) -> str:
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An EventBridge schedule of a function."""

    name: str
    every_seconds: int


@dataclass(frozen=True, kw_only=True)
class Function:
    """What the template says of one Lambda function."""

    name: str
    folder: Path
    handler: str
    runtime: str
    timeout_seconds: float
    memory_mb: int
    log_format: str
    reserved_concurrency: int | None
    environment: Mapping[str, str]
    routes: tuple[Route, ...]
    schedules: tuple[Schedule, ...]


def read_functions(template: Mapping[str, Any], root: Path) -> tuple[Function, ...]:
    """The functions that the defaults make, with Globals merged and intrinsics resolved."""
    resolver = Resolver(template)
    shared: Mapping[str, Any] = template.get("Globals", {}).get("Function", {})
    return tuple(
        _function(name, resolver.resolve(_with_globals(shared, resource)), root)
        for name, resource in resolver.resources("AWS::Serverless::Function")
    )


def _with_globals(shared: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    ignored: Any = resource.get("IgnoreGlobals", [])
    names = shared.keys() if ignored == "*" else set(ignored)
    kept = {name: value for name, value in shared.items() if name not in names}
    return _merged(kept, resource["Properties"])


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """SAM's rule: maps are merged, anything else is the function's own where it has one."""
    merged = {**shared, **own}
    for key in shared.keys() & own.keys():
        if isinstance(shared[key], dict) and isinstance(own[key], dict):
            merged[key] = _merged(shared[key], own[key])
    return merged


def _function(logical_id: str, settings: Mapping[str, Any], root: Path) -> Function:
    variables = settings.get("Environment", {}).get("Variables", {})
    reserved = settings.get("ReservedConcurrentExecutions")
    events: Mapping[str, Any] = settings.get("Events", {})
    folder = (root / settings["CodeUri"]).resolve()
    return Function(
        name=folder.name,
        folder=folder,
        handler=settings["Handler"],
        runtime=settings["Runtime"],
        timeout_seconds=float(settings.get("Timeout", DEFAULT_TIMEOUT)),
        log_format=settings.get("LoggingConfig", {}).get("LogFormat", "Text"),
        memory_mb=int(settings.get("MemorySize", DEFAULT_MEMORY)),
        reserved_concurrency=int(reserved) if reserved else None,
        environment={name: str(value) for name, value in variables.items()},
        routes=tuple(_routes(events)),
        schedules=tuple(_schedules(logical_id, events)),
    )


def _routes(events: Mapping[str, Any]) -> Iterator[Route]:
    for event in events.values():
        if event["Type"] == "HttpApi":
            place = event.get("Properties", {})
            method = str(place.get("Method", "ANY")).upper()
            is_any = method in ("ANY", "X-AMAZON-APIGATEWAY-ANY-METHOD")
            yield Route(method="ANY" if is_any else method, path=place.get("Path", "$default"))


def _schedules(logical_id: str, events: Mapping[str, Any]) -> Iterator[Schedule]:
    for name, event in events.items():
        if event["Type"] in ("Schedule", "ScheduleV2"):
            place = event["Properties"]
            expression = place.get("ScheduleExpression") or place.get("Schedule", "")
            rate = RATE.fullmatch(expression)
            if rate is None:
                raise CannotRun(
                    f"template.yaml: {logical_id}: only rate(…) runs here, not {expression}"
                )
            yield Schedule(name=name, every_seconds=int(rate[1]) * SECONDS[rate[2]])
