"""Consumption per local-calendar period: pure arithmetic on indices at the periods' boundaries.

An index is a scaled integer that only grows; times are epoch milliseconds (UTC).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.errors import Permanent
from common.reading import Quality

MAX_PERIODS = 1500
"""The most periods of one question: 62 days of hours, or four years of days."""

PIECE = 744
"""So many periods are asked for at a time where there are more: a month of hours."""

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_SURE = frozenset({Quality.GOOD, Quality.CORRECTED})


class Step(StrEnum):
    """How long a period is, by the clock and the calendar on the site's wall."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Index(NamedTuple):
    """An index that was read at ``at``, or put in by a person; ``quality`` is a ``Quality``."""

    at: int
    value: int
    quality: int = Quality.GOOD

    @property
    def sure(self) -> bool:
        """Whether it can be relied on."""
        return self.quality in _SURE

    @property
    def doubtful(self) -> "Index":
        """The same, not to be relied on."""
        return Index(self.at, self.value, Quality.ESTIMATED)


class Boundary(NamedTuple):
    """An instant, with the last index at or before it and the first at or after it."""

    at: int
    before: Index | None
    after: Index | None


class Amount(NamedTuple):
    """What was consumed from ``start`` to ``end``, scaled like the index.

    ``value`` is None when the readings do not tell; ``estimated`` when they tell only roughly,
    or contradict each other (the index went back).
    """

    start: int
    end: int
    value: int | None
    estimated: bool


def boundaries(step: Step, start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """The instants (UTC) that bound all local periods of ``step`` that overlap start..end.

    A local day has 23, 24 or 25 hours, and a week begins on Monday (ISO 8601). ``start`` and
    ``end`` are aware; an empty span gives no boundary. Raises Permanent when there are more than
    MAX_PERIODS periods, or a time is so near the calendar's edge that its neighbours cannot be
    told.
    """
    if start >= end:
        return []
    if (end - start) / _LENGTH[step] > MAX_PERIODS:
        raise Permanent(f"more than {MAX_PERIODS} periods; ask for less at a time")
    try:
        return _hours(start, end, zone) if step is Step.HOUR else midnights(step, start, end, zone)
    except OverflowError as error:
        raise Permanent("the span touches the end of the calendar") from error


def pieces(
    step: Step, start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """Spans that have all local periods of ``step`` that overlap start..end, in order, each period
    in one of them, and so few in each that one question may ask for them. Raises as ``boundaries``.
    """
    most = PIECE * _LENGTH[step]
    while start < end:
        until = start + most if end - start > most else end
        bounds = boundaries(step, start, until, zone)
        yield bounds[0], bounds[-1]
        start = bounds[-1]


def check_periods(step: Step, start: datetime, end: datetime, most: int) -> None:
    """Raises Permanent when nothing lies between, or more than ``most`` periods do."""
    if start >= end:
        raise Permanent("end must be later than start")
    if (end - start) / _LENGTH[step] > most:
        raise Permanent(f"more than {most} periods; ask for less at a time")


def _hours(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    local = start.astimezone(zone)
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    first = start.astimezone(UTC) - into
    found = [first - timedelta(minutes=first.astimezone(zone).minute)]
    while found[-1] < end:
        at = found[-1]
        local, tomorrow = at.astimezone(zone), (at + _DAY).astimezone(zone)
        if not local.minute and local.utcoffset() == tomorrow.utcoffset():
            # The clocks are not set in this day: no two times are so near in the zones that are.
            left = -((at - end) // _HOUR)  # hours, rounded up
            found += [at + n * _HOUR for n in range(1, min(24, left) + 1)]
        else:
            found.append(_hour_after(at, zone))
    shifted_by_half = found[1] <= start  # where the clocks go back by 30 minutes
    return found[1:] if shifted_by_half else found


def _hour_after(at: datetime, zone: ZoneInfo) -> datetime:
    """When the next hour begins. It begins sooner where a clock is set by half an hour in this."""
    after = at + timedelta(minutes=60 - at.astimezone(zone).minute)
    sooner = after - timedelta(minutes=after.astimezone(zone).minute)
    return sooner if sooner > at and not sooner.astimezone(zone).minute else after


def midnights(step: Step, start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """As ``boundaries``, for days and longer, however many; raises OverflowError."""
    day = _first_day(step, start.astimezone(zone).date())
    found = [midnight(day, zone)]
    while found[-1] < end:
        day = _first_day(step, day + timedelta(days=_LONGEST[step]))
        after = midnight(day, zone)
        if after > found[-1]:  # Samoa had no 30th of December 2011
            found.append(after)
    return found


_MONTHS = {Step.MONTH: 1, Step.QUARTER: 3, Step.YEAR: 12}
_LONGEST = {Step.DAY: 1, Step.WEEK: 7, Step.MONTH: 31, Step.QUARTER: 92, Step.YEAR: 366}
_LENGTH = {Step.HOUR: _HOUR} | {step: timedelta(days=days) for step, days in _LONGEST.items()}


def _first_day(step: Step, day: date) -> date:
    """The first day of the period that has ``day``."""
    if step in _MONTHS:
        into = (day.month - 1) % _MONTHS[step]
        return day.replace(month=day.month - into, day=1)
    return day - timedelta(days=day.weekday()) if step is Step.WEEK else day


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a local day begins (UTC)."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def tolerance_ms(interval_s: int) -> int:
    """How far apart two readings may be for the index between them to count as known.

    Twice the promised interval and at least a minute; an hour when no interval is promised.
    """
    return max(2 * interval_s * 1000, MINUTE_MS) if interval_s > 0 else HOUR_MS


def amounts(marks: Iterable[Boundary], tolerance: int) -> list[Amount]:
    """The consumption between each two neighbouring boundaries.

    Between two readings the index is interpolated and cut off, so that the amounts of
    neighbouring periods add up exactly. It is estimated when the two are more than ``tolerance``
    (ms) apart or one is unsure. Where readings begin or end inside a period, what they cover is
    its amount, estimated. An amount is never negative: where the index went back there is none.
    """
    return [_amount(start, end) for start, end in pairwise(_told(one, tolerance) for one in marks)]


def index_at(mark: Boundary, tolerance: int) -> Index | None:
    """The index at a boundary; where readings are on one side only, the nearest, unsure."""
    told = _told(mark, tolerance)
    return told.begun or told.ended


class _Told(NamedTuple):
    """The index at a boundary as the period that has ``begun`` there may take it, and the one that
    has ``ended`` there; they differ where readings are on one side only. ``back``: it went back."""

    at: int
    begun: Index | None
    ended: Index | None
    back: bool


def _told(mark: Boundary, tolerance: int) -> _Told:
    at, before, after = mark
    if before is None or after is None:
        begun, ended = after.doubtful if after else None, before.doubtful if before else None
        return _Told(at, begun, ended, back=False)
    apart = after.at - before.at
    if apart == 0:
        return _Told(at, before, before, after.value < before.value)
    gained = (after.value - before.value) * (at - before.at) // apart
    sure = apart <= tolerance and before.sure and after.sure
    index = Index(at, before.value + gained, Quality.GOOD if sure else Quality.ESTIMATED)
    return _Told(at, index, index, after.value < before.value)


def _amount(start: _Told, end: _Told) -> Amount:
    first, last = start.begun, end.ended
    if first is None or last is None or first.at >= last.at:
        return Amount(start.at, end.at, None, estimated=False)
    if last.value < first.value or start.back or end.back:
        return Amount(start.at, end.at, None, estimated=True)
    return Amount(start.at, end.at, last.value - first.value, not (first.sure and last.sure))
