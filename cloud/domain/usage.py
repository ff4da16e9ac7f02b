"""Usage, laid out by the versions of a tariff, by months, and by the edges of bands."""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from cloud.domain.tariffs import DAY_S, UNITS, Band, Tariff, TimeOfUse, Version, day_plan
from common.errors import Permanent

ZERO = Decimal(0)
CUT = Decimal("1E-12")
"""What has to be divided is cut off here; the last share is what is left."""

_MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used from ``start`` to ``end`` (aware, UTC, whole seconds): as a rule an hour.

    ``quantity`` is in the register's base unit, 0 or more; None when it is missing.
    """

    start: datetime
    end: datetime
    quantity: Decimal | None
    estimated: bool = False
    corrected: bool = False


@dataclass(slots=True)
class Part:
    """What was used on a local day from one edge of a band to the next, in the tariff's unit.

    ``estimated`` is how much of it is estimated; ``unsure`` how much is that, or is a share of
    what was used across an edge.
    """

    day: date
    until: int
    quantity: Decimal = ZERO
    estimated: Decimal = ZERO
    unsure: Decimal = ZERO


class Segment:
    """The days of usage that are in one month and on which one version is in force, or none."""

    def __init__(self, version: Version | None, month: date) -> None:
        self.version = version
        self.month = month
        self.days: set[date] = set()
        self.length = timedelta()
        self.missing = timedelta()
        self._parts: dict[tuple[date, int], Part] = {}
        charges = version.charges if version else ()
        self._plans = {
            charge.name: [day_plan(charge, month.month, weekday) for weekday in range(7)]
            for charge in charges
            if isinstance(charge, TimeOfUse)
        }
        plans = self._plans.values()
        self._edges = [
            sorted({DAY_S}.union(at for plan in plans for at, _ in plan[weekday]))
            for weekday in range(7)
        ]

    def edge_after(self, day: date, second: int) -> int:
        """The first second after this one at which a band or the next day begins."""
        edges = self._edges[day.weekday()]
        return edges[bisect_right(edges, second)]

    def add(
        self,
        day: date,
        until: int,
        length: timedelta,
        quantity: Decimal | None,
        *,
        estimated: bool,
        divided: bool = False,
    ) -> None:
        """Something used before the edge ``until`` of a day; None: how much is missing."""
        self.days.add(day)
        self.length += length
        if quantity is None:
            self.missing += length
            return
        part = self._parts.get((day, until))
        if part is None:
            part = self._parts[day, until] = Part(day, until)
        part.quantity += quantity
        if estimated:
            part.estimated += quantity
        if estimated or divided:
            part.unsure += quantity

    @property
    def parts(self) -> Collection[Part]:
        """What was used, in the order of its days and edges."""
        return self._parts.values()

    @property
    def month_days(self) -> int:
        """How many days the month has."""
        return monthrange(self.month.year, self.month.month)[1]

    @property
    def year_days(self) -> int:
        """How many days the year has."""
        return date(self.month.year, 12, 31).timetuple().tm_yday

    def band(self, charge: TimeOfUse, part: Part) -> Band | None:
        """The band that the part lies in; None when it is in none."""
        plan = self._plans[charge.name][part.day.weekday()]
        return plan[bisect_left(plan, part.until, key=_begins) - 1][1]


def segments_of(tariff: Tariff, usage: Sequence[Usage], zone: ZoneInfo) -> list[Segment]:
    """The usage by month and version, in order.

    What crosses the edge of a band or of a local day is divided by time. The shares are cut off
    after 12 decimals, and the last is what is left, so that they add up exactly. Shares that fall
    into different segments are estimated. Raises Permanent when usage is not consecutive, or
    negative.
    """
    calendar = _Calendar(tariff.versions)
    shift = -UNITS[tariff.unit].shift
    end, following = None, None
    for one in usage:
        if one.start >= one.end or end not in (None, one.start):
            raise Permanent(f"usage from {one.start} to {one.end} does not follow on {end}")
        local = following or one.start.astimezone(zone)
        end, following = one.end, one.end.astimezone(zone)
        quantity = None if one.quantity is None else one.quantity.scaleb(shift)
        if quantity is not None and quantity < 0:
            raise Permanent(f"usage from {one.start} to {one.end} is negative: {one.quantity}")
        day, second, length = local.date(), _second_of(local), one.end - one.start
        segment = calendar.segment(day)
        edge = segment.edge_after(day, second)
        by_the_wall = following - local
        if by_the_wall == length <= timedelta(seconds=edge - second):
            segment.add(day, edge, length, quantity, estimated=one.estimated)
        else:
            _divide(one, quantity, calendar, zone)
    return calendar.segments()


class _Calendar:
    """Finds the segment of a local day."""

    def __init__(self, versions: Sequence[Version]) -> None:
        self._versions = sorted(versions, key=_valid_from)
        self._of_day: dict[date, Segment] = {}
        self._segments: dict[tuple[date, int, bool], Segment] = {}

    def segments(self) -> list[Segment]:
        return list(self._segments.values())

    def segment(self, day: date) -> Segment:
        found = self._of_day.get(day)
        if found is None:
            place = bisect_right(self._versions, day, key=_valid_from)
            version = self._versions[place - 1] if place else None
            if version and version.valid_until and version.valid_until <= day:
                version = None  # until the next one begins: a gap of its own
            key = (day.replace(day=1), place, version is None)
            found = self._segments.get(key) or Segment(version, key[0])
            self._of_day[day] = self._segments[key] = found
        return found


def _divide(one: Usage, quantity: Decimal | None, calendar: _Calendar, zone: ZoneInfo) -> None:
    places = list(_places(one, calendar, zone))
    lengths = [length for _, _, length in places]
    homes = [calendar.segment(day) for day, _, _ in places]
    shares = [None] * len(places) if quantity is None else _shares(quantity, lengths)
    divided = len(places) > 1
    estimated = one.estimated or len(set(homes)) > 1
    for home, (day, edge, length), share in zip(homes, places, shares, strict=True):
        home.add(day, edge, length, share, estimated=estimated, divided=divided)


def _places(
    one: Usage, calendar: _Calendar, zone: ZoneInfo
) -> Iterator[tuple[date, int, timedelta]]:
    """Day, next edge, and length of each part of a usage; by the minute until the clocks change."""
    at = one.start
    while at < one.end:
        local = at.astimezone(zone)
        day, second = local.date(), _second_of(local)
        edge = calendar.segment(day).edge_after(day, second)
        after = min(at + timedelta(seconds=edge - second), one.end)
        if (after - _INSTANT).astimezone(zone).utcoffset() != local.utcoffset():
            after = min(at + _MINUTE, after)
        yield day, edge, after - at
        at = after


def _shares(quantity: Decimal, lengths: Sequence[timedelta]) -> list[Decimal]:
    *passed, whole = (length // _INSTANT for length in accumulate(lengths))
    marks = [(quantity * part / whole).quantize(CUT, ROUND_DOWN) for part in passed]
    return [after - before for before, after in pairwise([ZERO, *marks, quantity])]


def _second_of(local: datetime) -> int:
    return local.hour * 3600 + local.minute * 60 + local.second


def _valid_from(version: Version) -> date:
    return version.valid_from


def _begins(step: tuple[int, Band | None]) -> int:
    return step[0]
