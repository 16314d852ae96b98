"""The local gateway with stand-in functions: honest about what Lambda and API Gateway do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "tests" / "support" / "gateway_driver.py"
LIMIT = 3
PATIENCE = 10.0
TEMPLATE = """
Globals:
  Function: {Handler: app.handler, Runtime: python3.13, Timeout: 20}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      RouteSettings: {ANY /rationed: {ThrottlingRateLimit: 0.001, ThrottlingBurstLimit: 2}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: worker
      Environment: {Variables: {GREETING: hello}}
      Events:
        Fixed: {Type: HttpApi, Properties: {Path: /act, Method: POST}}
        Item: {Type: HttpApi, Properties: {Path: "/items/{id}", Method: ANY}}
        Rationed: {Type: HttpApi, Properties: {Path: /rationed, Method: ANY}}
  Impatient:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: impatient
      Timeout: 1
      Events: {Stall: {Type: HttpApi, Properties: {Path: /stall, Method: ANY}}}
  Broken:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: broken
      Events: {Broken: {Type: HttpApi, Properties: {Path: /broken, Method: ANY}}}
"""
WORKER = """
import json, os, time

count = 0

def handler(event, context):
    global count
    count += 1
    started = time.monotonic()
    if event["routeKey"] != "POST /act":
        if event["requestContext"]["http"]["method"] == "DELETE":
            return {"statusCode": 405, "headers": {"Allow": "GET, POST"}, "body": "no"}
        return event
    act = json.loads(event["body"])
    time.sleep(act.get("sleep", 0))
    if "exit" in act:
        os._exit(act["exit"])
    if "raise" in act:
        raise RuntimeError(act["raise"])
    if "large" in act:
        return "x" * act["large"]
    if "answer" in act:
        return act["answer"]
    return {
        "pid": os.getpid(), "count": count, "started": started, "ended": time.monotonic(),
        "greeting": os.environ["GREETING"], "remaining": context.get_remaining_time_in_millis(),
    }
"""
IMPATIENT = """
import os, pathlib, subprocess, time

def handler(event, context):
    child = subprocess.Popen(["sleep", "60"])
    pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
"""
BROKEN = """
raise ValueError("the setting PERMIT_SOMETHING is missing")
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A gateway in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    folder: Path

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(
                status=response.status, headers=response.getheaders(), body=response.read()
            )
        finally:
            connection.close()

    def act(self, **act: Any) -> Answer:
        headers = {"content-type": "application/json"}
        return self.request("POST", "/act", json.dumps(act).encode(), headers)

    def printed(self) -> str:
        return (self.folder / "output").read_text()


@contextmanager
def gateway(folder: Path, client: str = "native") -> Generator[Running]:
    for name, code in (("worker", WORKER), ("impatient", IMPATIENT), ("broken", BROKEN)):
        (folder / name).mkdir()
        (folder / name / "app.py").write_text(code)
    template = folder / "template.yaml"
    template.write_text(TEMPLATE)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(template), client],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        until(lambda: (folder / "output").read_text().endswith("\n"))
        port = int((folder / "output").read_text())
        yield Running(process=process, port=port, folder=folder)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(params=["native", "portable"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    with gateway(tmp_path, request.param) as running:
        yield running


def test_an_environment_keeps_its_state_and_settings_between_requests(fresh: Running) -> None:
    answers = [fresh.act().json for _ in range(3)]

    assert [answer["count"] for answer in answers] == [1, 2, 3]
    assert len({answer["pid"] for answer in answers}) == 1
    assert answers[0]["greeting"] == "hello"
    assert 18_000 < answers[0]["remaining"] <= 20_000


def test_environments_serve_one_request_at_a_time_and_grow_to_the_limit(fresh: Running) -> None:
    rounds = [crowd(fresh)]
    while len(pids(rounds[-1])) < LIMIT and len(rounds) < 5:  # A slow machine starts them late.
        rounds.append(crowd(fresh))

    answers = [answer for each in rounds for answer in each]
    assert len(pids(answers)) == LIMIT
    for pid in pids(answers):
        turns = sorted((a["started"], a["ended"]) for a in answers if a["pid"] == pid)
        assert all(before[1] <= after[0] for before, after in pairwise(turns))


def test_the_environment_used_last_is_used_next(running: Running) -> None:
    until(lambda: len(pids(crowd(running))) == LIMIT)

    assert len(pids([running.act().json for _ in range(4)])) == 1


def crowd(running: Running) -> list[dict[str, Any]]:
    """The answers to more requests at once than there are environments."""
    with ThreadPoolExecutor(2 * LIMIT) as threads:
        return [each.json for each in threads.map(lambda _: running.act(sleep=0.4), range(6))]


def pids(answers: list[dict[str, Any]]) -> set[int]:
    return {answer["pid"] for answer in answers}


def test_a_function_that_passes_its_timeout_is_ended_and_answered_503(running: Running) -> None:
    started = time.monotonic()
    answer = running.request("GET", "/stall")
    seconds = time.monotonic() - started

    assert (answer.status, answer.json) == (503, {"message": "Service Unavailable"})
    assert 1 <= seconds < 4
    for pid in map(int, (running.folder / "impatient" / "pids").read_text().split()):
        until(lambda pid=pid: not is_alive(pid))
    assert "Task timed out after 1.00 seconds" in running.printed()


def test_a_function_that_cannot_start_is_a_500_every_time(running: Running) -> None:
    answers = [running.request("GET", "/broken") for _ in range(2)]

    assert [answer.status for answer in answers] == [500, 500]
    assert answers[0].json == {"message": "Internal Server Error"}
    assert "ValueError: the setting PERMIT_SOMETHING is missing" in running.printed()


def test_a_function_that_raises_is_a_500_and_its_environment_lives_on(fresh: Running) -> None:
    pid = fresh.act().json["pid"]

    answer = fresh.act(**{"raise": "a reason"})

    assert (answer.status, answer.json) == (500, {"message": "Internal Server Error"})
    assert fresh.act().json["pid"] == pid
    assert "RuntimeError: a reason" in fresh.printed()


def test_an_environment_that_crashes_is_replaced(running: Running) -> None:
    answer = running.act(exit=3)

    assert (answer.status, answer.json) == (500, {"message": "Internal Server Error"})
    assert running.act().status == 200


def test_an_environment_that_is_killed_while_idle_is_replaced(running: Running) -> None:
    pid = running.act().json["pid"]

    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    answer = running.act()

    assert answer.status == 200
    assert answer.json["pid"] != pid


def test_an_answer_larger_than_lambda_takes_is_a_500(running: Running) -> None:
    assert running.act(large=6 * 1024 * 1024 + 200).status == 500
    assert running.act(large=6 * 1024 * 1024 - 200).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/act"), ("POST", "/act/"), ("GET", "/items"), ("GET", "/items/1/2")],
)
def test_an_unknown_route_is_a_404(running: Running, method: str, path: str) -> None:
    answer = running.request(method, path)

    assert (answer.status, answer.json) == (404, {"message": "Not Found"})


def test_a_functions_own_405_passes_through(running: Running) -> None:
    answer = running.request("DELETE", "/items/1")

    assert (answer.status, answer.body) == (405, b"no")
    assert ("allow", "GET, POST") in answer.headers


def test_a_body_over_6_mb_is_a_413(running: Running) -> None:
    answer = running.request("POST", "/items/1", b"x" * (6 * 1024 * 1024 + 1))

    assert (answer.status, answer.json) == (413, {"message": "Request Entity Too Large"})


def test_a_route_over_its_rate_is_a_429(running: Running) -> None:
    answers = [running.request("GET", "/rationed") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json == {"message": "Too Many Requests"}


def test_a_request_becomes_an_event_of_format_2(running: Running) -> None:
    headers = {"Cookie": "a=1; b=2", "X-Custom": "é".encode().decode("latin-1")}

    event = running.request("PUT", "/items/a%20b?x=1&x=2", b"\0\1", headers).json

    assert (event["routeKey"], event["pathParameters"]) == ("ANY /items/{id}", {"id": "a b"})
    assert (event["rawPath"], event["rawQueryString"]) == ("/items/a b", "x=1&x=2")
    assert event["queryStringParameters"] == {"x": "1,2"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert (event["body"], event["isBase64Encoded"]) == ("AAE=", True)
    assert event["requestContext"]["http"]["protocol"] == "HTTP/1.1"
    assert event["headers"]["host"] == f"127.0.0.1:{running.port}"


def test_a_response_keeps_its_cookies_apart(running: Running) -> None:
    answer = running.act(
        answer={
            "statusCode": 200,
            "cookies": ["a=1", "b=2"],
            "body": "AP8=",
            "isBase64Encoded": True,
        }
    )

    assert answer.body == b"\0\xff"
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]


def test_a_head_request_is_answered_without_a_body(running: Running) -> None:
    assert running.request("HEAD", "/items/1").body == b""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_no_process_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    with gateway(tmp_path) as running, ThreadPoolExecutor(2) as threads:
        running.act()
        under_way = threads.submit(running.request, "GET", "/stall")
        until((tmp_path / "impatient" / "pids").exists)
        environments = psutil.Process(running.process.pid).children()

        running.process.send_signal(how)
        running.process.wait(PATIENCE)

        assert len(environments) == 2
        _, alive = psutil.wait_procs(environments, timeout=PATIENCE)
        assert not alive
        under_way.exception(PATIENCE)  # Whatever its caller got, nobody waits any more.


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
