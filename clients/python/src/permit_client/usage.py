"""What a usage leads to. Pure, as `core` is."""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

from permit_client.core import ALLOWED, COULD_NOT_CHECK, NOT_BELIEVED, REFUSED
from permit_client.hearing import Reply, Trouble, read_answer
from permit_client.proofs import USAGE_TYPE, NotBelieved, Question, verify


class Counted(NamedTuple):
    """What a usage leads to."""

    answer: str
    why: str
    """Allowed: `counted`. Refused: the code. Otherwise the reason."""
    trouble: Optional[Trouble] = None
    used: Optional[int] = None
    limit: Optional[int] = None
    resets_at: Optional[str] = None


def hear_usage(
    came: Union[Reply, Trouble], question: Question, *, nonce: str, meter: str
) -> Counted:
    """Judges what came back for a usage. Nothing is remembered: it is no lease."""
    answer = read_answer(came)
    if isinstance(answer, Trouble):
        return Counted(COULD_NOT_CHECK, answer.why, answer)
    text = answer.get("proof")
    if text is None and answer.get("code") == "NOT_FOUND" and answer.get("valid") is False:
        return Counted(REFUSED, "NOT_FOUND", Trouble("unsigned_refusal"))
    if not isinstance(text, str):
        return Counted(NOT_BELIEVED, "no_proof", Trouble("no_proof", is_forgery=True))
    try:
        proof = verify(text, question, nonce=nonce, type_=USAGE_TYPE)
        if proof.claims["meter"] != meter:
            raise NotBelieved("other_meter")
    except NotBelieved as broken:
        return Counted(NOT_BELIEVED, broken.reason, Trouble(broken.reason, is_forgery=True))
    is_counted = proof.valid and proof.claims["allowed"]
    return Counted(
        ALLOWED if is_counted else REFUSED,
        "counted" if is_counted else proof.code,
        used=proof.claims["used"],
        limit=proof.claims["limit"],
        resets_at=proof.claims.get("resets_at"),
    )
