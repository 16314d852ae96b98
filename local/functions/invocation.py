"""One invocation of a function, from its event to its answer."""

import asyncio
import uuid
from dataclasses import dataclass, field
from enum import StrEnum


class Failure(StrEnum):
    """Why an invocation has no answer."""

    RAISED = "the function raised"
    TIMED_OUT = "the function passed its timeout"
    CRASHED = "the process ended"
    NOT_STARTED = "the function could not be initialised"
    TOO_LARGE = "the answer is larger than Lambda takes"
    STOPPED = "the gateway is stopping"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The function's answer as JSON, or the failure and what is known of it."""

    payload: bytes = b""
    failure: Failure | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Invocation:
    """An event that waits for a function, or is being handled by one."""

    event: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, outcome: Outcome) -> None:
        """Give the answer, unless it was given already or nobody waits for it."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)
