"""Meters that come and go under a metering point: one index that runs on through every exchange.

An installation counts from its start index. Of two that follow each other the second goes on where
the first ended; between them nothing is consumed. Both may be of the same register, which was reset
between them. Times are epoch milliseconds (UTC).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud.domain.consumption import Boundary, Index
from cloud.domain.spans import Span, alone, within


@dataclass(frozen=True, slots=True)
class Installation:
    """A register that counts for a metering point from ``start_at`` until ``end_at``.

    The indexes stand on the meter's face at these times, scaled by ``decimals``; what it counts
    times ``multiplier`` (above 0) is what was consumed. Without ``end_at`` it is still installed.
    In the place of the index ``rollover`` its face shows 0 again.
    """

    id: int
    register_id: int
    decimals: int
    start_at: int
    start_index: int
    end_at: int | None = None
    final_index: int | None = None
    multiplier: Decimal = Decimal(1)
    rollover: int | None = None


class Chain:
    """The installations of one metering point, in order, that do not overlap.

    Its index is scaled by ``decimals`` and begins with 0.
    """

    def __init__(self, installations: Sequence[Installation]) -> None:
        self._all = sorted(installations, key=lambda one: one.start_at)
        self.decimals = max((_places(one) for one in self._all), default=0)
        self._begins = [one.start_at for one in self._all]
        self._factors = [self._factor(one) for one in self._all]
        self._offsets: list[int] = []
        offset = 0
        for one, factor in zip(self._all, self._factors, strict=True):
            self._offsets.append(offset)
            if one.final_index is not None:
                offset += (one.final_index - one.start_index) * factor
        self._starts = [Index(*each) for each in zip(self._begins, self._offsets, strict=True)]
        self._ends = [self._end(place) for place in range(len(self._all))]

    def newest(self, last: Index | None) -> Index | None:
        """The index as it is known now. ``last``: the last reading of the register that is
        installed. None while no meter has been installed."""
        if not self._all:
            return None
        place = len(self._all) - 1
        if end := self._ends[place]:
            return end
        counted = last is not None and last.at >= self._all[place].start_at
        return self._index(place, last) if last and counted else self._starts[place]

    def marks(
        self,
        instants: Sequence[int],
        found: Mapping[int, Mapping[int, Boundary]],
        tolerances: Mapping[int, int],
    ) -> list[Boundary]:
        """Each instant with the point's index next to it.

        ``found``: by installation, of each instant within it, the register's readings next to it.
        ``tolerances``: by installation, how far apart its readings may be for the index between
        to be known (ms).
        """
        return [self._mark(instant, found, tolerances) for instant in instants]

    def _mark(
        self,
        instant: int,
        found: Mapping[int, Mapping[int, Boundary]],
        tolerances: Mapping[int, int],
    ) -> Boundary:
        place = bisect_right(self._begins, instant) - 1
        before = after = None
        if place >= 0:
            one = self._all[place]
            if one.end_at is None or instant < one.end_at:
                inside = self._inside(place, instant, found[one.id][instant])
                return inside.known_within(tolerances[one.id])
            before = self._ends[place]
        if before and before.at == instant:
            after = before
        elif place + 1 < len(self._all):
            after = self._starts[place + 1]
        return Boundary(instant, before, after)

    def _inside(self, place: int, instant: int, mark: Boundary) -> Boundary:
        one = self._all[place]
        before, after = mark.before, mark.after
        known = before is not None and before.at >= one.start_at
        first = self._read(place, before) if before and known else self._starts[place]
        # A reading at the very end is of what counts from then on: it may be the same register.
        ends = after is None or (one.end_at is not None and after.at >= one.end_at)
        last = self._read(place, after) if after and not ends else self._ends[place]
        return Boundary(instant, first, first if first.at == instant else last)

    def _read(self, place: int, index: Index) -> Index:
        """A reading's index; not to be relied on where it is none between start and final index:
        the books or the reading are wrong."""
        one = self._all[place]
        most = index.value if one.final_index is None else one.final_index
        agrees = one.start_index <= index.value <= most
        return self._index(place, index if agrees else index.doubtful)

    def _index(self, place: int, index: Index) -> Index:
        one = self._all[place]
        counted = (index.value - one.start_index) * self._factors[place]
        return Index(index.at, self._offsets[place] + counted, index.quality)

    def _end(self, place: int) -> Index | None:
        one = self._all[place]
        if one.end_at is None or one.final_index is None:
            return None
        return self._index(place, Index(one.end_at, one.final_index))

    def _factor(self, one: Installation) -> int:
        return int(one.multiplier.scaleb(self.decimals - one.decimals))


def known(one: Installation, spans: Sequence[Span]) -> list[Span]:
    """What ``spans`` of its register say of it, between what stood on its face at its ends."""
    found = [*within(spans, one.start_at, one.end_at)]
    first = alone(one.register_id, Index(one.start_at, one.start_index))
    if one.end_at is None or one.final_index is None:
        return [first, *found]
    return [first, *found, alone(one.register_id, Index(one.end_at, one.final_index))]


def _places(one: Installation) -> int:
    """Decimals of what it counts."""
    exponent = one.multiplier.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101  (it is a number)
    return one.decimals + max(0, -exponent)
