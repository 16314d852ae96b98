"""Keeps the last verdict: in memory, and in the store, which other processes write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from permit_client import core
from permit_client.memory import Forgotten, Memory, found_newer, newer, read_back, written
from permit_client.store import ABSENT, OK

if TYPE_CHECKING:
    from permit_client.clock import Reading
    from permit_client.interfaces import Store
    from permit_client.proofs import Question
    from permit_client.store import Kept

_NOTED_EVERY = 600
"""Seconds between two notes of how late the clock has been."""


class Keeper:
    """What is remembered. Whoever changes it holds the lock of `Permit`; each part of it is
    replaced whole, so it is read without."""

    def __init__(self, store: Store, trouble: Optional[str], question: Question) -> None:
        self.memory: Optional[Memory] = None
        self.file_time = 0.0
        self.trouble = trouble
        self.is_read = False
        self._store = store
        self._question = question
        self._stamp: object = None

    def recall(self, now: Reading) -> core.Finding:
        """What holds without asking anybody."""
        return core.recall(self.memory, now, file_time=self.file_time)

    def lease_left(self, now: Reading) -> float:
        """Seconds; 0: none holds."""
        until = self.recall(now).good_until
        if until is None or self.memory is None:
            return 0.0
        return until - core.server_time(self.memory, now)

    def read(self) -> None:
        """What was written down before, once."""
        if self.is_read:
            return
        self._stamp = self._store.stamp()
        self._take(self._store.load())
        self.is_read = True

    def _take(self, kept: Kept) -> None:
        self.file_time = kept.written_at
        if kept.body is None:
            if kept.status != ABSENT:
                self.trouble = kept.status
            return
        try:
            found = read_back(kept.body, self._question)
        except Forgotten as reason:
            self.trouble = reason.reason
            return
        memory = self.memory
        if memory is None or found.text != memory.text:
            self.memory = found_newer(memory, found)

    def look_again(self) -> None:
        """Another process of the program may have heard something newer."""
        stamp = self._store.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            kept = self._store.load()
            self._take(kept)
            if self.memory is not None and self.memory.same_process:
                self.file_time = 0.0

    def remember(self, memory: Memory) -> None:
        self.memory = memory

        def change(kept: Kept) -> Optional[dict[str, Any]]:
            try:
                theirs = None if kept.body is None else read_back(kept.body, self._question)
            except Forgotten:
                theirs = None
            later = newer(memory, theirs)
            if later is not memory:
                self.memory = later
                return None
            return written(memory)

        self.trouble = self._store.update(change)
        if self.trouble is not None and (memory.proof is None or not memory.proof.valid):
            # A no that cannot be written must not leave the yes of before behind.
            self._store.discard()
        self.file_time = 0.0
        self._stamp = self._store.stamp()

    def note(self, now: Reading) -> None:
        """Writes down how late it has been, so that a clock that is set back shows."""
        memory = self.memory
        if memory is None or now.wall < memory.floor + _NOTED_EVERY:
            return
        self.memory = memory = memory.seen_at(now.wall)

        def change(kept: Kept) -> Optional[dict[str, Any]]:
            body = kept.body
            if kept.status != OK or body is None or body.get("key_id") != memory.key_id:
                return None
            seen = body.get("seen")
            if not isinstance(seen, (int, float)) or seen >= now.wall:
                return None
            return {**body, "seen": now.wall}

        self._store.update(change)
        self._stamp = self._store.stamp()
