"""Plays the vendor's day that another release's own tests have: each operation of its API.

Run by that release's PYTHONPATH, with where its database is as JSON on standard input.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def of_tests(name: str) -> Any:
    """A module that its tests share; before they had a folder they lay beside the tests."""
    try:
        return importlib.import_module(f"tests.support.{name}")
    except ImportError:
        return importlib.import_module(name)


def main() -> None:
    place = json.load(sys.stdin)
    deployment = of_tests("deployment").Deployment(
        server=of_tests("servers").Server(**place["server"]),
        database=place["database"],
        folder=Path(place["folder"]),
    )
    played = of_tests("scenario").play(deployment)
    deployment.close()
    print(json.dumps([example["operation"] for example in played]), file=sys.stderr)


if __name__ == "__main__":
    main()
