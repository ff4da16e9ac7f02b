"""What was consumed at a metering point, hour by hour, as the analyses look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from zoneinfo import ZoneInfo

from common.registers import Medium

SPAN = timedelta(days=70)
"""So much history every analysis has enough of: eight weeks, and what is judged by them."""

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Hour:
    """What was consumed in a local hour; ``start`` and ``end`` are aware, in UTC.

    ``quantity`` is finite, and None when the readings do not tell; ``estimated`` when they tell
    only roughly, as where a gap was interpolated.
    """

    start: datetime
    end: datetime
    quantity: Decimal | None
    estimated: bool = False

    @property
    def measured(self) -> Decimal | None:
        """The quantity, unless it is only estimated."""
        return None if self.estimated else self.quantity

    @property
    def flow(self) -> Decimal | None:
        """The measured quantity per hour: where clocks change by 30 minutes, hours are not."""
        length = self.end - self.start
        if self.quantity is None or self.estimated or length == HOUR:
            return self.measured
        return self.quantity * 3600 / Decimal(max(length, HOUR / 60).total_seconds())


@dataclass(frozen=True, slots=True)
class Day:
    """The hours of a local day, each with the hour that the clock on the wall showed.

    ``whole`` when all of the day's hours are here, be they 23, 24 or 25: none is yet to come.
    """

    date: date
    hours: tuple[tuple[int, Hour], ...]
    whole: bool

    @property
    def start(self) -> datetime:
        """When the first of its hours begins."""
        return self.hours[0][1].start

    @property
    def end(self) -> datetime:
        """When the last of its hours ends."""
        return self.hours[-1][1].end


@dataclass(frozen=True)
class History:
    """The hours of one metering point up to ``now``, in order and without a hole.

    They begin ``SPAN`` before ``now``, or when the point began to be metered; what is not known is
    an hour without a quantity, and so are hours that lack at the end. Quantities are in ``unit``,
    m³ or Wh. An hour that is not over at ``now`` is left out.
    """

    hours: Sequence[Hour]
    zone: ZoneInfo
    medium: Medium
    unit: str
    now: datetime

    @cached_property
    def over(self) -> Sequence[Hour]:
        """The hours that are over, also those at the end of which nothing is known."""
        known = [hour for hour in self.hours if hour.end <= self.now]
        if known and self.hours[-1] is known[-1]:
            last = known[-1].end
            lacking = min(self.now - last, SPAN) // HOUR
            known += [Hour(last + n * HOUR, last + (n + 1) * HOUR, None) for n in range(lacking)]
        return known

    @cached_property
    def walls(self) -> list[datetime]:
        """What the clock on the site's wall shows when each hour that is over begins."""
        return [hour.start.astimezone(self.zone) for hour in self.over]

    @cached_property
    def days(self) -> list[Day]:
        """The local days of the hours that are over."""
        pairs = zip(self.walls, self.over, strict=True)
        days = [
            Day(day, tuple((wall.hour, hour) for wall, hour in group), whole=True)
            for day, group in groupby(pairs, key=lambda pair: pair[0].date())
        ]
        if not days:
            return []
        begun_before = self.walls[0].timetz().replace(tzinfo=None) > datetime.min.time()
        unfinished = days[-1].end.astimezone(self.zone).date() <= days[-1].date
        for place, cut in ((0, begun_before), (-1, unfinished)):
            if cut:
                days[place] = Day(days[place].date, days[place].hours, whole=False)
        return days

    @property
    def subject(self) -> str:
        """What is consumed, as the beginning of a sentence."""
        return self.medium.label.capitalize() if self.medium else "The medium"

    def amount(self, quantity: Decimal) -> str:
        """A quantity as people read it: ``12 l``, ``1.25 m³``, ``3.4 kWh``."""
        unit = self.unit
        if unit == "m³" and abs(quantity) < 1 and self.medium is not Medium.GAS:
            quantity, unit = quantity * 1000, "l"
        elif unit == "Wh" and abs(quantity) >= 1000:
            quantity, unit = quantity / 1000, "kWh"
        digits = 0 if abs(quantity) >= 100 else 1 if abs(quantity) >= 10 else 3
        return f"{plain(quantity, digits)} {unit}"

    def wall(self, at: datetime) -> str:
        """An instant as the clock on the site's wall shows it."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M}"


def plain(quantity: Decimal, digits: int = 6) -> str:
    """Without an exponent, rounded to ``digits`` decimals, without zeros at the end."""
    text = f"{quantity:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
