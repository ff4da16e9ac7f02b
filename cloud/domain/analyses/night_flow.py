"""Night flow: more flows at night than in the nights before.

A night is worth the least flow of its hours: what flows even then. It is judged only when all of
them were measured, since the least of fewer hours is higher. It is compared with the nights before
the rise began, so that a leak does not become usual while it runs.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Annotated

from msgspec import Meta, Struct

from cloud.domain.analyses.evidence import Run, Runs, Usual, usual
from cloud.domain.analyses.findings import Finding, Severity
from cloud.domain.analyses.history import Day, History, plain
from cloud.domain.analyses.limits import not_negative

CODE = "night_flow"
LEAST_OF_KIND = 6
"""With so many of each, nights to working days and to days off are compared apart."""
BRIDGE = 3
"""Nights in a row that may be unknown."""


class NightFlow(Struct, frozen=True, forbid_unknown_fields=True):
    """Told after ``nights`` nights in a row that were above the limit.

    A night's hours are those from ``from_hour`` to ``until_hour`` by the clock on the wall. The
    limit is ``factor`` times the scatter of the last ``history_nights`` nights above their middle,
    and what 19 of 20 of them did not exceed. The scatter counts as at least ``floor_percent`` of a
    mean hour, day and night, so that where nights are alike not every litre is an alarm; and a rise
    below ``least`` an hour is never told. With less than ``least_nights`` nothing is.
    """

    least: Decimal
    from_hour: Annotated[int, Meta(ge=0, le=23)] = 2
    until_hour: Annotated[int, Meta(ge=1, le=24)] = 4
    nights: Annotated[int, Meta(ge=1, le=14)] = 2
    history_nights: Annotated[int, Meta(ge=7, le=56)] = 28
    least_nights: Annotated[int, Meta(ge=5, le=56)] = 10
    factor: Annotated[int, Meta(ge=1, le=100)] = 4
    floor_percent: Annotated[int, Meta(ge=1, le=100)] = 5

    def __post_init__(self) -> None:
        not_negative("least", self.least)
        if self.from_hour >= self.until_hour:
            raise ValueError("until_hour: expected an hour of the same day, after from_hour")
        if self.least_nights > self.history_nights:
            raise ValueError("least_nights: expected at most history_nights")


@dataclass(frozen=True, slots=True)
class _Night:
    """``flow`` is the least of its hours; ``mean`` that of all measured hours of its day."""

    date: date
    start: datetime
    end: datetime
    flow: Decimal | None
    mean: Decimal


@dataclass(frozen=True, slots=True)
class _Verdict:
    usual: Usual
    limit: Decimal


def find(history: History, settings: NightFlow) -> list[Finding]:
    """The rises of the night flow."""
    nights = [night for day in history.days if (night := _night(day, settings))]
    rises = Runs(settings.nights, BRIDGE)
    calm: list[_Night] = []
    verdicts: dict[int, _Verdict] = {}
    for place, night in enumerate(nights):
        if night.flow is None:
            continue
        begun = nights[rises.current.first] if rises.current else night
        verdict = _verdict(night, calm, begun.date, settings)
        above = verdict is not None and night.flow > verdict.limit
        if verdict is not None:
            verdicts[place] = verdict
        if not above:
            calm.append(night)
        rises.take(place, None if verdict is None else above)
    return [_finding(history, settings, nights, run, verdicts[run.last]) for run in rises.found()]


def _night(day: Day, settings: NightFlow) -> _Night | None:
    inside = [h for clock, h in day.hours if settings.from_hour <= clock < settings.until_hour]
    if not inside:
        return None
    flows = [flow for hour in inside if (flow := hour.flow) is not None]
    complete = len(flows) == len(inside) >= settings.until_hour - settings.from_hour
    all_day = [flow for _, hour in day.hours if (flow := hour.flow) is not None]
    mean = sum(all_day, Decimal()) / max(len(all_day), 1)
    return _Night(day.date, inside[0].start, inside[-1].end, min(flows) if complete else None, mean)


def _verdict(
    night: _Night, calm: list[_Night], begun: date, settings: NightFlow
) -> _Verdict | None:
    oldest = begun - timedelta(days=settings.history_nights)
    before = [one for one in calm if oldest <= one.date < begun]
    if len(before) < settings.least_nights:
        return None
    day_off = night.date.weekday() >= 5
    alike = [one for one in before if (one.date.weekday() >= 5) is day_off]
    if len(alike) < LEAST_OF_KIND:
        alike = before
    seen = usual([one.flow for one in alike if one.flow is not None])
    floor = median(one.mean for one in before) * settings.floor_percent / 100
    rise = max(settings.factor * max(seen.scatter, floor), settings.least)
    return _Verdict(seen, max(seen.middle + rise, seen.high))


def _finding(
    history: History, settings: NightFlow, nights: list[_Night], run: Run, verdict: _Verdict
) -> Finding:
    first, last = nights[run.first], nights[run.last]
    flow, middle = last.flow or Decimal(), verdict.usual.middle
    window = f"{settings.from_hour:02}:00 and {settings.until_hour:02}:00"
    text = (
        f"{history.subject}: at least {history.amount(flow)} an hour between {window}, where "
        f"{history.amount(middle)} is usual, in {run.count} nights since {first.date}: look for "
        f"what runs at night, about {history.amount((flow - middle) * 24)} a day if it never stops."
    )
    evidence: dict[str, str | int] = {
        "flow": plain(flow),
        "usual": plain(middle),
        "limit": plain(verdict.limit),
        "window": f"{settings.from_hour:02}:00-{settings.until_hour:02}:00",
        "nights": run.count,
        "last_night": str(last.date),
        "history_nights": verdict.usual.count,
        "unit": history.unit,
    }
    until = last.end if run.over else None
    return Finding(CODE, Severity.WARNING, first.start, until, text, evidence)
