"""What a program may put in place of ours: a store, a transport. For types alone."""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol, Union

from permit_client.hearing import Reply, Trouble
from permit_client.store import Kept

Change = Callable[[Kept], Optional["dict[str, Any]"]]
"""From what is there now to what shall be there; None: leave it as it is."""


class Store(Protocol):
    """A place for one small document."""

    def load(self) -> Kept:
        """Never raises."""
        ...

    def update(self, change: Change) -> Optional[str]:
        """Replaces the document as a whole. None, or the name of what prevented it."""
        ...

    def stamp(self) -> object:
        """Differs when another process may have written since. Never raises."""
        ...

    def discard(self) -> None:
        """Removes the document, where that is possible. Never raises."""
        ...


class Transport(Protocol):
    """What carries a request to the server."""

    def post(self, path: str, body: bytes, timeout: float) -> Union[Reply, Trouble]:
        """Never raises for a network."""
        ...
