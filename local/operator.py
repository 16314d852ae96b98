"""`make operator ARGS='create-user tenant_id=… email=…'`: one command of the operator function.

`name=text` is a text as it stands, `name:=json` is anything else: a number, a list, null.
"""

import asyncio
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from local.functions.functions import functions_of
from local.functions.variables import Site
from local.refusal import CannotRun
from local.run import database
from local.site.folder import Folder

USAGE = "make operator ARGS='command name=text name:=json …'; the command help lists them all"
NO_DATABASE = "there is no database yet: `make run` makes it"


def main() -> int:
    """Print the answer; the status is 1 when the command was refused."""
    event = _event(sys.argv[2:])
    with _site(Folder()) as site:
        answer = asyncio.run(_invoke(site, event))
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0 if answer["ok"] else 1


def _event(words: list[str]) -> dict[str, Any]:
    if not words:
        raise CannotRun(USAGE)
    return {"command": words[0], "arguments": dict(_argument(word) for word in words[1:])}


def _argument(word: str) -> tuple[str, Any]:
    name, separator, text = word.partition("=")
    if not separator:
        raise CannotRun(USAGE)
    if not name.endswith(":"):
        return name, text
    try:
        return name.removesuffix(":"), json.loads(text)
    except ValueError:
        raise CannotRun(f"{name}= takes JSON; {USAGE}") from None


@contextmanager
def _site(folder: Folder) -> Generator[Site]:
    """The running service's database; if none runs, the database is started for the command."""
    if not folder.has_demo():
        raise CannotRun(NO_DATABASE)
    if (running := folder.running()) is not None:
        yield running
        return
    with folder.lock(), database(folder) as found:
        if not folder.demo(found).exists():
            raise CannotRun(NO_DATABASE)
        site = Site(base_url="http://127.0.0.1", database=found, secrets=folder.secrets)
        folder.note_running(site)  # For a second command meanwhile.
        yield site


async def _invoke(site: Site, event: dict[str, Any]) -> dict[str, Any]:
    functions = functions_of(site)
    try:
        return await functions.call("operator", event)
    finally:
        await functions.close()
