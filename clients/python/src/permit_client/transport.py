"""HTTP by the standard library: one request, one answer or named trouble, one deadline."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import NamedTuple, Optional, Union

from permit_client.hearing import LONGEST_ANSWER, Reply, Trouble

_HTTPS = 443
Ca = Union[str, ssl.SSLContext, None]
Proxy = Union[str, bool, None]


class Address:
    """Where the server is. Raises ValueError for what is no such place."""

    def __init__(self, base_url: str) -> None:
        try:
            parts = urllib.parse.urlsplit(base_url)
            port = parts.port
        except ValueError:
            raise ValueError(f"base_url: {base_url!r} is not a URL") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError(f"base_url: {base_url!r} does not begin with https://")
        if parts.username or parts.query or parts.fragment:
            raise ValueError("base_url: it may have a scheme, a host, a port and a path")
        self.is_secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = port or (_HTTPS if self.is_secure else http.client.HTTP_PORT)
        self.path = parts.path.rstrip("/")
        if not self.is_secure and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("base_url: licence keys travel by https:// only, but to this machine")

    def url(self, path: str) -> str:
        scheme = "https" if self.is_secure else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path}{path}"


class Http:
    """Posts JSON to the server.

    `proxy`: None takes the environment's (HTTPS_PROXY, NO_PROXY; Windows' and macOS's own too),
    False none, a text that one (`http://user:password@proxy:3128`).
    `ca`: a file of certificates, or an SSLContext, in place of the system's; OpenSSL's own
    SSL_CERT_FILE and SSL_CERT_DIR count too.
    """

    def __init__(
        self, base_url: str, *, proxy: Proxy = None, ca: Ca = None, user_agent: str = ""
    ) -> None:
        self.address = Address(base_url)
        self._asks_environment = proxy is None
        self._proxy = None if proxy is None or proxy is False else _read_proxy(proxy)
        self._ca = ca
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": user_agent,
            "Connection": "close",
        }
        self._context: ssl.SSLContext | None = ca if isinstance(ca, ssl.SSLContext) else None

    def post(self, path: str, body: bytes, timeout: float) -> Union[Reply, Trouble]:
        """Answers within `timeout` seconds in all. Never raises for a network.

        The exchange has a short-lived thread of its own: a name server that never answers, or a
        server that sends a byte a second, would otherwise hold the program for as long as it likes.
        """
        exchange = _Exchange(self, path, body, timeout)
        thread = threading.Thread(target=exchange.run, name="permit-request", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, and starts no threads any more
            exchange.run()
        else:
            thread.join(timeout)
        return exchange.outcome()

    def connection(self, timeout: float) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """Not yet connected; with what to put before the path, and headers for the proxy."""
        address, proxy = self.address, self._proxy_now()
        if proxy is None:
            if address.is_secure:
                return self._secure(address.host, address.port, timeout), "", {}
            return http.client.HTTPConnection(address.host, address.port, timeout=timeout), "", {}
        host, port, credentials = proxy
        headers = {"Proxy-Authorization": f"Basic {credentials}"} if credentials else {}
        if address.is_secure:
            connection = self._secure(host, port, timeout)
            connection.set_tunnel(address.host, address.port, headers)
            return connection, "", {}
        plain = http.client.HTTPConnection(host, port, timeout=timeout)
        return plain, address.url("")[: -len(address.path) or None], headers

    @property
    def headers(self) -> dict[str, str]:
        return self._headers

    def _secure(self, host: str, port: int, timeout: float) -> http.client.HTTPSConnection:
        if self._context is None:
            self._context = ssl.create_default_context(
                cafile=self._ca if isinstance(self._ca, str) else None
            )
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)

    def _proxy_now(self) -> _Server | None:
        if not self._asks_environment:
            return self._proxy
        address = self.address
        if address.host in ("localhost", "127.0.0.1", "::1") or urllib.request.proxy_bypass(
            address.host
        ):
            return None
        found = urllib.request.getproxies()
        url = found.get("https" if address.is_secure else "http") or found.get("all")
        if not url:
            return None
        try:
            return _read_proxy(url)
        except ValueError as error:
            raise _BadProxy(str(error)) from None


class _BadProxy(Exception):
    """The environment names a proxy that is none."""


class _Exchange:
    """One request on its way, which can be given up."""

    def __init__(self, http_: Http, path: str, body: bytes, timeout: float) -> None:
        self._http = http_
        self._path = path
        self._body = body
        self._timeout = timeout
        self._connection: Optional[http.client.HTTPConnection] = None
        self._came: Optional[Union[Reply, Trouble]] = None
        self._was_sent = False
        self._via_proxy = False

    def run(self) -> None:
        try:
            came: Union[Reply, Trouble] = self._exchange()
        except Exception as error:  # noqa: BLE001 (whatever a network does is no crash)
            came = self._trouble(error)
        finally:
            self._close()
        self._came = came

    def outcome(self) -> Union[Reply, Trouble]:
        came = self._came
        if came is None:
            was_sent = self._was_sent
            self._close()  # so that the thread ends
            return Trouble("timeout", f"no answer within {self._timeout:g} s", None, was_sent)
        return came

    def _exchange(self) -> Reply:
        connection, prefix, headers = self._http.connection(self._timeout)
        self._connection = connection
        self._via_proxy = connection.host != self._http.address.host or bool(prefix)
        connection.connect()
        self._was_sent = True
        path = f"{prefix}{self._http.address.path}{self._path}"
        connection.request("POST", path, self._body, {**self._http.headers, **headers})
        with connection.getresponse() as response:
            body = response.read(LONGEST_ANSWER + 1)
            if response.length and len(body) <= LONGEST_ANSWER:
                raise http.client.IncompleteRead(b"", response.length)
            return Reply(
                response.status,
                (response.getheader("Content-Type") or "").lower(),
                body,
                _read_retry_after(response.getheader("Retry-After")),
            )

    def _close(self) -> None:
        connection = self._connection
        sock: Optional[socket.socket] = None if connection is None else connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _trouble(self, error: Exception) -> Trouble:
        was_sent, detail = self._was_sent, f"{type(error).__name__}: {error}"
        text = str(error)
        if isinstance(error, _BadProxy) or text.startswith("Tunnel connection failed"):
            return Trouble("proxy", detail, None, False)
        if isinstance(error, ssl.SSLCertVerificationError):
            return Trouble("tls", f"{detail}{self._who_answered()}", None, False)
        if isinstance(error, (socket.timeout, TimeoutError)):
            return Trouble("timeout", detail, None, was_sent)
        if isinstance(error, ssl.SSLError) and not was_sent:
            return Trouble("tls", detail, None, False)
        if isinstance(error, (http.client.HTTPException, ValueError)) or was_sent:
            return Trouble("half_answer", detail, None, was_sent)
        if self._via_proxy:
            return Trouble("proxy", detail, None, False)
        if isinstance(error, OSError):
            return Trouble("offline", detail, None, False)
        return Trouble("half_answer", detail, None, was_sent)

    def _who_answered(self) -> str:
        """Who made the certificate that was shown: the name of an inspecting program, as a rule."""
        if self._via_proxy:
            return ""
        from cryptography import x509

        address = self._http.address
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nothing is sent over it: only the certificate is read
        try:
            with (
                socket.create_connection((address.host, address.port), 2.0) as plain,
                context.wrap_socket(plain, server_hostname=address.host) as wrapped,
            ):
                shown = wrapped.getpeercert(binary_form=True)
            if shown is None:
                return ""
            issuer = x509.load_der_x509_certificate(shown).issuer.rfc4514_string()
        except (OSError, ValueError):
            return ""
        return f" (the certificate is by {issuer})"


class _Server(NamedTuple):
    """A proxy."""

    host: str
    port: int
    credentials: str


def _read_proxy(proxy: object) -> _Server:
    if not isinstance(proxy, str):
        raise TypeError("proxy: a URL, False or None")
    try:
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("proxy: not a URL") from None
    if parts.scheme != "http" or not host:
        raise ValueError(
            "proxy: only http:// proxies are spoken to (https goes through by CONNECT)"
        )
    credentials = ""
    if parts.username:
        pair = (
            f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        )
        credentials = base64.b64encode(pair.encode()).decode()
    return _Server(host, port or 3128, credentials)


def _read_retry_after(value: Optional[str]) -> Optional[float]:
    """Seconds, or a date of HTTP."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None


def user_agent(version: str) -> str:
    return f"permit-client/{version} python/{sys.version_info.major}.{sys.version_info.minor}"
