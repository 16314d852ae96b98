"""One execution environment under load: it answers one check after another, for so long."""

import time
from collections.abc import Callable
from typing import Any

from bench_commands import serve
from bench_lambda import Device


def serve_load(answer: Callable[[Device], object]) -> None:
    """`answer` does what is measured, once."""

    def load(devices: list[Device], seconds: float, first: float, every: float) -> dict[str, Any]:
        """Until the time is up, or the devices: how long each took, in seconds.

        One is due `every` so many seconds, the first after `first`; its time begins when it is due,
        so waiting for the one before counts. At 0 the next is due when the one before is done.
        """
        taken: list[float] = []
        started = now = time.perf_counter()
        due = started + first
        for device in devices:
            if every:
                time.sleep(max(0.0, due - now))
            else:
                due = now
            if due >= started + seconds:
                break
            answer(device)
            now = time.perf_counter()
            taken.append(now - due)
            due += every
        return {"taken": taken, "seconds": time.perf_counter() - started}

    serve({"load": load})
