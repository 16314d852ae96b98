"""A function as it is deployed: what its first answer and each later one take of a processor."""

import json
import os
import resource
import statistics
import time

from app import handler
from bench_lambda import Context


def main() -> None:
    """CPU seconds, which Lambda stretches as it divides the processor; and the most memory."""
    event = json.loads(os.environ["BENCH_EVENT"])
    calls = int(os.environ["BENCH_CALLS"])
    answer = handler(event, Context())
    cold = time.process_time()
    warm = [_cpu_seconds(event) for _ in range(calls)]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    figures = {"cold": cold, "warm": statistics.median(warm), "megabytes": megabytes}
    print(json.dumps({"answer": answer, **figures}))


def _cpu_seconds(event: dict[str, object]) -> float:
    started = time.process_time()
    handler(event, Context())
    return time.process_time() - started
