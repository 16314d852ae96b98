"""An HTTP request and an HTTP response, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Request:
    """A received request; header names are in lower case, `path` is as it was sent."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    source_ip: str = "127.0.0.1"
    protocol: str = "HTTP/1.1"
    port: int = 80

    def header(self, name: str) -> str:
        """All values of a header, joined by commas as API Gateway joins them."""
        return ",".join(value for key, value in self.headers if key == name)


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response to send."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cookies: tuple[str, ...] = ()
    body: bytes = b""
