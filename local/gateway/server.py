"""Serves the gateway on a socket until it is cancelled, then leaves no environment behind."""

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from local.gateway.gateway import Gateway

# Running requests get so many seconds to be answered before their environments are ended.
GRACE_SECONDS = 2.0


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `make run` has its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(listener: socket.socket, gateway: Gateway, on_ready: Callable[[], None]) -> None:
    """Answer requests; `on_ready` is called as soon as requests can be answered."""
    server = _Server(_configuration(gateway))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 (uvicorn offers no event)
            await asyncio.sleep(0.01)
        on_ready()
        await asyncio.wait({serving})
    finally:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=GRACE_SECONDS)
        await gateway.functions.close()
        await serving


def _configuration(gateway: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        http="h11",
        ws="none",
        loop="asyncio",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
