"""Bad days of a network, on real sockets: each has its name, and none of them is a refusal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from servers import Act, Authority, answering, http, read_request, serving

from permit_client import Permit
from permit_client.hearing import LONGEST_ANSWER, Reply, Trouble
from permit_client.testing import FakePermit
from permit_client.transport import Http

SOURCE = Path(__file__).resolve().parents[1] / "src"
PROBLEM = b'{"type":"urn:permit:problem:x","status":503,"code":"service_unavailable"}'
PAGE = b"<!DOCTYPE html><html>Welcome to the hotel</html>"


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def permit_at(
    port: int, *, scheme: str = "http", host: str = "127.0.0.1", **settings: Any
) -> Permit:
    """A program whose server is there; its keys are a test's."""
    return FakePermit().permit(
        base_url=f"{scheme}://{host}:{port}", transport=None, **{"timeout": 1.5, **settings}
    )


def why(permit: Permit) -> str:
    """What the program is told: it could not check."""
    licence = permit.check("KEY")
    assert licence.could_not_check, licence
    assert licence.message
    return licence.why


def drip(connection: socket.socket) -> None:
    read_request(connection)
    for byte in http(200, b"{}" * 100):
        connection.sendall(bytes([byte]))
        time.sleep(0.2)


def hang(connection: socket.socket) -> None:
    read_request(connection)
    time.sleep(4)


def hang_up(connection: socket.socket) -> None:
    read_request(connection)


def reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


HALF = http(200, b'{"valid":true,"proof":"x"}')[:-10]
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a"'


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        pytest.param(answering(http(200, PAGE, "text/html")), "captive_portal", id="HTML"),
        pytest.param(answering(http(200, b"OK")), "nonsense", id="200 with nonsense"),
        pytest.param(answering(http(200, b"")), "nonsense", id="200 with nothing"),
        pytest.param(answering(http(200, os.urandom(500))), "nonsense", id="200 with noise"),
        pytest.param(answering(b'HTTP/1.1 200 OK\r\n\r\n{"a":'), "nonsense", id="without a length"),
        pytest.param(
            answering(http(302, b"", "text/html", "Location: http://portal.example/")),
            "captive_portal",
            id="a redirect to another host",
        ),
        pytest.param(answering(HALF), "half_answer", id="half an answer"),
        pytest.param(answering(CHUNKED), "half_answer", id="half a chunk"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "half_answer", id="another protocol"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nX: "), "nonsense", id="half a head"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000), "half_answer", id="a huge head"
        ),
        pytest.param(hang_up, "half_answer", id="hangs up"),
        pytest.param(reset, "half_answer", id="resets"),
        pytest.param(hang, "timeout", id="never answers"),
        pytest.param(drip, "timeout", id="a byte now and then"),
        pytest.param(
            answering(http(200, b" " * (LONGEST_ANSWER + 10))), "too_large", id="a megabyte"
        ),
        pytest.param(answering(http(503, PROBLEM, "application/problem+json")), "busy", id="503"),
        pytest.param(answering(http(500, b"{}")), "server_error", id="500"),
        pytest.param(answering(http(404, b'{"message":"Not Found"}')), "rejected", id="404"),
        pytest.param(answering(http(511, PAGE, "text/html")), "captive_portal", id="511"),
    ],
)
def test_a_bad_day_has_its_name(act: Act, expected: str) -> None:
    """And takes no longer than the timeout, in all."""
    with serving(act) as port:
        started = time.monotonic()
        assert expected == why(permit_at(port))
        assert time.monotonic() - started < 3


def test_a_wrong_request_names_its_fields() -> None:
    problem = b'{"code":"invalid_request","errors":[{"field":"version","message":"unknown"}]}'
    with serving(answering(http(422, problem, "application/problem+json"))) as port:
        licence = permit_at(port).check("KEY")
    assert licence.trouble is not None
    assert "HTTP 422 invalid_request version" == licence.trouble.detail


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "offline" == why(permit_at(taken.getsockname()[1]))


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    permit = permit_at(443, scheme="https", host="licences.example.com")
    assert "offline" == why(permit)


