"""template.yaml for tests: as it is written, and as SAM's transform hands it to CloudFormation."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from local.template.intrinsics import parse
from tests.support.template_variants import variant

ROOT = Path(__file__).parents[2]
SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"
SCRIPT = Path(__file__).with_name("sam_transform.py")


@cache
def source() -> str:
    return (ROOT / "template.yaml").read_text(encoding="utf-8")


@cache
def written() -> dict[str, Any]:
    """The template with its loops written out, as it is built."""
    return parse(source())


@cache
def nested(name: str) -> dict[str, Any]:
    """A nested stack's template, as it is written."""
    return parse((ROOT / "stacks" / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def transformed(text: str | None = None) -> dict[str, Any]:
    """The resources that SAM makes of the template, or of a changed text of it."""
    run = subprocess.run(
        [SAM_PYTHON, SCRIPT],
        input=json.dumps(parse(source() if text is None else text)),
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["Resources"]


@cache
def deployed(**parameters: object) -> dict[str, Any]:
    """Those resources with conditions decided, as these parameters make them."""
    return variant(written(), transformed(), **parameters)


def of_type(resource_type: str, **parameters: object) -> dict[str, dict[str, Any]]:
    """Properties by logical id, as these parameters make them."""
    return {
        name: resource["Properties"]
        for name, resource in deployed(**parameters).items()
        if resource["Type"] == resource_type
    }


def functions() -> dict[str, dict[str, Any]]:
    """The functions as they are written, by the name of their folder."""
    return {
        Path(resource["Properties"]["CodeUri"]).name: resource["Properties"]
        for resource in written()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def logical_id(function: str) -> str:
    """What the template calls the function of this folder."""
    [found] = [
        name
        for name, resource in written()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and Path(resource["Properties"]["CodeUri"]).name == function
    ]
    return found


def database_users() -> dict[str, str]:
    """The database's user as which each function signs in that does."""
    return {
        name: variables["PERMIT_DATABASE_USER"]
        for name, properties in functions().items()
        if "PERMIT_DATABASE_USER"
        in (variables := properties.get("Environment", {}).get("Variables", {}))
    }


def routes() -> dict[str, str]:
    """The folder of the function behind each route key."""
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": name
        for name, properties in functions().items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def function_of(event: str) -> str:
    """The folder of the function that this event of events/ is for, by its route or its name."""
    content = events()[event]
    if "routeKey" in content:
        return routes()[content["routeKey"]]
    return max((name for name in functions() if event.startswith(name)), key=len)


def events() -> dict[str, dict[str, Any]]:
    """Every event of events/, by its name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "events").glob("*.json"))
    }
