"""How much is measured: the figures themselves, or a quick look at whether everything runs."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    licences: int
    few_licences: int
    many_licences: int
    devices_a_licence: int
    calls: int
    """Of each warm figure; the first tenth is not counted."""
    logins: int
    cold_rounds: int
    """Each starts every process once; the first is not counted."""
    size_rounds: int
    size_calls: int
    vendor_calls: int
    batches: int
    load_seconds: float
    """Of each measurement under load."""
    load_due: int
    """Devices that rewrite last_seen_at under load."""


FULL = Plan(
    licences=200_000,
    few_licences=1_000,
    many_licences=1_000_000,
    devices_a_licence=2,
    calls=3_000,
    logins=250,
    cold_rounds=31,
    size_rounds=5,
    size_calls=40,
    vendor_calls=500,
    batches=20,
    load_seconds=8,
    load_due=15_000,
)
QUICK = Plan(
    licences=2_000,
    few_licences=1_000,
    many_licences=10_000,
    devices_a_licence=2,
    calls=150,
    logins=10,
    cold_rounds=4,
    size_rounds=1,
    size_calls=3,
    vendor_calls=20,
    batches=2,
    load_seconds=0.5,
    load_due=1_000,
)


def is_quick() -> bool:
    return os.environ.get("BENCH_QUICK", "") not in ("", "0")


def chosen() -> Plan:
    return QUICK if is_quick() else FULL
