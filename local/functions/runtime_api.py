"""Lambda's Runtime API on a loopback port, where awslambdaric gets events and sends answers."""

import asyncio
import select
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import h11

PREFIX = "/2018-06-01/runtime"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request of the runtime; the path is without the API's version."""

    method: str
    path: str
    body: bytes
    is_connected: Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the runtime is answered."""

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


Answer = Callable[[Call], Awaitable[Reply]]


class RuntimeApi:
    """A listener for one execution environment: only the port tells environments apart."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Listen, and return the value of AWS_LAMBDA_RUNTIME_API."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while (call := await _next_call(connection, reader, writer)) is not None:
                writer.write(_sent(connection, await self._answer(call)))
                await writer.drain()
                if connection.our_state is not h11.DONE:
                    break
                connection.start_next_cycle()
        except ConnectionError:
            pass  # The process ended in between; its watcher handles that.
        finally:
            writer.close()


async def _next_call(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Call | None:
    """The next complete request, or None when the client has closed."""
    head, body = None, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Call(
                method=head.method.decode(),
                path=head.target.decode().removeprefix(PREFIX),
                body=bytes(body),
                is_connected=lambda: _is_connected(writer),
            )
        else:
            return None


def _is_connected(writer: asyncio.StreamWriter) -> bool:
    """While a client waits for an answer, its socket becomes readable only when it closes."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


def _sent(connection: h11.Connection, reply: Reply) -> bytes:
    headers = [*reply.headers.items(), ("content-length", str(len(reply.body)))]
    events = (
        h11.Response(status_code=reply.status, headers=headers),
        h11.Data(data=reply.body),
        h11.EndOfMessage(),
    )
    return b"".join(connection.send(event) or b"" for event in events)
