"""Hours and days of readings, summed up: enough to tell the index at any boundary between them.

An index is known where two readings are near each other. So a span keeps its first and its last
reading, and neighbouring spans together tell the index between them as the readings themselves do.
Times are epoch milliseconds (UTC), values are scaled by their register's decimals.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from cloud.domain.consumption import HOUR_MS, Boundary, Index
from common.reading import Quality


class Span(NamedTuple):
    """What the readings with a value say that lie in a span of time, which begins at ``at``.

    ``gap_ms``: how much of the time between the first and the last lies between hours whose
    readings are too far apart for the index between them to be known, or in hours that have values
    that a person put in.
    """

    register_id: int
    at: int
    first_at: int
    first_value: int
    first_quality: int
    last_at: int
    last_value: int
    last_quality: int
    readings: int
    low: int
    high: int
    gap_ms: int = 0

    @property
    def first(self) -> Index:
        """The index at the first reading."""
        return Index(self.first_at, self.first_value, self.first_quality)

    @property
    def last(self) -> Index:
        """The index at the last reading."""
        return Index(self.last_at, self.last_value, self.last_quality)


def merged(at: int, spans: Sequence[Span], tolerance: int) -> Span:
    """One span that begins at ``at``, of at least one of one register, in order."""
    first, last = spans[0], spans[-1]
    between = sum(end - start for start, end in _gaps(spans, tolerance))
    return Span(
        first.register_id,
        at,
        first.first_at,
        first.first_value,
        first.first_quality,
        last.last_at,
        last.last_value,
        last.last_quality,
        sum(one.readings for one in spans),
        min(one.low for one in spans),
        max(one.high for one in spans),
        between + sum(one.gap_ms for one in spans),
    )


def alone(register_id: int, index: Index) -> Span:
    """The span of one reading."""
    at, value, quality = index.at, index.value, index.quality
    return Span(register_id, at, at, value, quality, at, value, quality, 1, value, value)


def cut(spans: Iterable[Span], instants: Sequence[int], until: int | None = None) -> Iterator[Span]:
    """The spans (in order), so that none begins before an instant and ends after it; without what
    comes at ``until`` or later.

    One that does becomes its first and its last reading, unsure: what was between is not known.
    """
    for one in spans:
        place = bisect_right(instants, one.first_at)
        whole = place == len(instants) or one.last_at < instants[place]
        if whole and (until is None or one.last_at < until):
            yield one._replace(at=one.first_at)
            continue
        for index in (one.first, one.last):
            if until is None or index.at < until:
                yield alone(one.register_id, index.doubtful)


def within(spans: Iterable[Span], start: int, end: int | None) -> Iterator[Span]:
    """When the spans were read from ``start`` to ``end``, without what lies before and after.

    What of the gaps in one that begins before or ends after lies within is not known: as much as
    of its time does.
    """
    for one in spans:
        first = max(one.first_at, start)
        last = one.last_at if end is None else min(one.last_at, end)
        if (first, last) == (one.first_at, one.last_at):
            yield one
        elif first <= last:
            gap = one.gap_ms * (last - first) // (one.last_at - one.first_at)
            yield one._replace(first_at=first, last_at=last, gap_ms=gap)


def nearest(mark: Boundary, spans: Iterable[Span]) -> Boundary:
    """``mark`` with the readings next to it, of its own and of ``spans``."""
    before = [mark.before] if mark.before else []
    after = [mark.after] if mark.after else []
    for one in spans:
        whole = one.last_at <= mark.at or one.first_at >= mark.at
        for index in (one.first, one.last):
            known = index if whole or index.at == mark.at else index.doubtful
            if index.at <= mark.at:
                before.append(known)
            if index.at >= mark.at:
                after.append(known)
    return Boundary(
        mark.at,
        max(before, key=lambda index: (index.at, index.sure), default=None),
        min(after, key=lambda index: (index.at, not index.sure), default=None),
    )


def marks(instants: Iterable[int], spans: Sequence[Span]) -> list[Boundary]:
    """Each instant with the readings next to it.

    ``spans`` are in order, with the nearest on either side of the instants, and none of them
    begins before an instant and ends after it.
    """
    begins = [one.at for one in spans]
    found = []
    for instant in instants:
        place = bisect_left(begins, instant)
        before = spans[place - 1].last if place else None
        after = spans[place].first if place < len(spans) else None
        if after and after.at == instant:
            before = after
        found.append(Boundary(instant, before, after))
    return found


def unmeasured(bounds: Sequence[int], spans: Sequence[Span], tolerance: int) -> list[int]:
    """How much of each period between neighbouring ``bounds`` (ms) no two readings enclose that
    are near each other, as far as whole spans tell.

    ``spans`` as for ``marks``; none begins in one period and ends in another.
    """
    totals = [0] * max(0, len(bounds) - 1)
    if not totals:
        return totals
    gaps = _gaps(spans, tolerance)
    first, last = (spans[0].first_at, spans[-1].last_at) if spans else (bounds[-1], bounds[-1])
    for start, end in chain([(bounds[0], first)], gaps, [(last, bounds[-1])]):
        place = max(0, bisect_right(bounds, start) - 1)
        while place < len(totals) and bounds[place] < end:
            totals[place] += min(end, bounds[place + 1]) - max(start, bounds[place])
            place += 1
    for span in spans:
        if not span.gap_ms:
            continue
        place = bisect_right(bounds, span.at) - 1
        if 0 <= place < len(totals):
            totals[place] += span.gap_ms
    return totals


def falls(spans: Sequence[Span], more_than: int) -> Iterator[tuple[int, int]]:
    """From when to when the index of one register fell by more than that, within a span or between
    two; in order."""
    for one, other in pairwise([*spans, None]):
        if one and max(one.first_value - one.low, one.high - one.last_value) > more_than:
            yield one.first_at, one.last_at
        if one and other and one.last_value - other.first_value > more_than:
            yield one.last_at, other.first_at


def stretches(hours: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Hours (when they begin, in order), those put together that follow each other."""
    start = end = 0
    for at in hours:
        if at != end:
            if end > start:
                yield start, end
            start = at
        end = at + HOUR_MS
    if end > start:
        yield start, end


def _gaps(spans: Iterable[Span], tolerance: int) -> Iterator[tuple[int, int]]:
    """From when to when between two spans the index is not known, or not from readings."""
    for one, other in pairwise(spans):
        put_in = Quality.CORRECTED in (one.last_quality, other.first_quality)
        if put_in or other.first_at - one.last_at > tolerance:
            yield one.last_at, other.first_at
