"""The client's figures, for docs/client.md: `python clients/python/bench` (or `make bench-client`).

What a start costs is measured in processes of their own, each kind in turn, by the processor's time
that they take: what else a machine does counts little then. The median counts.
"""

from __future__ import annotations

import compileall
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SOURCE))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "60"))

NOTHING = "pass"
CRYPTOGRAPHY = "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey"
BASE_URL = "https://licences.example.com"


def main() -> None:
    from permit_client.testing import FakePermit

    fake = FakePermit()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"product": "editor", "keys": fake.keys, "build_date": "2026-11-22"}
        key = fake.issue()
        real_clock = {"clock": __import__("permit_client.clock", fromlist=["read"]).read}
        named = {"fingerprint": None, "store": folder, **real_clock}
        fake.permit(**settings, **named).check(key)
        program = (
            "from permit_client import Permit\n"
            f"permit = Permit({BASE_URL!r}, store={folder!r}, **{settings!r})\n"
            "assert permit.state().allowed"
        )
        start = starts({"nothing": NOTHING, "cryptography": CRYPTOGRAPHY, "offline start": program})
        for name, seconds in start.items():
            print(f"process, {name:<16}{seconds * 1e3:8.1f} ms")
        print(
            f"offline start / cryptography    {start['offline start'] / start['cryptography']:.2f}"
        )

        permit = fake.permit(**settings, **named)
        print(f"state()                         {each(permit.state) * 1e6:.1f} µs")
        print(f"check() from memory             {each(lambda: permit.check(key)) * 1e6:.1f} µs")


def starts(programs: dict[str, str]) -> dict[str, float]:
    """The median of each program's time, from its process's start to its end."""
    compileall.compile_dir(SOURCE, quiet=1)  # as pip does when it installs a package
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            process = os.posix_spawn(sys.executable, [sys.executable, "-c", program], environment)
            _, status, used = os.wait4(process, 0)
            assert status == 0
            times[name].append(used.ru_utime + used.ru_stime)
    return {name: statistics.median(found) for name, found in times.items()}


def each(call: object, calls: int = 20_000) -> float:
    """Seconds a call, the best of five runs."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(calls // 5):
            call()  # pyright: ignore[reportCallIssue]
        best = min(best, (time.perf_counter() - began) / (calls // 5))
    return best


if __name__ == "__main__":
    main()
