"""`AsyncPermit`: the same for programs of asyncio.

It is the synchronous client in threads of the loop's executor: a check happens a few times a month,
so an HTTP client of its own would buy nothing but a dependency.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from permit_client.permit import Permit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from permit_client.answers import Device, Released, Usage
    from permit_client.licence import Licence

_T = TypeVar("_T")
_SHORTEST, _LONGEST = 0.5, 60.0


class AsyncPermit:
    """Takes what `Permit` takes."""

    def __init__(self, base_url: str, **settings: Any) -> None:
        self.permit = Permit(base_url, **settings)

    def state(self) -> Licence:
        """What is known. It waits for nothing, so it is no coroutine."""
        return self.permit.state()

    async def check(self, key: Optional[str] = None, *, fresh: bool = False) -> Licence:
        return await _in_thread(partial(self.permit.check, key, fresh=fresh))

    async def release(self, device: Union[Device, str, None] = None) -> Released:
        return await _in_thread(partial(self.permit.release, device))

    async def use(
        self, meter: str, quantity: int = 1, *, idempotency_key: Optional[str] = None
    ) -> Usage:
        return await _in_thread(
            partial(self.permit.use, meter, quantity, idempotency_key=idempotency_key)
        )

    @asynccontextmanager
    async def seat(
        self, key: Optional[str] = None, *, renew: bool = True
    ) -> AsyncGenerator[Licence, None]:
        """A floating seat for as long as the block runs, renewed by a task, and given back.

        A cancelled task gives it back too. Signals are the loop's: cancel your task from
        `loop.add_signal_handler`.
        """
        licence = await self.check(key, fresh=True)
        task = asyncio.ensure_future(self._renew()) if renew and licence.allowed else None
        try:
            yield licence
        finally:
            if task is not None:
                task.cancel()
            if licence.allowed:
                await asyncio.shield(self.release())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(min(max(self.permit.seconds_until_due(), _SHORTEST), _LONGEST))
            await self.check()


async def _in_thread(call: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(None, call)
