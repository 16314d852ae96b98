"""What came back for a check: what it says, and what it leads to. Pure, as `core` is.

Apart from `core`, since a start without a network does not need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union, cast

from permit_client.core import (
    ALLOWED,
    COULD_NOT_CHECK,
    NOT_BELIEVED,
    REFUSED,
    Finding,
    recall,
)
from permit_client.memory import Memory
from permit_client.proofs import NotBelieved, Question, verify
from permit_client.strict import Malformed, parse_object

if TYPE_CHECKING:
    from permit_client.clock import Reading

LONGEST_ANSWER = 1_048_576
"""Bytes."""
_LONGEST_RETRY_AFTER = 3600.0  # it is not signed: somebody in between may say a year
_HTML = ("<!doctype html", "<html")


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes
    retry_after: Optional[float] = None
    """Seconds."""


class Trouble(NamedTuple):
    """Why nothing usable came back. It says nothing about the licence."""

    why: str
    detail: str = ""
    """For a log; never quotes a key."""
    retry_after: Optional[float] = None
    was_sent: bool = True
    """Whether the server may have carried the request out."""
    is_forgery: bool = False
    """Whether something did come, and is not to be believed."""


class Heard(NamedTuple):
    """What a check leads to."""

    finding: Finding
    memory: Optional[Memory]
    """To be remembered from now on."""
    is_fresh: bool
    """Whether a fresh verdict came: only then is there something to write down."""
    trouble: Optional[Trouble]


def hear(
    came: Union[Reply, Trouble],
    question: Question,
    *,
    nonce: str,
    key_id: str,
    memory: Memory | None,
    now: Reading,
    file_time: float = 0.0,
    kept_key: str | None = None,
) -> Heard:
    """Judges what came back for a check of this key."""
    mine = memory if memory is not None and memory.key_id == key_id else None
    answer = read_answer(came)
    if isinstance(answer, Trouble):
        return _without(answer, mine, now, file_time)
    text = answer.get("proof")
    if text is None and answer.get("code") == "NOT_FOUND" and answer.get("valid") is False:
        # Nobody's key can sign that there is no licence: it takes nothing away that was signed.
        trouble = Trouble("unsigned_refusal")
        found = recall(mine, now, file_time=file_time)
        if found.answer != ALLOWED:
            found = Finding(REFUSED, "NOT_FOUND", unsigned=answer)
        return Heard(found._replace(trouble=trouble), mine, False, None)
    if not isinstance(text, str):
        return _without(Trouble("no_proof", is_forgery=True), mine, now, file_time)
    try:
        proof = verify(text, question, nonce=nonce)
    except NotBelieved as broken:
        return _without(Trouble(broken.reason, is_forgery=True), mine, now, file_time)
    remembered = Memory(
        key_id=key_id,
        proof=proof,
        text=text,
        at=now,
        seen=now.wall,
        issued_at=proof.issued_at,
        key=kept_key,
    )
    if not proof.valid:
        found = Finding(REFUSED, proof.code, proof, unsigned=answer)
    elif proof.expires_at <= proof.issued_at:
        found = Finding(COULD_NOT_CHECK, "lease_ended", proof, unsigned=answer)
    else:
        found = Finding(ALLOWED, "verdict", proof, good_until=proof.expires_at, unsigned=answer)
    return Heard(found, remembered, True, None)


def _without(trouble: Trouble, memory: Memory | None, now: Reading, file_time: float) -> Heard:
    """As if nothing had been heard: what was known holds; without it, the trouble is the answer."""
    found = recall(memory, now, file_time=file_time)
    # A clock that was set back is what a person can mend, so it is told before a dead network.
    is_told = found.why == "clock_set_back" and not trouble.is_forgery
    if found.answer == COULD_NOT_CHECK and not is_told:
        answer = NOT_BELIEVED if trouble.is_forgery else COULD_NOT_CHECK
        found = Finding(answer, trouble.why, found.proof)
    return Heard(found._replace(trouble=trouble), memory, False, trouble)


def read_answer(came: Union[Reply, Trouble]) -> Union[dict[str, Any], Trouble]:
    """The JSON of a 200; for anything else the trouble that it is."""
    if isinstance(came, Trouble):
        return came
    if len(came.body) > LONGEST_ANSWER:
        return Trouble("too_large")
    if came.status == 200:
        try:
            return parse_object(came.body)
        except Malformed:
            return Trouble("captive_portal" if _is_page(came) else "nonsense")
    return _trouble_of(came)


def _trouble_of(reply: Reply) -> Trouble:
    problem = _problem(reply)
    detail = f"HTTP {reply.status}" + (f" {problem}" if problem else "")
    status = reply.status
    if status == 407:
        why = "proxy"
    elif status == 511 or 300 <= status < 400:
        why = "captive_portal"
    elif status in (429, 503):
        why = "busy"
    elif not problem and _is_page(reply):
        why = "captive_portal"
    elif status >= 500:
        why = "server_error"
    else:
        why = "rejected"
    retry_after = reply.retry_after
    if retry_after is not None:
        retry_after = min(max(retry_after, 0.0), _LONGEST_RETRY_AFTER)
    return Trouble(why, detail, retry_after, was_sent=not 400 <= status < 500)


def _problem(reply: Reply) -> str:
    """The code and the fields of an RFC 9457 problem; nothing where it is none."""
    if "json" not in reply.content_type:
        return ""
    try:
        problem = parse_object(reply.body)
    except Malformed:
        return ""
    code = problem.get("code")
    errors = problem.get("errors")
    fields = [
        str(cast("dict[str, object]", each).get("field"))
        for each in (cast("list[object]", errors) if isinstance(errors, list) else [])
        if isinstance(each, dict)
    ]
    return f"{code} {', '.join(fields)}".strip() if isinstance(code, str) else ""


def _is_page(reply: Reply) -> bool:
    start = reply.body[:256].lstrip().lower()
    return "html" in reply.content_type or start.startswith(tuple(s.encode() for s in _HTML))
