"""Which handler answers a method and path: static paths come before paths with ids.

Our own: what Powertools' resolver costs a cold start and each check is in docs/performance.md.
"""

import re
from collections.abc import Callable

from permit.edge.payload import Response
from permit.edge.refusals import MethodNotAllowed
from permit.errors import NotFound

Handler = Callable[..., Response]
_ID = re.compile(r"\\\{(\w+)\\\}")  # as re.escape leaves {name}


class Router:
    """In a path, `{name}` is one segment, which the handler gets as an argument of that name."""

    def __init__(self) -> None:
        self._static: dict[str, dict[str, Handler]] = {}
        self._with_ids: dict[re.Pattern[str], dict[str, Handler]] = {}

    def add(self, method: str, path: str, handler: Handler) -> None:
        if "{" in path:
            pattern = re.compile(_ID.sub(r"(?P<\1>[^/]+)", re.escape(path)))
            methods = self._with_ids.setdefault(pattern, {})
        else:
            methods = self._static.setdefault(path, {})
        methods[method] = handler

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        """The handler and the path's ids. Raises NotFound, or MethodNotAllowed with the others."""
        methods, ids = self._methods(path)
        if method not in methods:
            raise MethodNotAllowed(methods)
        return methods[method], ids

    def _methods(self, path: str) -> tuple[dict[str, Handler], dict[str, str]]:
        if path in self._static:
            return self._static[path], {}
        for pattern, methods in self._with_ids.items():
            match = pattern.fullmatch(path)
            if match is not None:
                return methods, match.groupdict()
        raise NotFound
