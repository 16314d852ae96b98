"""The execution environments of one function: as many as there is work for, up to a limit."""

import asyncio
from collections import deque
from collections.abc import Mapping

from local.functions.environment import Environment
from local.functions.invocation import Failure, Invocation, Outcome
from local.functions.worker import Print
from local.template.template import Function


class Pool:
    """Gives each invocation an idle environment, the last used first, or starts a new one.

    Lambda refuses at once what is over its limit. Here the limit is only this machine's, so an
    invocation over it waits for its turn as long as its caller does.
    """

    def __init__(
        self, function: Function, variables: Mapping[str, str], *, limit: int, print_line: Print
    ) -> None:
        self.function = function
        self._variables = variables
        self._limit = min(limit, function.reserved_concurrency or limit)
        self._print = print_line
        self._waiting: deque[Invocation] = deque()
        self._idle: list[Environment] = []
        self._lives: dict[Environment, asyncio.Task[None]] = {}
        self._is_closed = False

    async def invoke(self, event: bytes) -> Outcome:
        """The function's answer to the event."""
        if self._is_closed:
            return Outcome(failure=Failure.STOPPED)
        invocation = Invocation(event=event)
        self._waiting.append(invocation)
        self._dispatch()
        return await invocation.outcome

    async def close(self) -> None:
        """End every environment; running requests are answered as stopped."""
        self._is_closed = True
        stopped = Outcome(failure=Failure.STOPPED)
        while self._waiting:
            self._waiting.popleft().settle(stopped)
        for environment in self._lives:
            environment.end(stopped)
        await asyncio.gather(*self._lives.values(), return_exceptions=True)

    def _dispatch(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0].outcome.done():
            waiting.popleft()
        while waiting and self._idle:
            environment = self._idle.pop()
            if environment.is_waiting():
                environment.run(waiting.popleft())
        starting = sum(not environment.is_initialised for environment in self._lives)
        while starting < len(waiting) and len(self._lives) < self._limit:
            self._start()
            starting += 1

    def _start(self) -> None:
        environment = Environment(
            self.function,
            self._variables,
            on_idle=self._on_idle,
            on_end=self._on_end,
            print_line=self._print,
        )
        self._lives[environment] = asyncio.create_task(environment.live())

    def _on_idle(self, environment: Environment) -> None:
        self._idle.append(environment)
        self._dispatch()

    def _on_end(self, environment: Environment, outcome: Outcome) -> None:
        self._lives.pop(environment, None)
        if environment in self._idle:
            self._idle.remove(environment)
        if not environment.is_initialised:
            self._fail_the_first(outcome)
        if outcome.failure is not Failure.STOPPED:
            self._print(f"{outcome.failure}: {outcome.detail}")
            self._dispatch()

    def _fail_the_first(self, outcome: Outcome) -> None:
        """An environment that did not start was started for a waiting request: answer that one."""
        if self._waiting:
            self._waiting.popleft().settle(outcome)
