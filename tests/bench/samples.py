"""What was measured of one thing, in seconds."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Samples:
    seconds: list[float]

    @classmethod
    def without_warm_up(cls, seconds: Iterable[float]) -> Self:
        """Leaves out the first tenth."""
        every = list(seconds)
        return cls(every[len(every) // 10 :])

    @property
    def count(self) -> int:
        return len(self.seconds)

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[math.ceil(0.99 * self.count) - 1]

    @property
    def summary(self) -> str:
        p50, p99 = milliseconds(self.p50), milliseconds(self.p99)
        return f"{p50} (p99 {p99}, n {self.count})"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
