"""A line of the table: a figure, what it is held against, and whether it is within its budget."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.bench.samples import Samples, milliseconds

SELECT_1 = "`SELECT 1`"
FLOOR = "floor"
HEADINGS = ("what", "figure", "baseline", "ratio", "budget", "")


@dataclass(frozen=True, kw_only=True)
class Row:
    what: str
    figure: str
    baseline: str = ""
    ratio: float | None = None
    budget: str = ""
    is_met: bool | None = None  # None: no budget
    missed_by: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} ×"
        return (self.what, self.figure, self.baseline, ratio, self.budget, self.outcome)

    @property
    def outcome(self) -> str:
        if self.is_met is None:
            return ""
        return "met" if self.is_met else f"missed by {self.missed_by}"


def ratio_row(
    what: str,
    measured: Samples,
    baseline_name: str,
    baseline: Samples,
    *,
    at_most: float | None = None,
) -> Row:
    """Medians against each other."""
    ratio = measured.p50 / baseline.p50
    return Row(
        what=what,
        figure=measured.summary,
        baseline=f"{baseline_name}: {milliseconds(baseline.p50)}",
        ratio=ratio,
        budget="" if at_most is None else f"≤ {at_most:g} ×",
        is_met=None if at_most is None else ratio <= at_most,
        missed_by="" if at_most is None else f"{ratio - at_most:.2f} ×",
    )


def limit_row(what: str, value: float, *, at_most: float, unit: str = "") -> Row:
    return Row(
        what=what,
        figure=f"{value:.3g}{unit}",
        budget=f"≤ {at_most:g}{unit}",
        is_met=value <= at_most,
        missed_by=f"{value - at_most:.3g}{unit}",
    )


def markdown(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table that reads as text too: columns are padded."""
    table = [headings, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)) + " |"
        for cells in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
