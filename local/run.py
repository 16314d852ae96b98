"""`make run`: the whole service on this machine, until Ctrl-C."""

import asyncio
import errno
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from local.functions.functions import Functions, functions_of
from local.functions.schedule import run_schedules
from local.functions.variables import Site
from local.gateway.gateway import Gateway
from local.gateway.server import serve
from local.postgres.database import Database, embedded_database, given_database
from local.refusal import CannotRun
from local.site.demo import Demo, demo
from local.site.folder import Folder
from local.site.lifetime import (
    end_with_make,
    end_with_postgres,
    signals_cancel,
    signals_interrupt,
    until_the_first_ends,
)

DEFAULT_PORT = 8000
WELCOME = """
Permit is running at {base_url}

  owner        {email}
  password     {password}
  licence key  {licence_key}

Try it in another terminal:

{commands}

All operations, with examples: {base_url}/docs
The facts above, as JSON:      {file}

Ctrl-C stops everything; `make reset` drops the data. Each request's log line follows.
"""


def main() -> int:
    """Serve until stopped; the status is 0 then."""
    folder = Folder()
    signals_interrupt()
    try:
        with folder.lock(), _listener(_port()) as listener:
            folder.secrets.make_missing()
            base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with database(folder) as found:
                print("Starting ...", flush=True)
                site = Site(base_url=base_url, database=found, secrets=folder.secrets)
                asyncio.run(_run(folder, site, listener))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass  # As asked.
    print("Permit has stopped.")
    return 0


@contextmanager
def database(folder: Folder) -> Generator[Database]:
    """The database that the environment asks for, for as long as it is needed."""
    url = os.environ.get("DATABASE_URL")
    if url:
        yield given_database(url)
    else:
        with embedded_database(folder.path, folder.secrets) as embedded:
            yield embedded


def _port() -> int:
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise CannotRun(f"PORT is {text!r}, which is no number up to 65535")
    return int(text)


def _listener(port: int) -> socket.socket:
    """Taken first: nothing is started if the port is in use."""
    # asyncio sends an answer at once, and not 40 ms later, only if the protocol is named.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotRun(f"port {port} is in use; `PORT=… make run` takes another") from None
        raise CannotRun(f"port {port} cannot be used: {error.strerror}") from None
    return listener


async def _run(folder: Folder, site: Site, listener: socket.socket) -> None:
    task = asyncio.current_task()
    if task is not None:
        signals_cancel(task)
    functions = functions_of(site)
    folder.note_running(site)
    try:
        await until_the_first_ends(
            _serve(folder, site, functions, listener),
            end_with_postgres(site.database.server),
            end_with_make(),
        )
    finally:
        await functions.close()


async def _serve(folder: Folder, site: Site, functions: Functions, listener: socket.socket) -> None:
    gateway = Gateway(functions)
    await functions.call("migrate", {})
    if not folder.secrets.read_json("token-keys.json")["keys"]:
        await functions.command("rotate-token-key")
    file = folder.demo(site.database)
    facts = await demo(file, site.base_url, functions)
    await until_the_first_ends(
        serve(listener, gateway, lambda: _welcome(facts, file)), run_schedules(functions)
    )


def _welcome(facts: Demo, file: Path) -> None:
    commands = "\n".join(f"  {command}" for command in facts.commands())
    print(WELCOME.format(**vars(facts), commands=commands, file=file), flush=True)
