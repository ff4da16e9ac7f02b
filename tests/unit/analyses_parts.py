"""Histories of metering points for the tests of the analyses."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from cloud.domain.analyses import Finding, History, Hour
from cloud.domain.consumption import Step, boundaries
from common.registers import Medium

BUCHAREST = ZoneInfo("Europe/Bucharest")
KOLKATA = ZoneInfo("Asia/Kolkata")
MONDAY = date(2026, 5, 4)
"""Ten weeks from here on no clock is changed in Bucharest."""

Litres = int | float | None
MISSING = None


def marks(first: date, days: int, zone: ZoneInfo) -> list[datetime]:
    """The boundaries of all local hours of so many local days."""
    midnights = [datetime.combine(first + timedelta(n), time(), zone) for n in (0, days)]
    start, end = (one.astimezone(UTC) for one in midnights)
    middle = start + (end - start) / 2  # more than one question may ask for
    early, late = (boundaries(Step.HOUR, *span, zone) for span in ((start, middle), (middle, end)))
    return sorted({*early, *late})


def hours(
    litres: Callable[[datetime], Litres],
    days: int,
    first: date = MONDAY,
    zone: ZoneInfo = BUCHAREST,
) -> list[Hour]:
    """Measured hours; ``litres`` says from the time on the wall what is consumed in each."""
    found = []
    for start, end in pairwise(marks(first, days, zone)):
        amount = litres(start.astimezone(zone))
        quantity = None if amount is None else Decimal(str(amount)) / 1000
        found.append(Hour(start, end, quantity))
    return found


def history(
    of: Sequence[Hour],
    *,
    zone: ZoneInfo = BUCHAREST,
    now: datetime | None = None,
    medium: Medium = Medium.COLD_WATER,
) -> History:
    """Seen at the end of the last hour, unless ``now`` is given."""
    seen = now or (of[-1].end if of else datetime(2026, 5, 4, tzinfo=UTC))
    return History(of, zone, medium, "Wh" if medium is Medium.ELECTRICITY else "m³", seen)


def wall(day: int, hour: int = 0, zone: ZoneInfo = BUCHAREST, first: date = MONDAY) -> datetime:
    """That hour of the clock, so many days after ``first``, in UTC."""
    return datetime.combine(first + timedelta(day), time(hour), zone).astimezone(UTC)


def codes(found: Sequence[Finding]) -> list[str]:
    """What was found."""
    return [one.code for one in found]


def household(at: datetime) -> Litres:
    """20 l an hour by day, more at weekends, nothing at night."""
    if at.hour < 6 or at.hour == 23:
        return 0
    return 26 if at.weekday() >= 5 else 20


def office(at: datetime) -> Litres:
    """50 l an hour at work."""
    return 50 if at.weekday() < 5 and 8 <= at.hour < 18 else 0
