"""Schemathesis against the local gateway: every operation of the description, and nothing found.

Bounded and seeded here; `make fuzz` goes on until it is stopped.
"""

import json
import os
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.make_run import ROOT, Run, running

SCHEMATHESIS = "from schemathesis.cli import schemathesis; schemathesis()"
BOUNDED = ("--max-examples", "3", "--seed", "1", "--phases", "examples,coverage,fuzzing")
UNBOUNDED = ("--max-examples", "1000", "--phases", "examples,coverage,fuzzing,stateful")
# Below the gateway's throttling of the two routes that hash passwords.
SETTINGS = """
[[operations]]
include-path = "/v1/login"
rate-limit = "18/s"
[[operations]]
include-path-regex = "^/v1/users/."
rate-limit = "18/s"
"""
# Well-formed data may be wrong: no schema says that an id exists, or that an end is after a start.
NOT_CHECKED = "positive_data_acceptance"


def test_nothing_is_found(tmp_path: Path) -> None:
    """As the owner of a tenant of its own, with what the description says and what it forbids."""
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    with running(tmp_path / "fuzzed") as run:
        found = subprocess.run(
            [
                *(sys.executable, "-c", SCHEMATHESIS, "--config-file", str(settings)),
                *("run", f"{run.facts['base_url']}/openapi.json"),
                *("--header", f"Authorization: Bearer {access_token(run)}"),
                *("--checks", "all", "--exclude-checks", NOT_CHECKED),
                *("--generation-database", "none", "--no-color", "--warnings", "off"),
                *(UNBOUNDED if os.environ.get("PERMIT_FUZZ") else BOUNDED),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert found.returncode == 0, found.stdout[-10_000:] + found.stderr[-2_000:]
        assert "Selected: 65/65" in found.stdout


def access_token(run: Run) -> str:
    sign_in = {"email": run.facts["email"], "password": run.facts["password"]}
    address = urlsplit(run.facts["base_url"])
    headers = {"content-type": "application/json"}
    with closing(HTTPConnection(address.hostname or "", address.port)) as connection:
        connection.request("POST", "/v1/login", json.dumps(sign_in), headers)
        return json.load(connection.getresponse())["access_token"]
