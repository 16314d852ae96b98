"""docs/vectors/histories.json: what a program remembers, through outages, clocks and copies."""

from collections.abc import Iterator
from typing import Any

from tools.vectors.signing import (
    BUILD_DATE,
    DAY,
    DEVICE,
    FOREIGN,
    HOUR,
    ISSUER,
    KEYS,
    NOW,
    PRODUCT,
    as_json,
    claims,
    device_of,
    jws,
    refusal,
)

MINUTE = 60
START = 1000.0  # what a steady clock shows when the process starts
LEASE = ("allowed", "lease")
VERDICT = ("allowed", "verdict")
NOTHING = ("could_not_check", "nothing_remembered")
OFFLINE = ("could_not_check", "offline")
SET_BACK = ("could_not_check", "clock_set_back")
ENDED = ("could_not_check", "lease_ended")
REVOKED = ("refused", "REVOKED")


def document() -> dict[str, Any]:
    return {
        "about": "Steps: docs/protocol.md, 'Histories'. Made by `python -m tools.vectors`.",
        "keys": KEYS,
        "program": {
            "product": PRODUCT,
            "device": DEVICE,
            "build_date": BUILD_DATE,
            "issuer": ISSUER,
        },
        "vectors": [*_good(), *_hostile()],
    }


def _good() -> Iterator[dict[str, Any]]:
    def good(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "kind": "good", "steps": list(steps)}

    active = (start(), heard(0))
    yield good("a first start", start(), state(0, NOTHING), due(0, True), heard(0), state(1, LEASE))
    yield good("a first start without a network", start(), lost(0, OFFLINE), state(1, NOTHING))
    yield good(
        "nothing is asked before it is due",
        *active,
        due(MINUTE, False),
        due(4 * DAY - 1, False),
        due(4 * DAY, True),
    )
    yield good(
        "offline for six days, and for eight",
        *active,
        state(6 * DAY, LEASE),
        start(),
        state(6 * DAY, LEASE),
        lost(6 * DAY, LEASE),
        state(7 * DAY - 1, LEASE),
        state(7 * DAY, ENDED),
        lost(8 * DAY, OFFLINE),
    )
    yield good(
        "asked again in time",
        *active,
        heard(5 * DAY),
        state(11 * DAY, LEASE),
        state(12 * DAY, ENDED),
    )
    yield good(
        "a machine that sleeps for a month, and its steady clock with it",
        *active,
        state(30 * DAY, ENDED, steady=START + 60),
    )
    yield good(
        "a machine whose steady clock went on while its clock was held",
        *active,
        state(10, ENDED, steady=START + 8 * DAY),
    )
    yield good(
        "the clock is corrected by half an hour",
        *active,
        state(DAY, LEASE),
        start(),
        state(DAY - HOUR // 2, LEASE),
    )
    yield good(
        "a clock that is a day behind when the verdict comes",
        start(),
        heard(0, wall=NOW - DAY),
        state(0, LEASE, wall=NOW - DAY + 60),
        start(),
        state(0, LEASE, wall=NOW + 5 * DAY),
        state(0, ENDED, wall=NOW + 6 * DAY),
    )
    yield good(
        "a clock that is a year ahead when the verdict comes",
        start(),
        heard(0, wall=NOW + 365 * DAY),
        start(),
        state(0, LEASE, wall=NOW + 371 * DAY),
    )
    yield good(
        "a fresh verdict makes a clock good that was set back",
        *active,
        state(DAY, LEASE),
        start(),
        state(-DAY, SET_BACK),
        due(-DAY, True),
        heard(2 * DAY, wall=NOW - DAY),
        state(2 * DAY, LEASE, wall=NOW - DAY + MINUTE),
    )
    yield good(
        "revoked, and the network goes",
        *active,
        heard(5 * DAY, refusal("REVOKED")),
        state(5 * DAY + 1, REVOKED),
        lost(5 * DAY + 2, REVOKED),
        start(),
        state(6 * DAY, REVOKED),
        lost(6 * DAY, REVOKED),
        state(40 * DAY, REVOKED),
    )
    yield good(
        "suspended, and reinstated",
        *active,
        heard(5 * DAY, refusal("SUSPENDED")),
        due(5 * DAY + 599, False),
        due(5 * DAY + 600, True),
        heard(5 * DAY + 700),
        state(5 * DAY + 701, LEASE),
    )
    yield good(
        "a person who starts again after a refusal is asked for at once",
        start(),
        heard(0, refusal("TOO_MANY_DEVICES"), expect=("refused", "TOO_MANY_DEVICES")),
        due(60, False),
        start(),
        due(61, True),
    )
    yield good(
        "an unsigned NOT_FOUND takes no lease away",
        *active,
        raw(5 * DAY, {"valid": False, "code": "NOT_FOUND", "proof": None}, LEASE),
    )
    yield good(
        "an unsigned NOT_FOUND of an unknown key",
        start(),
        raw(0, {"valid": False, "code": "NOT_FOUND", "proof": None}, ("refused", "NOT_FOUND")),
        state(1, NOTHING),
    )
    yield good(
        "given back",
        *active,
        {"do": "release", "at": at(DAY)},
        state(DAY, ("could_not_check", "released")),
        start(),
        state(DAY, ("could_not_check", "released")),
        due(DAY, True),
        heard(DAY),
        state(DAY + 1, LEASE),
    )
    yield good(
        "a floating seat of two minutes",
        start(),
        heard(0, claims(exp=NOW + 120, nca=NOW + 40)),
        due(39, False),
        due(40, True),
        lost(119, LEASE),
        lost(120, OFFLINE),
    )
    yield good(
        "a server that does not say when to ask: not before half of the lease",
        start(),
        heard(0, claims("nca")),
        due(84 * HOUR - 1, False),
        due(126 * HOUR, True),
    )
    yield good(
        "a server that asks for later than the lease",
        start(),
        heard(0, claims(nca=NOW + 30 * DAY)),
        due(7 * DAY - 1, False),
        due(7 * DAY, True),
    )
    yield good(
        "daylight saving ends: nothing",
        *active,
        start(),
        state(HOUR - 1, LEASE),
        start(),
        state(1, LEASE),
    )
    yield good(
        "a new build asks once more",
        *active,
        start(build_date="2026-10-01"),
        state(DAY, NOTHING),
        due(DAY, True),
    )


def _hostile() -> Iterator[dict[str, Any]]:
    def hostile(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "kind": "hostile", "steps": list(steps)}

    def not_believed(reason: str) -> tuple[str, str]:
        return ("not_believed", reason)

    active = (start(), heard(0))
    yield hostile("the clock is set back by two hours", *active, state(-2 * HOUR, SET_BACK))
    yield hostile(
        "the clock is set back between two starts",
        *active,
        start(),
        state(-DAY, SET_BACK),
        lost(-DAY, SET_BACK),
    )
    yield hostile(
        "the clock is set back to where the lease still held",
        *active,
        state(6 * DAY, LEASE),
        start(),
        seen(8 * DAY),
        state(8 * DAY, ENDED),
        start(),
        state(6 * DAY, SET_BACK),
    )
    yield hostile(
        "the file is newer than the clock",
        *active,
        start(file_time=NOW + 3 * DAY),
        state(DAY, SET_BACK),
    )
    yield hostile(
        "the clock set back, and forward again",
        *active,
        seen(DAY),
        start(),
        state(0, SET_BACK),
        state(DAY, LEASE),
    )
    yield hostile(
        "the clock is ahead when the verdict comes, and set right afterwards",
        start(),
        heard(0, wall=NOW + 7 * DAY),
        state(0, SET_BACK),
        start(),
        state(DAY, SET_BACK),
    )
    yield hostile(
        "the clock is held while the process runs",
        *active,
        state(0, LEASE, steady=START + 6 * DAY),
        state(0, ENDED, steady=START + 7 * DAY),
    )
    yield hostile(
        "a set-back clock does not hide a refusal",
        *active,
        heard(DAY, refusal("REVOKED")),
        start(),
        state(-9 * DAY, REVOKED),
    )
    yield hostile(
        "a restored store: what stays possible until the lease ends",
        *active,
        {"do": "copy", "as": "before"},
        heard(DAY, refusal("REVOKED")),
        state(DAY, REVOKED),
        start(store="before"),
        state(DAY + 1, LEASE),
        state(7 * DAY, ENDED),
    )
    yield hostile(
        "a restored store, with the file's own time",
        *active,
        {"do": "copy", "as": "before"},
        heard(5 * DAY),
        seen(9 * DAY),
        start(store="before", file_time=NOW + 9 * DAY),
        state(6 * DAY, SET_BACK),
        state(9 * DAY, ENDED),
    )
    yield hostile(
        "a store of another machine",
        *active,
        start(device=device_of("another machine")),
        state(1, NOTHING),
    )
    yield hostile("a store of another product", *active, start(product="viewer"), state(1, NOTHING))
    yield hostile(
        "a store whose proof another vendor signed",
        start(store=stored(jws(key=FOREIGN))),
        state(1, NOTHING),
    )
    good = jws()
    yield hostile(
        "a store whose proof was altered",
        start(store=stored(good[:-2] + ("AA" if good[-2:] != "AA" else "BA"))),
        state(1, NOTHING),
    )
    yield hostile(
        "a store that says a usage is a lease", start(store=stored("a.b.c")), state(1, NOTHING)
    )
    for name, value in {"wall": "now", "seen": None, "key_id": 7, "issued_at": True}.items():
        yield hostile(
            f"a store whose {name} is {value!r}",
            start(store={**stored(good), name: value}),
            state(1, NOTHING),
        )
    yield hostile(
        "a store that says it was issued later: the proof says when",
        start(store={**stored(good), "issued_at": NOW + 6 * DAY}),
        state(6 * DAY, LEASE),
        state(7 * DAY, ENDED),
    )
    yield hostile("a deleted store", *active, start(store=None), state(DAY, NOTHING))
    yield hostile(
        "a forged yes without a lease",
        start(),
        heard(0, key=FOREIGN, expect=not_believed("unknown_key")),
        state(1, NOTHING),
    )
    yield hostile(
        "a forged no does not take a lease away",
        *active,
        heard(5 * DAY, refusal("REVOKED"), key=FOREIGN, expect=LEASE),
        state(5 * DAY, LEASE),
    )
    yield hostile(
        "a forged yes does not undo a refusal",
        *active,
        heard(DAY, refusal("REVOKED")),
        heard(DAY + 1, key=FOREIGN, expect=REVOKED),
        state(DAY + 2, REVOKED),
    )
    yield hostile(
        "yesterday's answer again",
        start(),
        heard(0, claims(nonce="yesterday"), expect=not_believed("other_nonce")),
    )
    yield hostile(
        "yesterday's yes again after a no",
        *active,
        heard(DAY, refusal("REVOKED")),
        heard(2 * DAY, claims(), as_it_is=True, expect=REVOKED),
    )
    yield hostile(
        "an unsigned yes",
        start(),
        raw(0, {"valid": True, "code": "VALID", "proof": None}, not_believed("no_proof")),
    )
    yield hostile(
        "an unsigned no",
        *active,
        raw(DAY, {"valid": False, "code": "REVOKED", "proof": None}, LEASE),
    )
    yield hostile(
        "an unsigned no without a lease",
        start(),
        raw(0, {"valid": False, "code": "REVOKED"}, not_believed("no_proof")),
    )
    yield hostile(
        "the answer says yes, its proof says no",
        start(),
        heard(0, refusal("REVOKED"), around={"valid": True, "code": "VALID"}, expect=REVOKED),
    )
    yield hostile(
        "the answer says no, its proof says yes",
        start(),
        heard(0, around={"valid": False, "code": "REVOKED"}, expect=VERDICT),
    )
    yield hostile(
        "the answer grants more than its proof",
        start(),
        heard(0, around={"licence": {"entitlements": ["all"]}}, entitlements=["export"]),
    )
    yield hostile(
        "a verdict that ended when it was made",
        start(),
        heard(0, claims(exp=NOW), expect=ENDED),
        state(1, ENDED),
    )
    yield hostile(
        "a lease of a seat that was given back is put back",
        *active,
        {"do": "copy", "as": "before"},
        {"do": "release", "at": at(DAY)},
        {"do": "merge", "store": "before"},
        state(DAY, ("could_not_check", "released")),
    )
    yield hostile(
        "another process writes an older verdict over a newer refusal",
        *active,
        {"do": "copy", "as": "before"},
        heard(DAY, refusal("REVOKED")),
        {"do": "merge", "store": "before"},
        state(DAY, REVOKED),
    )
    yield hostile(
        "another process has heard a refusal",
        *active,
        {"do": "copy", "as": "before"},
        heard(DAY, refusal("REVOKED")),
        {"do": "copy", "as": "after"},
        start(store="before"),
        {"do": "merge", "store": "after"},
        state(DAY + 1, REVOKED),
    )


def at(after: float, *, wall: float | None = None, steady: float | None = None) -> dict[str, float]:
    """Both clocks, so many seconds after NOW."""
    return {
        "wall": NOW + after if wall is None else wall,
        "steady": START + after if steady is None else steady,
    }


def start(store: Any = "left", file_time: float | None = None, **program: str) -> dict[str, Any]:
    """A new process."""
    step: dict[str, Any] = {"do": "start", "store": store}
    if file_time is not None:
        step["file_time"] = file_time
    return {**step, "program": program} if program else step


def state(after: float, expect: tuple[str, str], **clocks: float) -> dict[str, Any]:
    return {"do": "state", "at": at(after, **clocks), "expect": _expected(expect)}


def seen(after: float) -> dict[str, Any]:
    """The program notes that the clock has been here."""
    return {"do": "seen", "at": at(after)}


def due(after: float, expect: bool) -> dict[str, Any]:
    return {"do": "due", "at": at(after), "expect": expect}


def lost(after: float, expect: tuple[str, str]) -> dict[str, Any]:
    """The network is away."""
    return {
        "do": "hear",
        "at": at(after),
        "nonce": f"n{after}",
        "trouble": "offline",
        "expect": _expected(expect),
    }


def raw(after: float, answer: dict[str, Any], expect: tuple[str, str]) -> dict[str, Any]:
    return {
        "do": "hear",
        "at": at(after),
        "nonce": f"n{after}",
        "body": as_json(answer).decode(),
        "expect": _expected(expect),
    }


def heard(
    after: float,
    body: dict[str, Any] | None = None,
    *,
    key: Any = None,
    expect: tuple[str, str] | None = None,
    around: dict[str, Any] | None = None,
    as_it_is: bool = False,
    entitlements: list[str] | None = None,
    **clocks: float,
) -> dict[str, Any]:
    """A proof with these claims comes, made `after` NOW by the server's clock."""
    body = claims() if body is None else body
    nonce = f"n{after}"
    if not as_it_is:
        times = {t: body[t] + after for t in ("iat", "nbf", "exp", "nca") if t in body}
        made_up = body["nonce"] != claims()["nonce"]
        body = {**body, **times, "nonce": body["nonce"] if made_up else nonce}
    if expect is None:
        expect = VERDICT if body["valid"] else ("refused", body["code"])
    answer = {
        "valid": body["valid"],
        "code": body["code"],
        "proof": jws(body=body) if key is None else jws(body=body, head=None, key=key),
        **(around or {}),
    }
    expected = _expected(expect)
    if entitlements is not None:
        expected["entitlements"] = entitlements
    return {
        "do": "hear",
        "at": at(after, **clocks),
        "nonce": nonce,
        "body": as_json(answer).decode(),
        "expect": expected,
    }


def stored(proof: str) -> dict[str, Any]:
    """What a program has written down at NOW."""
    return {
        "key_id": "0" * 64,
        "proof": proof,
        "wall": NOW,
        "seen": NOW,
        "issued_at": NOW,
        "key": None,
    }


def _expected(pair: tuple[str, str]) -> dict[str, Any]:
    return {"answer": pair[0], "why": pair[1]}
