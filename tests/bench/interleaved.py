"""Takes turns: what is compared is measured in one loop, so that the machine's noise hits all."""

from collections.abc import Callable, Mapping
from typing import Any

_TURN = 1  # calls


def interleave(count: int, **measures: Callable[[int], list[Any]]) -> Mapping[str, list[Any]]:
    """Each measure is asked for so many, some at a time; what they gave, by name."""
    taken: dict[str, list[Any]] = {name: [] for name in measures}
    for begin in range(0, count, _TURN):
        for name, measure in measures.items():
            taken[name] += measure(min(_TURN, count - begin))
    return taken
