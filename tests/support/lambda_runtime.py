"""One function in the Lambda's own runtime: AWS's Runtime Interface Emulator and runtime client."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.artifacts import HOST, Artifacts
from tests.support.sam_template import ROOT

INVOCATIONS = "/2015-03-31/functions/function/invocations"
START_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The interpreter and the packages that AWS has in the place of the runtime."""

    python: Path
    packages: Path
    artifacts: Artifacts


@dataclass(frozen=True, kw_only=True)
class RunningFunction:
    port: int
    log: Path

    def invoke(self, event: object) -> Any:
        """What the function returns, or the error that its runtime reports."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", INVOCATIONS, json.dumps(event))
            return json.loads(connection.getresponse().read() or "null")
        finally:
            connection.close()

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def running_function(
    runtime: Runtime, logical_id: str, properties: Mapping[str, Any], log: Path, **environ: str
) -> Generator[RunningFunction]:
    """Start the function as the template says; its code is loaded at the first event."""
    port, runtime_api_port = _free_port(), _free_port()
    [emulator] = ROOT.glob(f".venv-sam/lib/*/site-packages/samcli/local/rapid/*-rie-{HOST}")
    command = [
        *(emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{runtime_api_port}"),
        *(runtime.python, "-m", "awslambdaric", properties["Handler"]),
    ]
    task_root = runtime.artifacts.function(logical_id)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=task_root,
            env=environment(runtime, task_root, properties) | environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_port(port, process, log)
        yield RunningFunction(port=port, log=log)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment(runtime: Runtime, task_root: Path, properties: Mapping[str, Any]) -> dict[str, str]:
    layers = [layer / "python" for layer in runtime.artifacts.layers]
    return {
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_NAME": task_root.name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(properties["Timeout"]),
        "AWS_REGION": "eu-west-1",
        "LAMBDA_TASK_ROOT": str(task_root),
        "PATH": os.defpath,
        # Lambda's order: the function, the layers, what the runtime has.
        "PYTHONPATH": os.pathsep.join(map(str, [task_root, *layers, runtime.packages])),
        "TZ": ":UTC",
    }


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.02)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
