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
from common.reading import INT64_MAX, Quality


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


class _Link:
    """An installation as part of its point's index, which stood at ``offset`` when it came."""

    def __init__(self, one: Installation, decimals: int, offset: int) -> None:
        self.id = one.id
        self.start_at = one.start_at
        self.end_at = INT64_MAX if one.end_at is None else one.end_at
        self._factor = int(one.multiplier.scaleb(decimals - one.decimals))
        self._shift = offset - one.start_index * self._factor
        self._least, self._most = one.start_index, one.final_index
        self.start = Index(one.start_at, offset)
        self.end = None
        if one.end_at is not None and one.final_index is not None:
            self.end = self.index(Index(one.end_at, one.final_index))

    def index(self, read: Index) -> Index:
        """A reading's index; not to be relied on where it is none between start and final index:
        the books or the reading are wrong."""
        at, value, quality = read
        if value < self._least or (self._most is not None and value > self._most):
            quality = Quality.ESTIMATED
        return Index(at, value * self._factor + self._shift, quality)

    def mark(self, found: Boundary, tolerance: int) -> Boundary:
        """The point's index next to an instant of this installation; ``found``: its register's."""
        instant, before, after = found
        known = before is not None and before.at >= self.start_at
        first = self.index(before) if before and known else self.start
        if first.at == instant:
            return Boundary(instant, first, first)
        # A reading at the very end is of what counts from then on: it may be the same register.
        last = self.index(after) if after and after.at < self.end_at else self.end
        if last and last.at - first.at > tolerance:
            first = first.doubtful
        return Boundary(instant, first, last)


class Chain:
    """The installations of one metering point, in order, that do not overlap.

    Its index is scaled by ``decimals`` and begins with 0.
    """

    def __init__(self, installations: Sequence[Installation]) -> None:
        self.decimals = max((_places(one) for one in installations), default=0)
        self._links: list[_Link] = []
        offset = 0
        for one in sorted(installations, key=lambda one: one.start_at):
            link = _Link(one, self.decimals, offset)
            self._links.append(link)
            offset = link.end.value if link.end else offset
        self._begins = [link.start_at for link in self._links]

    def newest(self, last: Index | None) -> Index | None:
        """The index as it is known now. ``last``: the last reading of the register that is
        installed. None while no meter has been installed."""
        if not self._links:
            return None
        link = self._links[-1]
        if link.end:
            return link.end
        return link.index(last) if last and last.at >= link.start_at else link.start

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
        place = bisect_right(self._begins, instant)
        before = after = None
        if place:
            link = self._links[place - 1]
            if instant < link.end_at:
                return link.mark(found[link.id][instant], tolerances[link.id])
            before = link.end
        if before and before.at == instant:
            after = before
        elif place < len(self._links):
            after = self._links[place].start
        return Boundary(instant, before, after)


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
