"""A double of RDS Proxy: TLS only, IAM tokens for passwords, and what it refuses at the start.

Or, without identities, of a database behind TLS: what a client says after the handshake is its own
matter then. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-connecting.html
"""

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from tests.support.iam_tokens import Identity, Refused, verify
from tests.support.servers import PASSWORD

REGION = "eu-west-1"
_SSL_REQUEST, _GSS_REQUEST, _VERSION_3 = 80877103, 80877104, 196608
_KNOWN = {
    *("user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone"),
    *("extra_float_digits", "search_path"),
}
_REPORTED = (
    *("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone"),
    *("integer_datetimes", "standard_conforming_strings"),
)


@dataclass(kw_only=True)
class ProxyDouble:
    """Listens on a loopback port, in front of `target`."""

    target: int
    tls: ssl.SSLContext | None
    identities: list[Identity] = field(default_factory=list)
    host: str = "localhost"
    port: int = 0
    users: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        plain = to_client.transport  # which a failed handshake leaves open
        try:
            startup = await self._handshake(client, to_client)
            if startup is not None and self._takes_tokens(startup):
                await self._as_proxy(startup, client, to_client)
            elif startup is not None:
                behind = socket.create_connection(("127.0.0.1", self.target))
                await self._relay(behind, client, to_client, startup)
            await to_client.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # The client broke off.
        finally:
            to_client.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(to_client.wait_closed(), 1)
            plain.abort()

    async def _handshake(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> bytes | None:
        """The whole startup message; None if the client does not ask for TLS."""
        is_encrypted = False
        while True:
            head = await client.readexactly(8)
            size, code = struct.unpack("!ii", head)
            if code in (_SSL_REQUEST, _GSS_REQUEST):
                is_tls = code == _SSL_REQUEST and self.tls is not None
                to_client.write(b"S" if is_tls else b"N")
                await to_client.drain()
                if is_tls:
                    await to_client.start_tls(self.tls)
                    is_encrypted = True
            elif is_encrypted or self.tls is None:
                return head + await client.readexactly(size - 8)
            else:
                self._refuse(to_client, "This RDS Proxy requires TLS connections")
                return None

    async def _as_proxy(
        self, startup: bytes, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        parameters = parameters_of(startup)
        unknown = parameters.keys() - _KNOWN
        if unknown:
            self._refuse(to_client, f"Feature not supported: RDS Proxy does not support {unknown}")
            return
        to_client.write(struct.pack("!cii", b"R", 8, 3))  # a password in clear, inside of TLS
        await to_client.drain()
        _, size = struct.unpack("!ci", await client.readexactly(5))
        token = (await client.readexactly(size - 4)).rstrip(b"\0").decode()
        try:
            user = await self._verified(token)
            if user != parameters["user"]:
                raise Refused("a token for another user")
        except (Refused, KeyError, ValueError) as reason:
            self._refuse(to_client, f"The IAM authentication failed for the role: {reason}")
            return
        self.users.append(user)
        await self._join(user, parameters["database"], client, to_client)

    def _takes_tokens(self, startup: bytes) -> bool:
        return bool(self.identities)

    async def _verified(self, token: str) -> str:
        """The user of the token. Raises Refused."""
        identities = {identity.access_key: identity for identity in self.identities}
        host = f"{self.host}:{self.port}"
        return verify(token, identities, host=host, region=REGION, now=datetime.now(UTC))

    async def _join(
        self,
        user: str,
        database: str,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
    ) -> None:
        """Signs in to the server behind; the client sees that session as its own."""
        with await asyncio.to_thread(
            psycopg.connect,
            host="127.0.0.1",
            port=self.target,
            user=user,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        ) as session:
            to_client.write(struct.pack("!cii", b"R", 8, 0))
            for name in _REPORTED:
                value = (session.info.parameter_status(name) or "").encode()
                body = name.encode() + b"\0" + value + b"\0"
                to_client.write(struct.pack("!ci", b"S", len(body) + 4) + body)
            to_client.write(
                struct.pack("!ciii", b"K", 12, 1, 1) + struct.pack("!cic", b"Z", 5, b"I")
            )
            behind = socket.socket(fileno=os.dup(session.fileno()))
            await self._relay(behind, client, to_client, b"")

    async def _relay(
        self,
        behind: socket.socket,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        first: bytes,
    ) -> None:
        behind.setblocking(False)
        server, to_server = await asyncio.open_connection(sock=behind)
        to_server.write(first)
        ways = [
            asyncio.create_task(self._pass_on(client, to_server, self._note)),
            asyncio.create_task(self._pass_on(server, to_client, None)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_server.close()
            with suppress(ConnectionError):
                await to_server.wait_closed()

    async def _pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, note) -> None:
        while data := await source.read(65_536):
            if note:
                note(data)
            to.write(data)
            await to.drain()

    def _note(self, data: bytes) -> None:
        """The texts of simple and parsed statements; ours fit into a packet."""
        while len(data) >= 5:
            kind, size = struct.unpack("!ci", data[:5])
            body, data = data[5 : size + 1], data[size + 1 :]
            if kind in (b"Q", b"P"):
                self.statements.append(body.split(b"\0")[0 if kind == b"Q" else 1].decode())

    def _refuse(self, to_client: asyncio.StreamWriter, message: str) -> None:
        self.refusals.append(message)
        body = f"SFATAL\0VFATAL\0C28000\0M{message}\0\0".encode()
        to_client.write(struct.pack("!ci", b"E", len(body) + 4) + body)


def parameters_of(startup: bytes) -> dict[str, str]:
    """What a client's startup message says: user, database and its settings."""
    words = startup[8:].rstrip(b"\0").decode().split("\0")
    return dict(zip(words[::2], words[1::2], strict=True))


@contextmanager
def proxying(
    double: ProxyDouble, *, address: str = "127.0.0.1", port: int = 0
) -> Generator[ProxyDouble]:
    """On a thread with a loop of its own; the port is any free one unless it is given."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # clients that break off are the point
    server = loop.run_until_complete(asyncio.start_server(double.serve, address, port))
    double.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def stop() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close a turn of the loop later

    try:
        yield double
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
