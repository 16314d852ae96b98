"""Every vector of docs/vectors, run through the same code that a program runs."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from permit_client import core, hearing, licence_keys, trust
from permit_client.clock import Reading
from permit_client.memory import Forgotten, Memory, forget, found_newer, read_back, written
from permit_client.proofs import NotBelieved, Question, verify
from permit_client.store import Seal

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "vectors"
KEY_ID = "0" * 64


def document(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / name).read_text("ascii"))


def vectors(name: str, members: str = "vectors") -> list[Any]:
    return [pytest.param(each, id=each["name"]) for each in document(name)[members]]


PROOF_TRUST = trust.read_keys(document("proofs.json")["keys"])
HISTORY = document("histories.json")


@pytest.mark.parametrize("vector", vectors("keys.json", "licence_keys"))
def test_licence_keys(vector: dict[str, Any]) -> None:
    assert vector["canonical"] == licence_keys.canonical(vector["typed"])


@pytest.mark.parametrize("vector", vectors("keys.json", "key_sets"))
def test_key_sets(vector: dict[str, Any]) -> None:
    if vector["accepted"]:
        assert trust.read_keys(vector["key_set"]).kids
        assert trust.read_keys(json.dumps(vector["key_set"])).kids
    else:
        with pytest.raises(ValueError, match=r"^keys: "):
            trust.read_keys(vector["key_set"])


@pytest.mark.parametrize("vector", vectors("proofs.json"))
def test_proofs(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    question = Question(
        trust=PROOF_TRUST,
        product=expect["product"],
        device=expect["device"],
        build_date=expect["build_date"],
        issuer=expect["issuer"],
    )
    assert vector["outcome"] == outcome(vector["proof"], question, expect)


@pytest.mark.parametrize("vector", vectors("answers.json"))
def test_answers(vector: dict[str, Any]) -> None:
    came = hearing.read_answer(
        hearing.Reply(
            vector["status"], vector["content_type"], vector["body"].encode(), vector["retry_after"]
        )
    )
    trouble = came.why if isinstance(came, hearing.Trouble) else None
    assert vector["trouble"] == trouble
    if isinstance(came, hearing.Trouble) and trouble == "busy":
        assert vector["retry_after"] == came.retry_after


@pytest.mark.parametrize("vector", vectors("stores.json"))
def test_stores(vector: dict[str, Any]) -> None:
    found = document("stores.json")
    kept = Seal(found["product"], found["device"]).open(vector["text"].encode())
    assert vector["status"] == kept.status
    assert (kept.body is not None) == (kept.status == "ok")


def outcome(proof: str, question: Question, expect: dict[str, Any]) -> str:
    try:
        verify(proof, question, nonce=expect["nonce"], now=expect["now"], type_=expect["type"])
    except NotBelieved as broken:
        return broken.reason
    return "accepted"


class Program:
    """Carries out a history's steps."""

    def __init__(self) -> None:
        self.question = self.asks({})
        self.memory: Memory | None = None
        self.file_time = 0.0
        self.copies: dict[str, dict[str, Any]] = {}

    @staticmethod
    def asks(changes: dict[str, str]) -> Question:
        program = {**HISTORY["program"], **changes}
        return Question(trust=trust.read_keys(HISTORY["keys"]), **program)

    def read(self, body: dict[str, Any] | None) -> Memory | None:
        try:
            return None if body is None else read_back(body, self.question)
        except Forgotten:
            return None

    def start(self, step: dict[str, Any]) -> None:
        store = step["store"]
        if store == "left":
            store = None if self.memory is None else written(self.memory)
        elif isinstance(store, str):
            store = self.copies[store]
        self.question = self.asks(step.get("program", {}))
        self.memory = self.read(json.loads(json.dumps(store)))
        self.file_time = step.get("file_time", 0.0)

    def hear(self, step: dict[str, Any], now: Reading) -> core.Finding:
        came: hearing.Reply | hearing.Trouble
        if "trouble" in step:
            came = hearing.Trouble(step["trouble"])
        else:
            came = hearing.Reply(200, "application/json", step["body"].encode())
        heard = hearing.hear(
            came,
            self.question,
            nonce=step["nonce"],
            key_id=KEY_ID,
            memory=self.memory,
            now=now,
            file_time=self.file_time,
        )
        self.memory = heard.memory
        if heard.is_fresh:
            self.file_time = 0.0
        return heard.finding

    def do(self, step: dict[str, Any]) -> Any:
        now = Reading(**step["at"]) if "at" in step else Reading(0, 0)
        what = step["do"]
        if what == "state":
            return core.recall(self.memory, now, file_time=self.file_time)
        if what == "hear":
            return self.hear(step, now)
        if what == "due":
            return core.is_due(self.memory, now, file_time=self.file_time)
        if what == "start":
            return self.start(step)
        if what == "release":
            self.memory = forget(self.memory, KEY_ID, now)
            return None
        assert self.memory is not None
        if what == "seen":
            self.memory = self.memory.seen_at(now.wall)
        elif what == "copy":
            self.copies[step["as"]] = written(self.memory)
        else:
            assert what == "merge"
            found = self.read(self.copies[step["store"]])
            assert found is not None
            self.memory = found_newer(self.memory, found)
        return None


