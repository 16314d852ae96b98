"""A network between a function and its database, for tests to cut, to silence and to listen to."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Relay:
    """Passes bytes on from `port` to `target`, as long as the test lets it."""

    target: int
    port: int = 0
    connections: int = 0
    cut_on: bytes | None = None
    """The client's last message reaches the server, and no answer comes back."""
    cuts_left: int = 1
    is_silent: bool = False
    """Connections are accepted and nothing passes either way."""
    sent: bytearray = field(default_factory=bytearray)
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def restore(self) -> None:
        """Listens, again on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        """The database is gone: nothing connects, and what was connected is not."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.drop_connections()

    def drop_connections(self) -> None:
        with self._lock:
            dropped, self._open = self._open, set()
        for each in dropped:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # cut
                return
            self.connections += 1
            with self._lock:
                self._open.add(client)
            if self.is_silent:
                continue
            server = socket.socket()
            server.connect(("127.0.0.1", self.target))
            with self._lock:
                self._open.add(server)
            for source, sink, is_client in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._pass_on, args=[source, sink, is_client], daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_client:
                    self.sent += data
                if is_client and self._cuts_now(data):
                    source.shutdown(socket.SHUT_RDWR)
                    sink.sendall(data)
                    break
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def _cuts_now(self, data: bytes) -> bool:
        if self.cut_on is None or self.cut_on not in data or self.cuts_left == 0:
            return False
        self.cuts_left -= 1
        return True


@contextmanager
def relay_to(port: int) -> Generator[Relay]:
    relay = Relay(target=port)
    relay.restore()
    try:
        yield relay
    finally:
        relay.cut()
