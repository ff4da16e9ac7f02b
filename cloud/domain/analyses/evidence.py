"""How much evidence is enough: runs of what proves, and what is usual."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median

NORMAL = Decimal("1.4826")
"""The median distance from the median, times this, is a normal distribution's deviation."""


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` proofs, from place ``first`` to ``last``, with nothing between that disproves.

    ``over`` when something afterwards did.
    """

    first: int
    last: int
    count: int
    over: bool = False


class Runs:
    """Runs of at least ``enough`` proofs.

    What neither proves nor disproves leaves a run as it is; but more than ``bridge`` of it in a
    row, before there are enough proofs, and they are no longer taken for one. A run with enough
    of them ends with what disproves it, and with nothing else.
    """

    def __init__(self, enough: int, bridge: int) -> None:
        self._enough = enough
        self._bridge = bridge
        self._found: list[Run] = []
        self.current: Run | None = None

    def take(self, place: int, proof: bool | None) -> None:
        """What is at the next place; None neither proves nor disproves."""
        run = self.current
        if proof is None:
            return
        if run and run.count < self._enough and place - run.last - 1 > self._bridge:
            run = None
        if proof:
            count = run.count + 1 if run else 1
            self.current = Run(run.first if run else place, place, count)
            return
        if run and run.count >= self._enough:
            self._found.append(replace(run, over=True))
        self.current = None

    def found(self) -> list[Run]:
        """The runs, in order; the last one may go on."""
        run = self.current
        return [*self._found, run] if run and run.count >= self._enough else self._found


def runs(proofs: Iterable[bool | None], enough: int, bridge: int) -> list[Run]:
    """The runs of what is known at once."""
    every = Runs(enough, bridge)
    for place, proof in enumerate(proofs):
        every.take(place, proof)
    return every.found()


@dataclass(frozen=True, slots=True)
class Usual:
    """What ``count`` values are like: their middle, how far they scatter around it (like a
    standard deviation, but single strange ones do not move it), and what 19 of 20 do not exceed."""

    middle: Decimal
    scatter: Decimal
    high: Decimal
    count: int


def usual(values: Sequence[Decimal]) -> Usual:
    """What at least one value is like."""
    ordered = sorted(values)
    middle = median(ordered)
    scatter = median(sorted(abs(value - middle) for value in ordered)) * NORMAL
    return Usual(middle, scatter, ordered[(len(ordered) * 19 + 19) // 20 - 1], len(ordered))
