"""Refuses to deploy a build for another processor than the functions get.

Without this, the mistake shows late: the function that migrates cannot start and cannot say so,
and CloudFormation waits for it for a quarter of an hour.
"""

import argparse
import re
import struct
import sys
import tomllib
from pathlib import Path
from typing import Any

from local.template.intrinsics import parse

ROOT = Path(__file__).parents[1]
_MACHINES = {62: "x86_64", 183: "arm64"}  # ELF's e_machine


def built_for(layer: Path) -> set[str]:
    """The processors of the compiled modules in a layer."""
    return {_machine(path) for path in layer.rglob("*.so")}


def _machine(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(20)
    (machine,) = struct.unpack_from("<H", head, 18)
    return _MACHINES.get(machine, f"machine {machine}")


def chosen(template: dict[str, Any], config: dict[str, Any], stage: str) -> str:
    """The Architecture that `sam deploy --config-env <stage>` uses."""
    overrides = config.get(stage, {}).get("deploy", {}).get("parameters", {})
    text = overrides.get("parameter_overrides", "")
    text = text if isinstance(text, str) else " ".join(text)
    if found := re.search(r'\bArchitecture="?(\w+)', text):
        return found[1]
    return template["Parameters"]["Architecture"]["Default"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", default="default", help="the table of samconfig.toml")
    parser.add_argument("--arch", help="what is given as Architecture, if samconfig.toml does not")
    asked = parser.parse_args()
    template = parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    wanted = asked.arch or chosen(template, config, asked.stage)
    built = built_for(ROOT / ".aws-sam" / "build" / "DependenciesLayer")
    if built == {wanted}:
        return 0
    print(
        f"built for {' and '.join(sorted(built)) or 'nothing'}, but Architecture={wanted} would be "
        f"deployed: make build ARCH={wanted}, or deploy with another Architecture",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
