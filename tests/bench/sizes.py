"""What each function takes of a processor and of memory: the measurement behind its MemorySize."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from permit.migrate import LOGIN_ROLES
from tests.bench.built import Programs
from tests.bench.data import OWNER, Database
from tests.bench.plan import Plan
from tests.bench.programs import Program, tail
from tests.bench.rows import markdown
from tests.bench.samples import Samples, milliseconds
from tests.bench.vendor import make_api_key
from tests.support.deployment import Vendor, load_event
from tests.support.sam_template import events as all_events
from tests.support.sam_template import function_of, functions, logical_id, written
from tests.support.servers import PASSWORD

WHOLE_PROCESSOR = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
HEADINGS = (
    *("function", "first answer", "each later one", "most memory"),
    *("MemorySize", "first answer there", "each later one there"),
)
# For functions with several events: the one that is measured.
_EVENTS = {"reference": "docs", "team": "users"}
# The rotation of token keys is not here: it works at AWS alone.
FUNCTIONS = tuple(name for name in functions() if name != "token_rotation")


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of one function; times are those of a whole processor."""

    function: str
    cold: Samples
    warm: Samples
    megabytes: float
    memory: int

    @property
    def cells(self) -> tuple[str, ...]:
        stretched = max(1.0, WHOLE_PROCESSOR / self.memory)
        return (
            f"`{self.function}`",
            *(milliseconds(self.cold.p50), milliseconds(self.warm.p50)),
            *(f"{self.megabytes:.0f} MB", f"{self.memory:,} MB"),
            milliseconds(self.cold.p50 * stretched),
            milliseconds(self.warm.p50 * stretched),
        )


def size_table(sizes: list[Size]) -> str:
    return markdown(HEADINGS, (size.cells for size in sizes))


def measure_sizes(
    programs: Programs, plan: Plan, database: Database, vendor: Vendor, log: Path
) -> list[Size]:
    events = _events(database, vendor)
    return [
        _measure(
            programs.permit("sized", logical_id(name)), plan, database, name, events[name], log
        )
        for name in FUNCTIONS
    ]


def _measure(
    program: Program, plan: Plan, database: Database, name: str, event: object, log: Path
) -> Size:
    environ = {
        **program.environ(_variables(database, name), event),
        "BENCH_CALLS": str(plan.size_calls),
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    taken = [_run(program, environ, log) for _ in range(plan.size_rounds)]
    return Size(
        function=name,
        cold=Samples([each["cold"] for each in taken]),
        warm=Samples([each["warm"] for each in taken]),
        megabytes=max(each["megabytes"] for each in taken),
        memory=_memory(name),
    )


def _run(program: Program, environ: Mapping[str, str], log: Path) -> dict[str, Any]:
    with log.open("ab") as output:
        run = subprocess.run(
            program.command, env=environ, stdout=subprocess.PIPE, stderr=output, check=False
        )
    if run.returncode != 0:
        raise RuntimeError(f"{program.module} failed:\n{tail(log)}")
    figures = json.loads(run.stdout.splitlines()[-1])
    answer = figures["answer"]
    if answer.get("statusCode", 200) >= 400 or not answer.get("ok", True):
        raise RuntimeError(f"the answer measured is no success: {answer}")
    return figures


def _events(database: Database, vendor: Vendor) -> dict[str, object]:
    [(key, fingerprint)] = database.take(1)
    api_key = make_api_key(database, vendor)
    sign_in = {"email": vendor.email, "password": vendor.password}
    return {
        **{name: _with_key(_event_of(name), api_key) for name in FUNCTIONS},
        "licence_check": _with_body(
            "licence_check", {"key": key, "device": {"fingerprint": fingerprint}}
        ),
        "login": _with_body("login", sign_in),
        "operator": {"command": "set-password", "arguments": sign_in},
    }


def _event_of(function: str) -> dict[str, Any]:
    """The event that is called like it, or else the first of its events."""
    own = [event for event in all_events() if function_of(event) == function]
    return load_event(_EVENTS.get(function, function if function in own else own[0]))


def _with_key(event: dict[str, Any], api_key: str) -> dict[str, Any]:
    """With an API key that there is, if it has one."""
    if "authorization" in event.get("headers", {}):
        event["headers"]["authorization"] = f"Bearer {api_key}"
    return event


def _with_body(event: str, body: object) -> dict[str, Any]:
    return {**load_event(event), "body": json.dumps(body)}


def _variables(database: Database, name: str) -> dict[str, str]:
    return {
        **database.deployment.environ(name),
        "PERMIT_HEALTH_URL": "http://127.0.0.1:9/v1/health",
        "PERMIT_OWNER_CREDENTIALS": json.dumps({"username": OWNER, "password": PASSWORD}),
        "PERMIT_ROLE_PASSWORDS": json.dumps(dict.fromkeys(LOGIN_ROLES, PASSWORD)),
    }


def _memory(name: str) -> int:
    return functions()[name].get("MemorySize", written()["Globals"]["Function"]["MemorySize"])
