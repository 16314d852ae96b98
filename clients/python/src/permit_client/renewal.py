"""Checks in the background, for programs that run for long."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    from permit_client.licence import Licence
    from permit_client.permit import Permit

_LOOKS_EVERY = 60.0
"""Seconds: a machine that slept, or a clock that was set, shows within these."""
_SHORTEST, _SHORTEST_REFUSED = 0.5, 5.0


class Renewal:
    """A daemon thread that checks whenever that is due.

    The server has said when, at a place of each device's own; after a failure the circuit of
    `Permit` says it, with full jitter. So many programs never ask at one moment.
    """

    def __init__(self, permit: Permit, on_change: Optional[Callable[[Licence], None]]) -> None:
        self._permit = permit
        self._on_change = on_change
        self._stopped = threading.Event()
        self._last: Optional[tuple[object, ...]] = None
        self._thread = threading.Thread(target=self._run, name="permit-renewal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when nothing runs any more, or after a second: a request may be on its way."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            licence = self._permit.check()
            told = (licence.answer, licence.code, licence.entitlements)
            if self._last is not None and told != self._last and self._on_change is not None:
                self._tell(licence)
            self._last = told
            wait = self._permit.seconds_until_due()
            shortest = _SHORTEST if licence.allowed else _SHORTEST_REFUSED
            self._stopped.wait(min(max(wait, shortest), _LOOKS_EVERY))

    def _tell(self, licence: Licence) -> None:
        try:
            assert self._on_change is not None  # noqa: S101
            self._on_change(licence)
        except Exception:
            import logging

            logging.getLogger("permit_client").exception("on_change failed")
