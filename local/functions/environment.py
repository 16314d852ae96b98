"""One execution environment: a process running AWS's own runtime client, one request at a time."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping

from local.functions.invocation import Failure, Invocation, Outcome
from local.functions.runtime_api import Call, Reply, RuntimeApi
from local.functions.worker import Print, Worker
from local.template.template import Function

# Lambda allows 10 s; a machine that compiles the packages for the first time may need more.
INIT_SECONDS = 30.0
# Lambda's limit for events and answers: a little over 6 MB.
PAYLOAD_BYTES = 6 * 1024 * 1024 + 100


class Environment:
    """Starts, feeds and ends one process; tells its pool when it is idle and when it has ended."""

    def __init__(
        self,
        function: Function,
        variables: Mapping[str, str],
        *,
        on_idle: Callable[["Environment"], None],
        on_end: Callable[["Environment", Outcome], None],
        print_line: Print,
    ) -> None:
        self._function = function
        self._variables = variables
        self._on_idle = on_idle
        self._on_end = on_end
        self._print = print_line
        self._api = RuntimeApi(self._answer)
        self._worker: Worker | None = None
        self._current: Invocation | None = None
        self._answered: Outcome | None = None
        self._work: asyncio.Queue[Invocation] = asyncio.Queue(1)
        self._timer: asyncio.TimerHandle | None = None
        self._end: Outcome | None = None
        self._is_unwanted = False
        self._is_waiting: Callable[[], bool] = lambda: False
        self.is_initialised = False

    async def live(self) -> None:
        """Run the process until it ends, for whatever reason."""
        try:
            variables = {**self._variables, "AWS_LAMBDA_RUNTIME_API": await self._api.open()}
            self._worker = await Worker.start(self._function, variables, self._print)
            self._arm(INIT_SECONDS, f"no answer from its initialisation in {INIT_SECONDS:.0f} s")
            if self._is_unwanted:
                self._worker.kill()
            status = await self._worker.wait()
            self._end = self._end or Outcome(failure=Failure.CRASHED, detail=f"status {status}")
        finally:
            self.end()
            self._finish()
            await self._api.close()

    def is_waiting(self) -> bool:
        """Whether the process can take an invocation: it may have been killed just now."""
        return self._worker is not None and self._worker.is_running() and self._is_waiting()

    def run(self, invocation: Invocation) -> None:
        """Hand over an invocation; the environment must have said that it is idle."""
        self._current = invocation
        timeout = self._function.timeout_seconds
        self._arm(timeout, f"Task timed out after {timeout:.2f} seconds")
        self._work.put_nowait(invocation)

    def end(self, outcome: Outcome | None = None) -> None:
        """Kill the process; `outcome` becomes the answer of what it was doing."""
        self._is_unwanted = True
        self._end = self._end or outcome
        if self._worker is not None:
            self._worker.kill()

    def _arm(self, seconds: float, message: str) -> None:
        self._disarm()
        outcome = Outcome(failure=Failure.TIMED_OUT, detail=message)
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end, outcome)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _finish(self) -> None:
        self._disarm()
        end = self._end or Outcome(failure=Failure.CRASHED)
        self._settle(self._answered or end)
        self._on_end(self, end)

    async def _answer(self, call: Call) -> Reply:
        """The Runtime API as AWS documents it, for this environment's process."""
        match call.method, call.path.strip("/").split("/"):
            case "GET", ["invocation", "next"]:
                return await self._next(call)
            case "POST", ["invocation", request_id, "response"]:
                return self._responded(request_id, call.body)
            case "POST", ["invocation", request_id, "error"]:
                detail = _error(call.body)
                self._take(request_id, Outcome(failure=Failure.RAISED, detail=detail))
                return Reply(status=202)
            case "POST", ["init", "error"]:
                detail = _error(call.body)
                self._end = Outcome(failure=Failure.NOT_STARTED, detail=detail)
                return Reply(status=202)
            case _:
                return Reply(status=404)

    async def _next(self, call: Call) -> Reply:
        self._disarm()
        # Not earlier: a caller that asks again at once must find this environment idle.
        self._settle(self._answered or Outcome(failure=Failure.CRASHED, detail="no answer"))
        self._is_waiting = call.is_connected
        self.is_initialised = True
        self._on_idle(self)
        invocation = await self._work.get()
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{self._function.name}"
        deadline = time.time() + self._function.timeout_seconds
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": arn,
            "Lambda-Runtime-Trace-Id": _trace_id(invocation.request_id),
        }
        return Reply(status=200, headers=headers, body=invocation.event)

    def _responded(self, request_id: str, payload: bytes) -> Reply:
        if len(payload) > PAYLOAD_BYTES:
            detail = f"{len(payload)} bytes, and Lambda takes {PAYLOAD_BYTES}"
            self._take(request_id, Outcome(failure=Failure.TOO_LARGE, detail=detail))
            return Reply(status=413)
        self._take(request_id, Outcome(payload=payload))
        return Reply(status=202)

    def _take(self, request_id: str, outcome: Outcome) -> None:
        if self._current is not None and self._current.request_id == request_id:
            self._disarm()
            self._answered = outcome

    def _settle(self, outcome: Outcome) -> None:
        if self._current is not None:
            self._current.settle(outcome)
        self._current = self._answered = None


def _error(body: bytes) -> str:
    """What the runtime reports of an error; it has printed the traceback itself."""
    error = json.loads(body)
    return f"{error['errorType']}: {error['errorMessage']}"


def _trace_id(request_id: str) -> str:
    digits = request_id.replace("-", "")
    return f"Root=1-{int(time.time()):08x}-{digits[:24]};Parent={digits[16:]};Sampled=0"