def test_a_name_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even that holds the program longer than its timeout."""
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(30))
    permit = permit_at(443, scheme="https", host="licences.example.com", timeout=0.5)
    started = time.monotonic()
    assert "timeout" == why(permit)
    assert time.monotonic() - started < 2
    ended.set()


def test_what_the_server_asks_for_is_done() -> None:
    for value, seconds in (("7", 7), (formatdate(time.time() + 60, usegmt=True), 60)):
        raw = http(429, b"{}", "application/json", f"Retry-After: {value}")
        with serving(answering(raw)) as port:
            licence = permit_at(port).check("KEY")
        assert licence.trouble is not None
        assert licence.trouble.retry_after == pytest.approx(seconds, abs=3)


@pytest.mark.parametrize("value", ["soon", "-5", "9" * 40, "Mon, 99 Jan 2026", ""])
def test_a_retry_after_that_is_none(value: str) -> None:
    raw = http(503, PROBLEM, "application/problem+json", f"Retry-After: {value}")
    with serving(answering(raw)) as port:
        licence = permit_at(port).check("KEY")
    assert licence.trouble is not None
    assert "busy" == licence.trouble.why
    assert licence.trouble.retry_after in (None, 0.0)


# ------------------------------------------------------------------------------------------ TLS


def answered(fake: FakePermit) -> Act:
    """The fake server, over real HTTP."""

    def act(connection: socket.socket) -> None:
        head, _, body = read_request(connection).partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        came = fake.post(path[path.index("/v1/") :], body, 1)
        assert isinstance(came, Reply)
        connection.sendall(http(came.status, came.body, came.content_type))

    return act


def test_a_company_that_inspects_tls_is_told_as_that(tmp_path: Path) -> None:
    """With the name of who made the certificate, which an administrator knows."""
    fake = FakePermit()
    inspector = Authority(tmp_path, "ACME Inspection CA")
    with serving(answered(fake), inspector.server()) as port:
        permit = permit_at(port, scheme="https", host="localhost")
        licence = permit.check(fake.issue())
    assert ("could_not_check", "tls") == (licence.answer, licence.why)
    assert licence.trouble is not None
    assert "ACME Inspection CA" in licence.trouble.detail
    assert "administrator" in licence.message
    assert [] == fake.requests


def test_its_authority_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePermit()
    authority = Authority(tmp_path)
    arguments = {**fake.arguments, "transport": None}
    with serving(answered(fake), authority.server()) as port:
        arguments["base_url"] = f"https://localhost:{port}/behind/a/path"
        assert Permit(**arguments, ca=str(authority.bundle)).check(fake.issue()).allowed
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
        assert Permit(**arguments).check(fake.issue(), fresh=True).why == "verdict"


@pytest.mark.parametrize(
    "server",
    [{"host": "another.example"}, {"days": -1}],
    ids=["of another name", "that has ended"],
)
def test_a_certificate(tmp_path: Path, server: dict[str, Any]) -> None:
    authority = Authority(tmp_path)
    with serving(hang_up, authority.server(**server)) as port:
        permit = permit_at(port, scheme="https", host="localhost", ca=str(authority.bundle))
        assert "tls" == why(permit)


def test_plain_text_where_tls_is_spoken() -> None:
    def act(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(http(200, PAGE, "text/html"))

    with serving(act) as port:
        assert "tls" == why(permit_at(port, scheme="https", host="localhost"))


# -------------------------------------------------------------------------------------- proxies


def tunnel(seen: list[bytes], status: int = 200) -> Act:
    """A proxy that connects to where it is asked to."""

    def act(connection: socket.socket) -> None:
        head = read_request(connection)
        seen.append(head)
        if status != 200:
            connection.sendall(http(status, PAGE, "text/html"))
            return
        host, _, port = head.split(b" ")[1].partition(b":")
        with socket.create_connection((host.decode(), int(port))) as onward:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join(5)

    return act


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while True:
            data = source.recv(65_536)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("is_given", [True, False], ids=["by argument", "by the environment"])
def test_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_given: bool) -> None:
    fake, seen = FakePermit(), list[bytes]()
    authority = Authority(tmp_path)
    context = authority.server("licences.example.com")
    real = socket.create_connection
    with serving(answered(fake), context) as port, serving(tunnel(seen)) as proxy_port:

        def connect(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
            host = "127.0.0.1" if address[0] == "licences.example.com" else address[0]
            return real((host, address[1]), *rest, **more)

        monkeypatch.setattr(socket, "create_connection", connect)
        url = f"http://zo%C3%AB:p%40ss@127.0.0.1:{proxy_port}"
        if not is_given:
            monkeypatch.setenv("HTTPS_PROXY", url)
        arguments = {
            **fake.arguments,
            "base_url": f"https://licences.example.com:{port}",
            "transport": None,
            "proxy": url if is_given else None,
            "ca": str(authority.bundle),
        }
        licence = Permit(**arguments).check(fake.issue())
        assert licence.allowed, licence.trouble
        [head] = seen
        assert head.startswith(f"CONNECT licences.example.com:{port} ".encode())
        assert b"Proxy-Authorization: Basic em/Dqzpw" in head

        monkeypatch.setenv("NO_PROXY", "example.com")
        if not is_given:
            assert Permit(**arguments).check(fake.issue(), fresh=True).why == "verdict"
            assert 1 == len(seen)


@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_proxy_in_the_way_is_told_as_that(status: int) -> None:
    with serving(tunnel([], status)) as port:
        permit = permit_at(
            443, scheme="https", host="licences.example.com", proxy=f"http://127.0.0.1:{port}"
        )
        licence = permit.check("KEY")
    assert ("could_not_check", "proxy") == (licence.answer, licence.why)
    assert licence.trouble is not None
    assert str(status) in licence.trouble.detail


def test_a_proxy_that_is_away() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        permit = permit_at(
            443,
            scheme="https",
            host="licences.example.com",
            proxy=f"127.0.0.1:{taken.getsockname()[1]}",
        )
        assert "proxy" == why(permit)


def test_a_proxy_of_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    assert "proxy" == why(permit_at(443, scheme="https", host="licences.example.com"))


def test_a_proxy_for_plain_http() -> None:
    """Only for this machine's own server; the path is the whole URL then."""
    fake, seen = FakePermit(), list[bytes]()

    def act(connection: socket.socket) -> None:
        head, _, body = read_request(connection).partition(b"\r\n\r\n")
        seen.append(head)
        came = fake.post("/v1/licences/check", body, 1)
        assert isinstance(came, Reply)
        connection.sendall(http(came.status, came.body, came.content_type))

    with serving(act) as port:
        arguments = {**fake.arguments, "transport": None, "base_url": "http://localhost:8000/a"}
        proxy = f"http://127.0.0.1:{port}"
        assert Permit(**arguments, proxy=proxy).check(fake.issue()).allowed
    assert seen[0].startswith(b"POST http://localhost:8000/a/v1/licences/check HTTP/1.1")


