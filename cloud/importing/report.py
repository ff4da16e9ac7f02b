"""What is told of a file: how many lines are what, and of each bad one what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_FAULTS = 100
"""So many lines are told of; the others are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line, and what a person can do."""

    line: int
    column: str
    wrong: str
    advice: str


@dataclass(frozen=True, slots=True)
class Report:
    """``lines`` are new, already there, in conflict with what is there, or refused.

    ``decimals``: ``point`` or ``comma``, by which numbers were read. ``faults``: the first bad
    lines; there are ``more``. ``stored``: whether the new ones are there now.
    """

    file: str
    sha256: str
    decimals: str
    lines: int
    new: int
    already_there: int
    conflicting: int
    refused: int
    faults: tuple[Fault, ...]
    more: int
    stored: bool = False

    @property
    def bad(self) -> int:
        """Lines because of which nothing is stored."""
        return self.conflicting + self.refused

    def verdict(self) -> str:
        """In a sentence, what came or would come of the file."""
        if self.bad:
            return f"nothing is imported: {self.bad:,} of {self.lines:,} lines cannot be taken"
        if not self.new:
            return f"nothing changes: all {self.lines:,} lines are there already"
        done = "imported" if self.stored else "can be imported"
        return f"{self.new:,} of {self.lines:,} lines are new and {done}"


def make_report(
    *,
    file: str,
    sha256: str,
    comma: bool,
    new: int,
    already_there: int,
    conflicts: Sequence[Fault],
    refusals: Sequence[Fault],
) -> Report:
    """The report of a file of which nothing is stored yet."""
    faults = sorted([*conflicts, *refusals], key=lambda fault: fault.line)
    return Report(
        file=file,
        sha256=sha256,
        decimals="comma" if comma else "point",
        lines=new + already_there + len(faults),
        new=new,
        already_there=already_there,
        conflicting=len(conflicts),
        refused=len(refusals),
        faults=tuple(faults[:MAX_FAULTS]),
        more=max(0, len(faults) - MAX_FAULTS),
    )
