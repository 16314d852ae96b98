"""The demo tenant: made once for each database by the operator function; a file has its facts."""

import json
import secrets
import shlex
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from local.functions.functions import Functions
from local.refusal import CannotRun
from local.site.secret_files import write_private

EMAIL = "owner@example.com"
POLICY = {"name": "Standard", "duration": "P1Y", "grace": "P7D", "max_devices": 3}
JSON_HEADER = "content-type: application/json"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a newcomer needs to try the service."""

    base_url: str
    tenant_id: str
    email: str
    password: str
    licence_key: str

    @property
    def check(self) -> dict[str, Any]:
        device = {"fingerprint": "demo-laptop-0001", "name": "My laptop"}
        return {"key": self.licence_key, "device": device}

    def commands(self) -> list[str]:
        """Three calls to paste into a shell."""
        login = {"email": self.email, "password": self.password}
        return [
            f"curl -sS {self.base_url}/v1/health",
            f"curl -sS {self.base_url}/v1/login {_json_arguments(login)}",
            f"curl -sS {self.base_url}/v1/licences/check {_json_arguments(self.check)}",
        ]


async def demo(file: Path, base_url: str, functions: Functions) -> Demo:
    """The demo of earlier runs if it is in this database, else a new one."""
    found = _read(file, base_url)
    if found is None or not await _is_known(found, functions):
        found = await _make(base_url, functions)
    write_private(file, json.dumps(asdict(found), indent=2) + "\n")
    return found


def _read(file: Path, base_url: str) -> Demo | None:
    if not file.exists():
        return None
    return replace(Demo(**json.loads(file.read_text(encoding="utf-8"))), base_url=base_url)


async def _is_known(found: Demo, functions: Functions) -> bool:
    """Whether the tenant exists: the database may have been replaced by another.

    Asked of the operator function, because what others print stands in the terminal.
    """
    arguments = {"tenant_id": found.tenant_id, "limit": 1}
    answer = await functions.call("operator", {"command": "export-tenant", "arguments": arguments})
    return answer["ok"] or answer["problem"]["code"] != "not_found"


async def _make(base_url: str, functions: Functions) -> Demo:
    tenant = await _make_tenant(functions)
    tenant_id = tenant["tenant_id"]
    command = partial(functions.command, tenant_id=tenant_id)
    product = await command("create-product", code="demo", name="Demo")
    policy = await command("create-policy", product_id=product["id"], **POLICY)
    licence = await command("create-licence", policy_id=policy["id"])
    return Demo(
        base_url=base_url,
        tenant_id=tenant_id,
        email=tenant["email"],
        password=tenant["password"],
        licence_key=licence["key"],
    )


async def _make_tenant(functions: Functions) -> dict[str, Any]:
    """The email may be taken: an earlier demo may have lost its file."""
    try:
        return await functions.command("create-tenant", name="Demo", email=EMAIL)
    except CannotRun:
        email = f"owner-{secrets.token_hex(3)}@example.com"
        return await functions.command("create-tenant", name="Demo", email=email)


def _json_arguments(body: dict[str, Any]) -> str:
    return f"-H {shlex.quote(JSON_HEADER)} -d {shlex.quote(json.dumps(body))}"
