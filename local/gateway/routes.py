"""Finds the route of a request as an HTTP API does: the most specific one wins."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from local.template.template import Function, Route

SEGMENT = re.compile(r"\{([^}+]+)(\+?)\}")


@dataclass(frozen=True, kw_only=True)
class Match:
    """The function and route of a request, and its path parameters."""

    function: Function
    route: Route
    parameters: dict[str, str] = field(default_factory=dict[str, str])


class Routes:
    """Every route of every function, in the order in which they are tried."""

    def __init__(self, functions: Iterable[Function]) -> None:
        found = [(function, route) for function in functions for route in function.routes]
        self._entries = [
            (_pattern(route.path), function, route)
            for function, route in sorted(found, key=lambda entry: _rank(entry[1]))
        ]

    def find(self, method: str, path: str) -> Match | None:
        """The match for a method and a path, the path as it was sent."""
        for pattern, function, route in self._entries:
            matched = pattern.fullmatch(path)
            if matched and route.method in (method, "ANY"):
                names = [name for name, _ in SEGMENT.findall(route.path)]
                values = map(unquote, matched.groups())
                parameters = dict(zip(names, values, strict=True))
                return Match(function=function, route=route, parameters=parameters)
        return None


def _pattern(path: str) -> re.Pattern[str]:
    if path == "$default":
        return re.compile(".*")
    parts: list[str] = []
    end = 0
    for segment in SEGMENT.finditer(path):
        parts += [re.escape(path[end : segment.start()]), "(.+)" if segment[2] else "([^/]+)"]
        end = segment.end()
    return re.compile("".join(parts) + re.escape(path[end:]))


def _rank(route: Route) -> tuple[bool, bool, int, bool]:
    """Fixed paths before parameters before `{proxy+}` before `$default`; a method before ANY."""
    segments = SEGMENT.findall(route.path)
    is_greedy = any(plus for _, plus in segments)
    return route.path == "$default", is_greedy, len(segments), route.method == "ANY"
