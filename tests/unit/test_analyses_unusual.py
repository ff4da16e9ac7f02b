"""Days and hours that are far from what their weekday is like."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.analyses import Finding, Hour, Severity
from cloud.domain.analyses.unusual_consumption import UnusualConsumption, find
from tests.unit.analyses_parts import (
    BUCHAREST,
    MONDAY,
    Litres,
    history,
    hours,
    household,
    office,
    wall,
)

MINUTE = timedelta(minutes=1)
UNUSUAL = UnusualConsumption(least=Decimal("0.1"))
TODAY = 63
"""A Monday, nine weeks after the first day."""


def changed(
    days: int, litres: Callable[[datetime], Litres], first: int = TODAY, last: int = TODAY
) -> list[Hour]:
    """An office that consumes ``litres`` on the days first..last."""

    def amount(at: datetime) -> Litres:
        return litres(at) if first <= (at.date() - MONDAY).days <= last else office(at)

    return hours(amount, days)


def look(seen: list[Hour], now: datetime | None = None) -> list[Finding]:
    return find(history(seen, now=now), UNUSUAL)


def test_a_day_with_too_much_is_told_once_and_not_for_each_of_its_hours() -> None:
    (told,) = look(changed(TODAY + 2, lambda at: 2 * (office(at) or 0)))
    assert (told.code, told.severity) == ("unusual_consumption", Severity.WARNING)
    assert (told.since, told.until) == (wall(TODAY), wall(TODAY + 1))
    assert told.text == (
        "Cold water: 1 m³ on 2026-07-06, where 500 l is usual on a Monday: "
        "see whether what was done there explains it."
    )
    assert told.evidence == {
        "days": 1,
        "last_day": "2026-07-06",
        "total": "1",
        "usual": "0.5",
        "lower_limit": "0.25",
        "upper_limit": "0.75",
        "history_weeks": 8,
        "high_hours": 0,
        "unit": "m³",
    }


def test_a_day_is_told_while_it_runs_and_stays_the_same_finding() -> None:
    seen = changed(TODAY + 1, lambda _: 100)
    told = [look(seen[: TODAY * 24 + hour]) for hour in range(25)]
    assert [len(found) for found in told] == [0] * 8 + [1] * 17
    assert {one.key for found in told for one in found} == {
        "unusual_consumption@2026-07-05T21:00:00.000000"
    }
    assert {one.until for found in told for one in found} == {None}


def test_one_hour_may_be_unusual_in_a_day_that_is_not() -> None:
    def burst(at: datetime) -> Litres:
        return 210 if at.hour == 3 else office(at)

    (told,) = look(changed(TODAY + 2, burst))
    assert told.text == (
        "Cold water: 710 l on 2026-07-06, where 500 l is usual on a Monday, of it 210 l in the "
        "hour from 2026-07-06 03:00, where 0 l is usual: see whether what was done there explains "
        "it."
    )
    assert (told.evidence["high_hours"], told.evidence["hour_limit"]) == (1, "0.1")


def test_an_hour_like_those_of_other_weekdays_at_that_time_is_not_told() -> None:
    def burst(at: datetime) -> Litres:
        tuesday = at.weekday() == 1 or (at.date() - MONDAY).days == TODAY
        return 210 if tuesday and at.hour == 3 else office(at)

    assert look(hours(burst, TODAY + 1)) == []


def test_a_public_holiday_is_like_a_sunday_and_is_not_told() -> None:
    assert look(changed(TODAY + 2, lambda _: 0)) == []


def test_work_on_a_sunday_is_told() -> None:
    (told,) = look(changed(TODAY + 7, lambda _: 20, TODAY + 6, TODAY + 6))
    assert told.since == wall(TODAY + 6)


def test_a_day_with_too_little_is_told_when_it_is_over() -> None:
    def amount(at: datetime) -> Litres:
        away = (at.date() - MONDAY).days == TODAY
        return 1 if away else household(at)

    seen = hours(amount, TODAY + 1)
    assert look(seen[:-1]) == []
    (told,) = look(seen)
    assert (told.severity, told.since, told.until) == (Severity.INFO, wall(TODAY), None)


@pytest.mark.parametrize("litres", [0, 500])
def test_what_is_only_estimated_is_never_unusual(litres: int) -> None:
    seen = [
        replace(hour, quantity=Decimal(litres) / 1000, estimated=True)
        if hour.start >= wall(TODAY)
        else hour
        for hour in hours(household, TODAY + 2)
    ]
    assert look(seen) == []


def test_a_change_for_good_is_one_finding_and_usual_after_weeks() -> None:
    first = 35
    early = wall(first).astimezone(BUCHAREST)
    seen = hours(lambda at: (3 if at >= early else 1) * (household(at) or 0), 70)
    keys = {one.key for days in range(first + 1, 71) for one in look(seen[: days * 24])}
    assert keys == {"unusual_consumption@2026-06-07T21:00:00.000000"}
    (told,) = look(seen)
    assert told.until is not None
    assert timedelta(weeks=2) < told.until - told.since < timedelta(weeks=5)


def test_of_less_than_four_weeks_nothing_is_usual_yet() -> None:
    assert look(changed(22, lambda _: 100, 21, 21)) == []
    assert len(look(changed(29, lambda _: 100, 28, 28))) == 1


@pytest.mark.parametrize(
    "zone", [BUCHAREST, ZoneInfo("America/Havana"), ZoneInfo("Australia/Lord_Howe")]
)
@pytest.mark.parametrize("month", [3, 10])
def test_days_of_another_length_are_not_unusual(zone: ZoneInfo, month: int) -> None:
    seen = hours(household, 100, date(2026, month, 1) - timedelta(60), zone)
    lengths: Counter[date] = Counter()
    for hour in seen:
        lengths[hour.start.astimezone(zone).date()] += (hour.end - hour.start) // MINUTE
    assert len(set(lengths.values())) == 2
    assert find(history(seen, zone=zone), UNUSUAL) == []
