"""What a benchmark gives: figures, each beside a peer or ceiling measured in the same run."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of ``runs``. ``ratio`` is value / the value of ``compared_with``, when known."""

    name: str
    value: float
    unit: str
    better: Better
    runs: tuple[float, ...]
    target: float | None = None
    compared_with: str | None = None
    ratio: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def figure(
    name: str,
    runs: Iterable[float],
    unit: str,
    better: Better = "lower",
    *,
    target: float | None = None,
    peer: Figure | None = None,
) -> Figure:
    """A figure from its runs; raises ValueError when there was none."""
    values = tuple(round(run, 3) for run in runs)
    if not values:
        raise ValueError(f"{name} was not measured")
    value = median(values)
    ratio = round(value / peer.value, 2) if peer and peer.value else None
    return Figure(name, value, unit, better, values, target, peer.name if peer else None, ratio)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: Sequence[Figure]) -> str:
    """For a person: one line a figure."""
    head = ("figure", "median", "unit", "target", "", "ratio to", "", "runs")
    rows = [head] + [
        (
            one.name,
            f"{one.value:g}",
            one.unit,
            ""
            if one.target is None
            else f"{'<=' if one.better == 'lower' else '>='}{one.target:g}",
            {True: "met", False: "MISSED", None: ""}[one.met],
            one.compared_with or "",
            "" if one.ratio is None else f"{one.ratio:g}",
            " ".join(f"{run:g}" for run in one.runs),
        )
        for one in figures
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """For a program: a list of objects; see ``Figure``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n", "utf-8")
