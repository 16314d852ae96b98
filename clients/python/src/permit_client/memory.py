"""What is remembered of the last verdict, and how it is written down. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, cast

from permit_client.clock import Reading
from permit_client.proofs import NotBelieved, Proof, Question, verify

if TYPE_CHECKING:
    from collections.abc import Mapping


class Memory(NamedTuple):
    """The last signed verdict for a key. Without a proof: the seat was given back."""

    key_id: str
    proof: Optional[Proof]
    text: Optional[str]
    """The proof as it came."""
    at: Reading
    """This machine's clocks when the verdict came; `steady` counts only if `same_process`."""
    seen: float
    """The latest that this machine's clock has been since."""
    issued_at: int
    """The server's time of the verdict, or of what was given back."""
    same_process: bool = True
    key: Optional[str] = None
    """The licence key itself, only where the program asked to keep it."""

    @property
    def floor(self) -> float:
        """Earlier than this the clock has been set back."""
        return max(self.at.wall, self.seen)

    def seen_at(self, wall: float) -> Memory:
        return self if wall <= self.seen else self._replace(seen=wall)


class Forgotten(Exception):
    """What was written down does not count here. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def written(memory: Memory) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "key_id": memory.key_id,
        "proof": memory.text,
        "wall": memory.at.wall,
        "seen": memory.seen,
        "issued_at": memory.issued_at,
        "key": memory.key,
    }


def read_back(body: Mapping[str, Any], question: Question) -> Memory:
    """Verified anew: what a disk says is believed no more than what a network says.

    Raises Forgotten: it is damaged, or signed for another build, by another key …
    """
    key_id, text, key = body.get("key_id"), body.get("proof"), body.get("key")
    wall, seen, issued_at = body.get("wall"), body.get("seen"), body.get("issued_at")
    if (
        not isinstance(key_id, str)
        or not (key is None or isinstance(key, str))
        or not (text is None or isinstance(text, str))
        or not (_is_number(wall) and _is_number(seen) and _is_number(issued_at))
    ):
        raise Forgotten("damaged")
    proof = None
    if text is not None:
        try:
            proof = verify(text, question)
        except NotBelieved as broken:
            raise Forgotten(broken.reason) from None
    return Memory(
        key_id=key_id,
        proof=proof,
        text=text,
        at=Reading(cast("float", wall), 0.0),
        seen=cast("float", seen),
        issued_at=int(cast("float", issued_at)) if proof is None else proof.issued_at,
        same_process=False,
        key=key,
    )


def forget(memory: Memory | None, key_id: str, now: Reading) -> Memory:
    """After a release: no lease is left, and an older one that turns up does not count."""
    issued_at = 0 if memory is None or memory.key_id != key_id else memory.issued_at
    floor = now.wall if memory is None else max(memory.floor, now.wall)
    return Memory(
        key_id=key_id,
        proof=None,
        text=None,
        at=now,
        seen=floor,
        issued_at=issued_at,
        key=None if memory is None else memory.key,
    )


def newer(mine: Memory, theirs: Memory | None) -> Memory:
    """Of two memories of one key, by two processes, the one that came later from the server."""
    if theirs is None or theirs.key_id != mine.key_id or theirs.issued_at <= mine.issued_at:
        return mine
    return theirs


def found_newer(mine: Memory | None, found: Memory) -> Memory:
    """The same, for what another process has written after this one looked or wrote.

    Of two of one second the one that was found is the later one, unless this seat was given back.
    """
    if mine is None:
        return found
    is_later = found.key_id == mine.key_id and found.issued_at == mine.issued_at
    return found if is_later and mine.proof is not None else newer(mine, found)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
