"""How a run ends: by a signal, with the make that started it, or with the first of its parts."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn

from local.postgres.embedded import Postgres
from local.refusal import CannotRun

WATCH_SECONDS = 0.2
# Read at import: our parent may be gone before we are ready.
_PARENT = os.getppid()


def _signals() -> list[signal.Signals]:
    """The signals that mean the same as Ctrl-C; under nohup, a hang-up is ignored."""
    wanted = [signal.SIGINT, signal.SIGTERM]
    is_hang_up_ours = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [*wanted, signal.SIGHUP] if is_hang_up_ours else wanted


def signals_interrupt() -> None:
    """Let the signals raise KeyboardInterrupt, as long as no event loop runs."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    for each in _signals():
        signal.signal(each, interrupt)


def signals_cancel(task: asyncio.Task[Any]) -> None:
    """Let the signals cancel the task instead."""
    for each in _signals():
        asyncio.get_running_loop().add_signal_handler(each, task.cancel)


async def until_the_first_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all together; when one ends or fails, cancel the others and pass on its failure."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def end_with_postgres(server: Postgres | None) -> None:
    """Fail when the embedded server ends; a server that is not ours is not watched."""
    while server is None or not server.has_ended():  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(WATCH_SECONDS)
    raise CannotRun("Postgres has ended; .permit/postgres.log may say why")


async def end_with_make() -> None:
    """Ends when make is killed: then no Ctrl-C can reach us any more."""
    while "MAKELEVEL" not in os.environ or os.getppid() == _PARENT:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(WATCH_SECONDS)
