"""A port of this machine's loopback, shown to containers at another of its addresses."""

import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from ipaddress import ip_network


def bridge_address() -> str | None:
    """Where containers find this machine: the first address of the network that they are on.

    None elsewhere than on Linux, where Docker leads them to its loopback.
    """
    if sys.platform != "linux":
        return None
    subnet = "{{(index .IPAM.Config 0).Subnet}}"
    command = ["docker", "network", "inspect", "bridge", "--format", subnet]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return str(ip_network(run.stdout.strip())[1])


@contextmanager
def forwarded(port: int, *, address: str, shown_as: int = 0) -> Generator[int]:
    """The port at that address which leads to 127.0.0.1:port; any free one unless it is given."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as inner:
                back = threading.Thread(target=_pump, args=(inner, self.request), daemon=True)
                back.start()
                _pump(self.request, inner)
                back.join()

    with socketserver.ThreadingTCPServer((address, shown_as), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    # Either side may close at any time; the other is then closed in the same way.
    with suppress(OSError):
        while received := source.recv(65_536):
            target.sendall(received)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
