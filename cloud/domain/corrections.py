"""Corrections: what a person says against the readings of a register. Readings stay as they came.

Times are epoch milliseconds (UTC), values are scaled by their register's decimals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from cloud.domain.consumption import HOUR_MS, Boundary, Index
from cloud.domain.spans import Span
from common.reading import Quality


@dataclass(frozen=True, slots=True)
class Correction:
    """What was read from ``start`` to before ``end`` does not count.

    ``value``, unless None, is what the register stood at, at ``start``: a substitute value.
    """

    start: int
    end: int
    value: int | None = None


class Corrected:
    """What counts of a register's readings, and the values in their place."""

    def __init__(self, corrections: Iterable[Correction]) -> None:
        self.all: Sequence[Correction] = sorted(corrections, key=attrgetter("start", "end"))
        self._values = [
            Index(one.start, one.value, quality=Quality.CORRECTED)
            for one in self.all
            if one.value is not None
        ]

    def covering(self, at: int) -> Correction | None:
        """A correction by which a reading at this time does not count."""
        return next((one for one in self.all if one.start <= at < one.end), None)

    def applied(self, readings: Iterable[Index], start: int, end: int) -> list[Index]:
        """The ``readings`` from ``start`` to before ``end``, all of them, as they count."""
        counted = [one for one in readings if self.covering(one.at) is None]
        put_in = [one for one in self._values if start <= one.at < end]
        return sorted(counted + put_in, key=attrgetter("at"))

    def beside(self, mark: Boundary) -> Boundary:
        """The boundary, with the readings that count, and with substitute values next to it."""
        before = [one for one in self._values if one.at <= mark.at]
        after = [one for one in self._values if one.at >= mark.at]
        if mark.before:
            before.append(mark.before)
        if mark.after:
            after.append(mark.after)
        at = attrgetter("at")
        return Boundary(
            mark.at, max(before, key=at, default=None), min(after, key=at, default=None)
        )


def touched(marks: Sequence[Boundary], corrections: Sequence[Correction]) -> list[bool]:
    """Of each period between two neighbouring boundaries whether a correction has a part in it:
    one that lies in it, or between the readings from which an index at its boundaries is told."""
    if not corrections:
        return [False] * (len(marks) - 1)
    return [
        any(one.start <= until and one.end > since for one in corrections)
        for since, until in (
            (start.before.at if start.before else start.at, end.after.at if end.after else end.at)
            for start, end in pairwise(marks)
        )
    ]


def summed_up(
    register_id: int, readings: Sequence[Index], start: int, width: int = HOUR_MS
) -> list[Span]:
    """The spans that readings make (in order), hour by hour (or by ``width``) from ``start`` on.

    Time in an hour that has substitute values counts as not measured.
    """
    hours: dict[int, list[Index]] = {}
    for one in readings:
        hours.setdefault(one.at - (one.at - start) % width, []).append(one)
    return [_span(register_id, at, its) for at, its in hours.items()]


def _span(register_id: int, at: int, readings: Sequence[Index]) -> Span:
    first, last = readings[0], readings[-1]
    values = [one.value for one in readings]
    corrected = any(one.quality == Quality.CORRECTED for one in readings)
    return Span(
        register_id,
        at,
        first.at,
        first.value,
        first.quality,
        last.at,
        last.value,
        last.quality,
        len(readings),
        min(values),
        max(values),
        last.at - first.at if corrected else 0,
    )
