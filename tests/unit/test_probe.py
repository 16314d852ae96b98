"""The probe: one metric for every answer that the network may give."""

import importlib.util
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

APP = Path(__file__).parents[2] / "functions" / "probe" / "app.py"
Answer = Callable[[BaseHTTPRequestHandler], None]
HEALTHY = b'{"status": "ok"}'


class Server(ThreadingHTTPServer):
    """Answers as the test says, and keeps the paths that were asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/health"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's own output is enough."""


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        server = Server(answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    def load(url: str) -> ModuleType:
        monkeypatch.setenv("PERMIT_HEALTH_URL", url)
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "permit-test")
        spec = importlib.util.spec_from_file_location("probe_app", APP)
        app = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(app)
        return app

    return load


def metric(printed: str) -> dict[str, object]:
    """The one embedded metric among the lines that were printed."""
    [found] = [line for line in map(json.loads, printed.splitlines()) if "_aws" in line]
    return found


def test_probe_reports_health_for_a_passing_route(serve, probe, capsys) -> None:
    """A 200 that says ok is Health 1, under the service that the alarm watches."""
    server = serve(answering(200, HEALTHY))

    finding = probe(server.url).handler({}, None)

    assert (True, "ok") == (finding["healthy"], finding["reason"])
    assert ["/v1/health"] == server.paths
    emitted = metric(capsys.readouterr().out)
    assert [1.0] == emitted["Health"]
    assert [float(finding["latency_ms"])] == emitted["HealthLatency"]
    assert "permit-test" == emitted["service"]
    directive = emitted["_aws"]["CloudWatchMetrics"][0]
    assert "Permit" == directive["Namespace"]
    assert [["service"]] == directive["Dimensions"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(answering(503, b'{"status": "fail"}'), "status_503", id="unavailable"),
        pytest.param(answering(302, location="/elsewhere"), "status_302", id="redirect"),
        pytest.param(answering(200, b"<html>"), "body_not_json", id="not-json"),
        pytest.param(answering(200, b'{"status": "fail"}'), "status_not_ok", id="not-ok"),
        pytest.param(answering(200, b"[]"), "status_not_ok", id="not-an-object"),
        pytest.param(answering(200, b" " * 1_000_000), "body_too_long", id="huge-body"),
        pytest.param(lambda request: None, "unreachable", id="closed-without-an-answer"),
    ],
)
def test_probe_reports_every_other_answer_as_unhealthy(
    serve, probe, capsys, answer: Answer, reason: str
) -> None:
    """Whatever is not the health route's ok is Health 0 with its reason, and nothing is raised."""
    server = serve(answer)

    finding = probe(server.url).handler({}, None)

    assert (False, reason) == (finding["healthy"], finding["reason"])
    assert ["/v1/health"] == server.paths
    assert [0.0] == metric(capsys.readouterr().out)["Health"]


def test_probe_gives_up_on_a_silent_route(serve, probe, capsys) -> None:
    """A route that accepts and never answers is a timeout, well before the function's own."""
    done = threading.Event()
    app = probe(serve(lambda request: done.wait(10) and None).url)
    app.TIMEOUT_SECONDS = 0.1

    finding = app.handler({}, None)

    done.set()
    assert "timeout" == finding["reason"]
    assert [0.0] == metric(capsys.readouterr().out)["Health"]


def test_probe_gives_up_on_a_route_that_drips(serve, probe) -> None:
    """A body that comes a byte at a time does not stretch the timeout."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        answering(200)(request)
        try:
            for _ in range(200):
                request.wfile.write(b" ")
                time.sleep(0.01)
        except OSError:
            return  # The probe has hung up, as it should.

    app = probe(serve(drip).url)
    app.TIMEOUT_SECONDS = 0.1

    assert "timeout" == app.handler({}, None)["reason"]


def test_probe_reports_a_refused_connection(probe, capsys) -> None:
    """A port where nobody listens is Health 0."""
    with socket.create_server(("127.0.0.1", 0)) as vacant:
        port = vacant.getsockname()[1]

    finding = probe(f"http://127.0.0.1:{port}/v1/health").handler({}, None)

    assert "refused" == finding["reason"]
    assert [0.0] == metric(capsys.readouterr().out)["Health"]


def test_probe_refuses_to_start_without_its_setting(probe) -> None:
    """A missing address stops the cold start with a message that names the variable."""
    with pytest.raises(RuntimeError, match="PERMIT_HEALTH_URL"):
        probe("")