@pytest.mark.parametrize("proxy", ["https://proxy:3128", "socks5://x", "http://", "http://x:y"])
def test_a_proxy_that_cannot_be_spoken_to_is_a_mistake(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        Http("https://licences.example.com", proxy=proxy)


# -------------------------------------------------------------------------------- what is sent


def test_what_is_sent() -> None:
    seen: list[bytes] = []

    def act(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(http(200, b"{}"))

    with serving(act) as port:
        came = Http(f"http://127.0.0.1:{port}", user_agent="x/1").post("/v1/y", b'{"a":1}', 5)
    assert isinstance(came, Reply)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert b'{"a":1}' == body
    lines = head.decode().lower().split("\r\n")
    assert "post /v1/y http/1.1" == lines[0]
    assert {"content-type: application/json", "user-agent: x/1"} <= {*lines}


def test_it_works_while_the_interpreter_ends() -> None:
    """A release in `atexit`, where no thread can be started any more."""
    with serving(answering(http(200, b'{"code":"RELEASED"}'))) as port:
        program = f"""
            import atexit
            from permit_client.transport import Http
            http = Http("http://127.0.0.1:{port}")
            atexit.register(lambda: print(http.post("/v1/licences/release", b"{{}}", 5).status))
        """
        assert "200\n" == run(program)


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_a_seat_is_given_back_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """The program is a process of its own, as in a container that is told to stop."""
    fake = FakePermit()
    key = fake.issue()
    with serving(answered(fake)) as port:
        settings = {
            "base_url": f"http://127.0.0.1:{port}",
            "product": fake.product,
            "keys": fake.keys,
            "store": str(tmp_path),
            "fingerprint": "fake-device-0001",
        }
        program = f"""
            import json, time
            from permit_client import Permit
            with Permit(**json.loads({json.dumps(settings)!r})).seat({key!r}) as licence:
                print(licence.answer, flush=True)
                time.sleep(60)
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert b"allowed\n" == process.stdout.readline()
        assert 1 == len(fake.licence(key).devices)
        process.send_signal(number)
        status = process.wait(20)
        process.stdout.close()
    assert {} == fake.licence(key).devices
    assert status in (128 + number, -number, 1)


def test_a_trouble_quotes_no_key(tmp_path: Path) -> None:
    key = FakePermit().issue()
    with serving(hang_up) as port:
        licence = permit_at(port).check(key)
    assert isinstance(licence.trouble, Trouble)
    assert key not in repr(licence.trouble)
    assert key not in repr(licence)