@pytest.mark.parametrize("vector", vectors("histories.json"))
def test_histories(vector: dict[str, Any]) -> None:
    program = Program()
    for number, step in enumerate(vector["steps"]):
        found = program.do(step)
        if isinstance(found, core.Finding):
            expected = dict(step["expect"])
            entitlements = expected.pop("entitlements", None)
            assert expected == {"answer": found.answer, "why": found.why}, f"step {number}"
            if entitlements is not None:
                assert found.proof is not None
                assert entitlements == list(found.proof.entitlements)
        elif "expect" in step:
            assert step["expect"] == found, f"step {number}"


def test_there_are_enough_of_them() -> None:
    every = [
        each
        for path in FOLDER.glob("*.json")
        for members in json.loads(path.read_text("ascii")).values()
        if isinstance(members, list)
        for each in members
    ]
    kinds = [each["kind"] for each in every]
    assert kinds.count("good") >= 40
    assert kinds.count("hostile") >= 120


def test_no_proof_survives_a_change_of_any_of_its_symbols() -> None:
    """Each symbol in its turn becomes another one, is left out, or is doubled."""
    vector = next(each for each in document("proofs.json")["vectors"] if each["kind"] == "good")
    proof, expect = vector["proof"], vector["expect"]
    question = Question(
        PROOF_TRUST, expect["product"], expect["device"], expect["build_date"], expect["issuer"]
    )
    assert "accepted" == outcome(proof, question, expect)
    for place, symbol in enumerate(proof):
        for other in ("A" if symbol != "A" else "B", "", symbol * 2, "\0", "é"):
            changed = proof[:place] + other + proof[place + 1 :]
            assert "accepted" != outcome(changed, question, expect), place


def test_noise_is_named_and_never_raises() -> None:
    """Whatever comes, or lies on the disk, is one of the known things."""
    chance = random.Random(1)
    seal = Seal("editor", "0" * 64)
    good = [
        each["text"].encode() for each in document("stores.json")["vectors"] if len(each) < 10**5
    ] + [each["body"].encode() for each in document("answers.json")["vectors"]]
    for _ in range(3000):
        data = bytearray(chance.choice(good)[:2000] or b"{")
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.choice(b'{}[]",:\\0129-+eE.ntfN\x00\xff u')
        assert seal.open(bytes(data)).status in ("damaged", "newer", "other_device")
        came = hearing.read_answer(hearing.Reply(200, "", bytes(data)))
        assert isinstance(came, dict) or came.why in ("nonsense", "captive_portal")
