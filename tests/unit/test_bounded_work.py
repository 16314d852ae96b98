"""How much a bad request may cost: what is wrong beyond twenty faults is not looked for."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from permit.check.device_spec import DeviceSpec
from permit.contracts import Contract, validate
from permit.errors import InvalidRequest
from permit.licences.terms import LicenceRequest, PolicyTerms
from tools.openapi.operations import load

BATCH: type[Contract] = load("licences").Batch
CHECK: type[Contract] = load("licence_check").CheckRequest
LICENCE: dict[str, Any] = {"policy_id": str(uuid4())}
UNKNOWN = {f"u{n}": 0 for n in range(200_000)}
MEBIBYTE = 2**20


def filled(body: Callable[[int], object], size: int) -> Any:
    """The largest of these bodies that is not longer than `size`, as it is parsed."""
    few, many = 1, size
    while few < many:
        middle = (few + many + 1) // 2
        is_within = len(json.dumps(body(middle), separators=(",", ":"))) <= size
        few, many = (middle, many) if is_within else (few, middle - 1)
    return json.loads(json.dumps(body(few)))


def names(count: int) -> dict[str, int]:
    return {f"{n:x}": 0 for n in range(count)}


WORST: dict[str, tuple[type[Contract], Callable[[int], object]]] = {
    "unknown fields of a check": (CHECK, names),
    "unknown fields of its device": (CHECK, lambda n: {"key": "k", "device": names(n)}),
    "components that are numbers": (
        CHECK, lambda n: {"key": "k", "device": {"fingerprint": "f" * 16, "components": names(n)}}),
    "entitlements that are numbers": (CHECK, lambda n: {"key": "k", "entitlements": [0] * n}),
    "unknown fields of a batch": (BATCH, names),
    "unknown fields of one licence": (BATCH, lambda n: {"licences": [{**LICENCE, **names(n)}]}),
    "a thousand licences of unknown fields": (
        BATCH, lambda n: {"licences": [names(n // 1000)] * 1000}),
    "too many empty licences": (BATCH, lambda n: {"licences": [{}] * n}),
    "entitlements of a thousand licences": (
        BATCH, lambda n: {"licences": [{"entitlements": [0] * min(200, n // 1000)}] * 1000}),
    "names that are no Unicode": (
        BATCH,
        lambda n: {"licences": [{**LICENCE, "metadata": {f"\ud800{i}": 0 for i in range(n)}}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORST)
def test_the_worst_body_costs_little_memory(name: str) -> None:
    """Of the largest body that is read: at most twenty faults told, at most 16 MiB for finding."""
    contract, body = WORST[name]
    parsed = filled(body, contract.largest_body)
    with pytest.raises(InvalidRequest):
        validate(contract, {})  # what is built once is built now

    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest) as refusal:
            validate(contract, parsed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 1 <= len(refusal.value.errors) <= 20
    assert peak < 16 * MEBIBYTE, peak / MEBIBYTE


def test_twenty_unknown_fields_are_told() -> None:
    """The first of them, in the order in which they were sent, beside what else is wrong."""
    with pytest.raises(InvalidRequest) as refusal:
        validate(DeviceSpec, UNKNOWN)

    told = [field for field, _ in refusal.value.errors]
    assert {*told} <= {"fingerprint", *list(UNKNOWN)[:20]}
    assert 20 == len(told)


@pytest.mark.parametrize("index", [0, 19, 20, 999])
def test_a_wrong_item_is_told_by_its_index(index: int) -> None:
    """Wherever in a long list it is."""
    licences: list[dict[str, Any]] = [dict(LICENCE) for _ in range(1000)]
    licences[index]["notes"] = 1

    with pytest.raises(InvalidRequest) as refusal:
        validate(BATCH, {"licences": licences})

    assert [f"licences.{index}.notes"] == [field for field, _ in refusal.value.errors]


@pytest.mark.parametrize(
    ("count", "is_right"),
    [(0, False), (1, True), (20, True), (21, True), (1000, True), (1001, False)],
)
def test_a_long_list_is_read_whole_and_counted(count: int, is_right: bool) -> None:
    """All of its items in their order, up to as many as it may have."""
    licences = [{**LICENCE, "notes": str(n)} for n in range(count)]

    if is_right:
        read: Any = validate(BATCH, {"licences": licences})
        assert [str(n) for n in range(count)] == [each.notes for each in read.licences]
    else:
        with pytest.raises(InvalidRequest) as refusal:
            validate(BATCH, {"licences": licences})
        assert [("licences", "must be a list of 1 to 1,000 items")] == [*refusal.value.errors]


@pytest.mark.parametrize("contract", [LicenceRequest, PolicyTerms])
def test_many_entitlements_are_read_whole(contract: type[Contract]) -> None:
    """Two hundred in their order; one more is too many, and a wrong one is told."""
    granted = [f"e{n}" for n in range(200)]
    needed: dict[str, Any] = {"name": "Team"} if contract is PolicyTerms else LICENCE
    read: Any = validate(contract, {**needed, "entitlements": granted})

    assert granted == read.entitlements
    for wrong, field in (
        ([*granted, "more"], "entitlements"),
        ([*granted[:-1], 1], "entitlements.199"),
    ):
        with pytest.raises(InvalidRequest) as refusal:
            validate(contract, {**needed, "entitlements": wrong})
        assert [field] == [name for name, _ in refusal.value.errors]
