"""A hundred thousand devices over a week, with an outage of four hours; argument: the plot.

Each device is a program that runs all the time and renews in the background, at the default lease:
the worst case. It waits as the client does, by `circuit.wait_after`.
"""

from __future__ import annotations

import heapq
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from permit_client.circuit import wait_after

DEVICES = 100_000
HOUR, DAY = 3600.0, 86_400.0
LEASE = 7 * DAY
WEEK = 7 * DAY
OUTAGE = (3 * DAY, 3 * DAY + 4 * HOUR)
BIN = 300.0

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    'font-family="sans-serif" font-size="11">'
)
RECTANGLE = '<rect x="{x:.1f}" y="10" width="{width:.1f}" height="{height}" fill="#f3d3d3"/>'
LEVEL = (
    '<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#888"/>'
    '<text x="{right}" y="{y:.1f}" dy="-4" text-anchor="end" fill="#555">{label}</text>'
)
DAYS = '<text x="{x:.1f}" y="{y}" text-anchor="middle">day {day}</text>'


def simulate(seed: int = 1) -> tuple[list[float], list[float], int]:
    """Requests a second in bins of five minutes: all, and those that were answered; and how many
    devices were ever without a lease."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    places = [0.5 + chance.random() / 4 for _ in range(DEVICES)]
    # The state in which a fleet is after some weeks: anywhere between two checks.
    queue = []
    for device, place in enumerate(places):
        period = place * LEASE
        due = chance.random() * period
        queue.append((due, device, 0, due - period + LEASE))
    heapq.heapify(queue)
    asked = [0] * int(WEEK / BIN)
    answered = [0] * int(WEEK / BIN)
    lost = 0
    while queue:
        now, device, failures, lease_ends = heapq.heappop(queue)
        if now >= WEEK:
            break
        asked[int(now / BIN)] += 1
        if OUTAGE[0] <= now < OUTAGE[1]:
            left = lease_ends - now
            lost += left <= 0
            wait = wait_after(failures + 1, None, chance.random(), left)
            heapq.heappush(queue, (now + wait, device, failures + 1, lease_ends))
        else:
            answered[int(now / BIN)] += 1
            heapq.heappush(queue, (now + places[device] * LEASE, device, 0, now + LEASE))
    return [n / BIN for n in asked], [n / BIN for n in answered], lost


def main() -> None:
    asked, answered, lost = simulate()
    average = sum(answered) / len(answered)
    begin, end = (int(at / BIN) for at in OUTAGE)
    print(f"answered, average over the week      {average:.3f} a second")
    print(f"asked in the outage, at most         {max(asked[begin:end]):.3f} a second")
    print(f"answered after recovery, at most     {max(answered[end:]):.3f} a second")
    print(f"peak after recovery / average        {max(answered[end:]) / average:.2f}")
    print(f"devices that were without a lease    {lost}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(plot(asked, average), "ascii")


def plot(asked: list[float], average: float) -> str:
    """Requests a second over the week."""
    width, height, left, bottom = 840, 240, 50, 30
    most = max(*asked, 3.2 * average)

    def x(at: float) -> float:
        return left + at / WEEK * (width - left - 10)

    def y(rate: float) -> float:
        return height - bottom - rate / most * (height - bottom - 10)

    points = " ".join(f"{x(i * BIN):.1f},{y(rate):.1f}" for i, rate in enumerate(asked))
    outage = x(OUTAGE[1]) - x(OUTAGE[0])
    lines = [
        SVG.format(width=width, height=height),
        "<title>100,000 devices over a week, with an outage of four hours</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        RECTANGLE.format(x=x(OUTAGE[0]), width=outage, height=height - bottom - 10),
        f'<text x="{x(OUTAGE[1]) + 4:.1f}" y="22" fill="#a33">outage, 4 h</text>',
    ]
    for factor, name in ((1, "average"), (3, "3 &#215; average")):
        label = f"{name}: {factor * average:.2f}/s"
        lines.append(LEVEL.format(left=left, right=width - 10, y=y(factor * average), label=label))
    lines.append(f'<polyline points="{points}" fill="none" stroke="#2457a6" stroke-width="0.8"/>')
    for day in range(7):
        middle = x((day + 0.5) * DAY)
        lines.append(DAYS.format(x=middle, y=height - 10, day=day + 1))
    return "\n".join([*lines, '<text x="4" y="22">a second</text>', "</svg>", ""])


if __name__ == "__main__":
    main()
