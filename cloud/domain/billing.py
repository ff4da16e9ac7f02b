"""Billing periods of one's own: by a day of the month, or between dates. Pure."""

from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from cloud.domain.consumption import MAX_PERIODS, Step, midnight
from common.errors import Permanent

PeriodStep = Step | Literal["billing"]
"""What a metering point can be asked by."""

LAST_DAY = 28
"""The last day that every month has."""

MONTHS = (1, 2, 3, 6, 12)
FIRST_DATE, LAST_DATE = date(1970, 1, 2), date(9999, 12, 1)


class Billing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """By ``day`` (1..28) of the month, or by ``dates``; by neither: there are no periods.

    A period of ``months`` begins on that day of ``first_month`` (1..12), and every so many months
    from there. With dates, each period begins on one and ends before the next.
    """

    day: int | None = None
    months: int = 1
    first_month: int = 1
    dates: tuple[date, ...] = ()


def check(billing: Billing) -> None:
    """Raises Permanent, with what is wrong."""
    if billing.day is not None and billing.dates:
        raise Permanent("dates: by a day of the month or by dates, not by both")
    if billing.day is not None and not 1 <= billing.day <= LAST_DAY:
        raise Permanent(f"day: 1 to {LAST_DAY}, which every month has")
    if billing.months not in MONTHS:
        raise Permanent(f"months: one of {', '.join(map(str, MONTHS))}")
    if not 1 <= billing.first_month <= 12:
        raise Permanent("first_month: 1 to 12")
    if len(billing.dates) == 1:
        raise Permanent("dates: a period needs two, its first day and that of the next")
    if len(billing.dates) > MAX_PERIODS + 1:
        raise Permanent(f"dates: more than {MAX_PERIODS} periods")
    for one, other in pairwise(billing.dates):
        if other <= one:
            raise Permanent(f"dates: {other} follows {one}; each must be later than the one before")
    if billing.dates and not FIRST_DATE <= billing.dates[0] <= billing.dates[-1] <= LAST_DATE:
        raise Permanent(f"dates: from {FIRST_DATE} to {LAST_DATE}")


def bounds(billing: Billing, start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """The local midnights (UTC) that bound all billing periods that overlap start..end.

    None, where no period does. Raises Permanent as ``consumption.boundaries``.
    """
    if start >= end:
        return []
    if billing.dates:
        midnights = sorted({midnight(day, zone) for day in billing.dates})
        first = max(0, bisect_right(midnights, start) - 1)
        found = midnights[first : bisect_left(midnights, end) + 1]
        return found if len(found) > 1 else []
    if billing.day is None:
        return []
    if (end - start) / timedelta(days=31) > MAX_PERIODS:
        raise Permanent(f"more than {MAX_PERIODS} periods; ask for less at a time")
    try:
        return _monthly(billing, billing.day, start, end, zone)
    except (OverflowError, ValueError) as error:
        raise Permanent("the span touches the end of the calendar") from error


def _monthly(
    billing: Billing, on: int, start: datetime, end: datetime, zone: ZoneInfo
) -> list[datetime]:
    day = start.astimezone(zone).date()
    month = day.year * 12 + day.month - 1 - (day.day < on)
    month -= (month - (billing.first_month - 1)) % billing.months
    found = [midnight(date(month // 12, month % 12 + 1, on), zone)]
    while found[-1] < end:
        month += billing.months
        found.append(midnight(date(month // 12, month % 12 + 1, on), zone))
    return found
