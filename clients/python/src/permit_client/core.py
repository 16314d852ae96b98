"""What is true of a licence, from what is remembered and what the clocks say.

Pure: no file, no network, no clock of its own. docs/protocol.md says the same in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from permit_client.clock import is_set_back, since
from permit_client.digests import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from permit_client.clock import Reading
    from permit_client.hearing import Trouble
    from permit_client.memory import Memory
    from permit_client.proofs import Proof

ALLOWED = "allowed"
REFUSED = "refused"
COULD_NOT_CHECK = "could_not_check"
NOT_BELIEVED = "not_believed"

_REFUSED_PAUSE = 600


class Finding(NamedTuple):
    """One of the four answers, with its reason."""

    answer: str
    why: str
    """Allowed: `verdict` (fresh) or `lease`. Refused: the verdict's code. Else the reason."""
    proof: Optional[Proof] = None
    trouble: Optional[Trouble] = None
    """Why the server could not be asked, or was not believed, whatever the answer."""
    good_until: Optional[float] = None
    """Server time."""
    unsigned: Optional[Mapping[str, Any]] = None
    """The rest of a fresh answer, for people to read. It decides nothing."""

    @property
    def allowed(self) -> bool:
        return self.answer == ALLOWED


def recall(memory: Memory | None, now: Reading, *, file_time: float = 0.0) -> Finding:
    """What holds without asking anybody."""
    if memory is None:
        return Finding(COULD_NOT_CHECK, "nothing_remembered")
    proof = memory.proof
    if proof is None:
        return Finding(COULD_NOT_CHECK, "released")
    if not proof.valid:
        # A signed no stays a no until a fresh verdict: a network that is pulled after a refusal
        # must not turn it into an outage.
        return Finding(REFUSED, proof.code, proof)
    if is_set_back(max(memory.floor, file_time), now):
        return Finding(COULD_NOT_CHECK, "clock_set_back", proof)
    if server_time(memory, now) >= proof.expires_at:
        return Finding(COULD_NOT_CHECK, "lease_ended", proof)
    return Finding(ALLOWED, "lease", proof, good_until=proof.expires_at)


def server_time(memory: Memory, now: Reading) -> float:
    """What the server's clock shows now, as far as this machine's clocks can tell."""
    return memory.issued_at + since(memory.at, now, same_process=memory.same_process)


def next_check_at(proof: Proof) -> float:
    """When the server wants to be asked again, in its time; never after a lease has ended."""
    if not proof.valid:
        return proof.next_check_at or proof.issued_at + _REFUSED_PAUSE
    if proof.next_check_at is not None:
        return min(proof.next_check_at, proof.expires_at)
    # An older server does not say: between 50 % and 75 % of the lease, each device at its own
    # place, so that what was installed on one day does not ask on one day.
    who = f"{proof.licence_id}/{proof.claims['dev'] or ''}".encode()
    place = int.from_bytes(sha256(who)[:4], "big") / 2**32
    lease = proof.expires_at - proof.issued_at
    return proof.issued_at + lease * (0.5 + place / 4)


def is_due(memory: Memory | None, now: Reading, *, file_time: float = 0.0) -> bool:
    """Whether a check should ask the server now."""
    if memory is None or memory.proof is None:
        return True
    if not memory.proof.valid:
        # A person who starts the program again has often just cleared the reason.
        return not memory.same_process or server_time(memory, now) >= next_check_at(memory.proof)
    if recall(memory, now, file_time=file_time).answer != ALLOWED:
        return True
    return server_time(memory, now) >= next_check_at(memory.proof)
