"""A double of AWS's Parameters and Secrets extension: its paths, its header, its refusals.

https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-integration-lambda-extensions.html
"""

import json
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Extension(ThreadingHTTPServer):
    """Answers those who hold one of the session tokens, once it is ready: not before INVOKE."""

    def __init__(
        self,
        *,
        secrets: Mapping[str, str],
        parameters: Mapping[str, str],
        tokens: Iterable[str] = ("session",),
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets = dict(secrets)
        self.parameters = dict(parameters)
        self.tokens = set(tokens)
        self.not_ready = 0
        self.broken: bytes | None = None
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: Extension

    def do_GET(self) -> None:
        self.server.requests += 1
        status, body = self._answer()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Secrets Manager itself, as the SDK reads it: what a change builds on is no copy."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        is_known = self.headers["X-Amz-Target"] == "secretsmanager.GetSecretValue"
        value = self.server.secrets.get(asked["SecretId"]) if is_known else None
        _, body = _json({"SecretString": value, "VersionId": "1" * 32})
        self.send_response(200 if value else 400)
        self.end_headers()
        self.wfile.write(body if value else b"{}")

    def _answer(self) -> tuple[int, bytes]:
        server = self.server
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if server.not_ready:
            server.not_ready -= 1
            return 400, b"not ready to serve traffic, please wait"
        if self.headers["X-Aws-Parameters-Secrets-Token"] not in server.tokens:
            return 401, b"unauthorized"
        if server.broken is not None:
            return 200, server.broken
        if url.path == "/secretsmanager/get" and query.get("secretId") in server.secrets:
            return _json({"SecretString": server.secrets[query["secretId"]]})
        is_parameter = url.path == "/systemsmanager/parameters/get"
        if is_parameter and query.get("name") in server.parameters:
            is_readable = query.get("withDecryption") == "true"
            value = server.parameters[query["name"]]
            return _json({"Parameter": {"Value": value if is_readable else "sealed"}})
        return 400, b"AccessDeniedException"

    def log_message(self, *_: object) -> None:
        """Keeps the test's output quiet."""


def _json(answer: object) -> tuple[int, bytes]:
    return 200, json.dumps(answer).encode()


@contextmanager
def serving(extension: Extension) -> Generator[Extension]:
    with extension:
        thread = threading.Thread(target=extension.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield extension
        finally:
            extension.shutdown()
            thread.join()
