"""Flow and power from what an index gained: pure and exact. Times are epoch milliseconds."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloud.domain.consumption import HOUR_MS, Boundary, amounts
from cloud.domain.spans import Span, unmeasured

PLACES = 6
"""Decimals of a rate beyond those of its index; what follows is cut off."""

UNIT: int = 10**PLACES


@dataclass(frozen=True, slots=True)
class Gain:
    """What an index gained from ``start`` to ``end``, scaled; None, where that is not known.

    ``greatest`` is the greatest rate of its parts, where it has any that is known.
    """

    start: int
    end: int
    gained: int | None
    greatest: int | None = None

    @property
    def rate(self) -> int | None:
        """Per hour, scaled by PLACES more decimals than the index."""
        if self.gained is None:
            return None
        return self.gained * HOUR_MS * UNIT // (self.end - self.start)


def gains(marks: Sequence[Boundary], spans: Sequence[Span], tolerance: int) -> list[Gain]:
    """What was gained between each two boundaries, of which none lies within a span.

    Not known where the index fell, where readings are further apart than ``tolerance`` or not
    good, as far as whole spans tell, and where they do not reach from one end to the other.
    """
    bounds = [mark.at for mark in marks]
    gaps = unmeasured(bounds, spans, tolerance)
    fell = {
        bisect_right(bounds, one.first_at) - 1
        for one in spans
        if one.low < one.first_value or one.high > one.last_value
    }
    fell |= {
        bisect_right(bounds, other.first_at - 1) - 1
        for one, other in pairwise(spans)
        if other.first_value < one.last_value
    }
    return [
        Gain(one.start, one.end, None if one.estimated or gap or place in fell else one.value)
        for place, (one, gap) in enumerate(zip(amounts(marks, tolerance), gaps, strict=True))
    ]


def sliced(parts: Sequence[Gain], most: int) -> list[Gain]:
    """Parts that follow each other, put together to ``most`` slices: known where each part is."""
    each = -(-len(parts) // most)
    if each <= 1:
        return list(parts)
    return [_joined(parts[place : place + each]) for place in range(0, len(parts), each)]


def _joined(parts: Sequence[Gain]) -> Gain:
    known = [one.gained for one in parts if one.gained is not None]
    rates = [one.rate for one in parts if one.rate is not None]
    gained = sum(known) if len(known) == len(parts) else None
    return Gain(parts[0].start, parts[-1].end, gained, max(rates, default=None))
