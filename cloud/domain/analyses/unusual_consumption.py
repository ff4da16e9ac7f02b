"""Unusual consumption: far from what this weekday and this hour are like.

A local day is told once, and days in a row that are unusual the same way are one finding. A day's
total is judged, upwards as soon as what was measured is too much, downwards when the day is over
and was measured all through; and each hour of it, upwards. Estimated hours add nothing. A working
day may also be like a Saturday or a Sunday: that is what public holidays are like.

The days compared with include those that were unusual. So when consumption has changed for good,
this is told for about half of ``weeks``, and is usual from then on; where weekends are as they ever
were, each week of them anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import Annotated

from msgspec import Meta, Struct

from cloud.domain.analyses.evidence import Run, Usual, runs, usual
from cloud.domain.analyses.findings import Finding, Severity
from cloud.domain.analyses.history import Day, History, Hour, plain
from cloud.domain.analyses.limits import not_negative

CODE = "unusual_consumption"
MAY_BE_ESTIMATED = 6
"""A day with more estimated hours than this is not compared with."""
BRIDGE = 3
"""Days in a row that may be unknown."""
DAYS_OFF = 5, 6


class UnusualConsumption(Struct, frozen=True, forbid_unknown_fields=True):
    """Told when a day is more than ``day_factor``, or an hour more than ``hour_factor``, times the
    scatter away from the middle of the same weekday in the last ``weeks`` weeks.

    The scatter counts as at least ``floor_percent`` of a typical day or hour; a difference below
    ``least`` is never told, nor an hour below ``hour_percent`` of what 19 of 20 did not exceed at
    that time of the day. With less than ``least_weeks`` of a weekday nothing is told of it.
    """

    least: Decimal
    weeks: Annotated[int, Meta(ge=3, le=9)] = 8
    least_weeks: Annotated[int, Meta(ge=3, le=9)] = 4
    day_factor: Annotated[int, Meta(ge=1, le=100)] = 5
    hour_factor: Annotated[int, Meta(ge=1, le=100)] = 8
    floor_percent: Annotated[int, Meta(ge=1, le=100)] = 10
    hour_percent: Annotated[int, Meta(ge=100, le=1000)] = 200

    def __post_init__(self) -> None:
        not_negative("least", self.least)
        if self.least_weeks > self.weeks:
            raise ValueError("least_weeks: expected at most weeks")


@dataclass(frozen=True, slots=True)
class _Band:
    """From ``lower`` to ``upper`` a day or an hour is usual."""

    usual: Usual
    lower: Decimal
    upper: Decimal


@dataclass(frozen=True, slots=True)
class _HighHour:
    hour: Hour
    quantity: Decimal
    usual: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class _Verdict:
    """1: too much, -1: too little, 0: usual, None: cannot be told. ``hours`` were too much."""

    day: Day
    side: int | None
    total: Decimal
    band: _Band
    hours: list[_HighHour]


def find(history: History, settings: UnusualConsumption) -> list[Finding]:
    """The days that are unusual."""
    past = _Past(history.days, settings)
    verdicts = [past.judge(day) for day in history.days]
    found = []
    for side in (1, -1):
        sides = (verdict.side if verdict else None for verdict in verdicts)
        proofs = (None if known is None else known == side for known in sides)
        for run in runs(proofs, 1, BRIDGE):
            last = verdicts[run.last]
            if last is not None:
                found.append(_finding(history, run, history.days[run.first], last))
    return found


class _Past:
    """The days by date, and what is worth comparing with."""

    def __init__(self, days: Sequence[Day], settings: UnusualConsumption) -> None:
        self._settings = settings
        self._totals: dict[date, Decimal] = {}
        self._hours: dict[date, dict[int, Decimal]] = {}
        for day in days:
            known = [hour.quantity for _, hour in day.hours if hour.quantity is not None]
            estimated = sum(hour.estimated for _, hour in day.hours)
            if day.whole and len(known) == len(day.hours) and estimated <= MAY_BE_ESTIMATED:
                self._totals[day.date] = sum(known, Decimal())
            self._hours[day.date] = {
                clock: hour.measured for clock, hour in day.hours if hour.measured is not None
            }

    def judge(self, day: Day) -> _Verdict | None:
        """What a day is like beside those before it; None when they are too few."""
        before = [day.date - timedelta(days) for days in range(1, self._settings.weeks * 7 + 1)]
        totals = [self._totals[one] for one in before if one in self._totals]
        if not totals:
            return None
        typical = median(totals)
        weekday = day.date.weekday()
        own = self._day_band(before, weekday, typical)
        if own is None:
            return None
        also = DAYS_OFF if weekday not in DAYS_OFF else ()
        bands = [own, *filter(None, (self._day_band(before, other, typical) for other in also))]
        measured = [hour.measured for _, hour in day.hours if hour.measured is not None]
        total = sum(measured, Decimal())
        complete = day.whole and len(measured) == len(day.hours)
        hours = list(self._high_hours(day, before, typical / 24))
        side = 0 if complete else None
        if hours or total > max(band.upper for band in bands):
            side = 1
        elif complete and total < min(band.lower for band in bands):
            side = -1
        return _Verdict(day, side, total, own, hours)

    def _day_band(self, before: list[date], weekday: int, typical: Decimal) -> _Band | None:
        alike = (one for one in before if one.weekday() == weekday)
        totals = [self._totals[one] for one in alike if one in self._totals]
        return self._band(totals, self._settings.day_factor, typical)

    def _high_hours(self, day: Day, before: list[date], typical: Decimal) -> Iterator[_HighHour]:
        alike = [one for one in before if one.weekday() == day.date.weekday()]
        for clock, hour in day.hours:
            quantity = hour.measured
            if quantity is None or quantity <= self._settings.least:
                continue
            band = self._band(self._at(alike, clock), self._settings.hour_factor, typical)
            if band is None or quantity <= band.upper:
                continue
            high = usual(self._at(before, clock)).high * self._settings.hour_percent / 100
            if quantity > high:
                yield _HighHour(hour, quantity, band.usual.middle, max(band.upper, high))

    def _at(self, dates: list[date], clock: int) -> list[Decimal]:
        """The measured hours of those days at that hour of the clock."""
        hours = (self._hours.get(one, {}).get(clock) for one in dates)
        return [quantity for quantity in hours if quantity is not None]

    def _band(self, values: list[Decimal], factor: int, typical: Decimal) -> _Band | None:
        if len(values) < self._settings.least_weeks:
            return None
        seen = usual(values)
        floor = typical * self._settings.floor_percent / 100
        width = max(factor * max(seen.scatter, floor), self._settings.least)
        return _Band(seen, seen.middle - width, seen.middle + width)


def _finding(history: History, run: Run, first: Day, last: _Verdict) -> Finding:
    day, band, amount = last.day, last.band, history.amount
    middle = band.usual.middle
    text = (
        f"{history.subject}: {amount(last.total)} on {day.date}, where {amount(middle)} "
        f"is usual on a {day.date:%A}"
    )
    evidence: dict[str, str | int] = {
        "days": run.count,
        "last_day": str(day.date),
        "total": plain(last.total),
        "usual": plain(middle),
        "lower_limit": plain(max(band.lower, Decimal())),
        "upper_limit": plain(band.upper),
        "history_weeks": band.usual.count,
        "high_hours": len(last.hours),
        "unit": history.unit,
    }
    if last.hours:
        worst = max(last.hours, key=lambda one: one.quantity - one.limit)
        text += (
            f", of it {amount(worst.quantity)} in the hour from {history.wall(worst.hour.start)}, "
            f"where {amount(worst.usual)} is usual"
        )
        evidence |= {
            "hour": history.wall(worst.hour.start),
            "hour_quantity": plain(worst.quantity),
            "hour_usual": plain(worst.usual),
            "hour_limit": plain(worst.limit),
        }
    if run.count > 1:
        text += f"; {run.count} unusual days since {first.date}"
    text += ": see whether what was done there explains it."
    severity = Severity.WARNING if last.side == 1 else Severity.INFO
    until = day.end if run.over else None
    return Finding(CODE, severity, first.start, until, text, evidence)
