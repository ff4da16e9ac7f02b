"""Periods by the clock on the wall, and the arithmetic between their boundaries."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.consumption import (
    HOUR_MS,
    MAX_PERIODS,
    Boundary,
    Index,
    Step,
    amounts,
    boundaries,
    tolerance_ms,
)
from common.clock import to_datetime
from common.errors import Permanent

BUCHAREST = ZoneInfo("Europe/Bucharest")
MINUTE = 60_000


def _lengths_h(step: Step, start: datetime, end: datetime, zone: ZoneInfo) -> list[float]:
    found = boundaries(step, start, end, zone)
    return [(later - earlier) / timedelta(hours=1) for earlier, later in pairwise(found)]


def test_the_day_on_which_summer_time_begins_has_23_hours() -> None:
    start = datetime(2026, 3, 28, tzinfo=BUCHAREST)
    end = datetime(2026, 3, 31, tzinfo=BUCHAREST)
    assert _lengths_h(Step.DAY, start, end, BUCHAREST) == [24, 23, 24]
    day = boundaries(Step.DAY, start, end, BUCHAREST)
    assert day[1] == datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert day[2] == datetime(2026, 3, 29, 21, tzinfo=UTC)


def test_the_day_on_which_summer_time_ends_has_25_hours() -> None:
    start = datetime(2026, 10, 24, tzinfo=BUCHAREST)
    end = datetime(2026, 10, 27, tzinfo=BUCHAREST)
    assert _lengths_h(Step.DAY, start, end, BUCHAREST) == [24, 25, 24]


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (6, 1, 24), (10, 25, 25)])
def test_a_local_day_is_made_of_its_real_hours(month: int, day: int, hours: int) -> None:
    start = datetime(2026, month, day, tzinfo=BUCHAREST)
    end = datetime(2026, month, day + 1, tzinfo=BUCHAREST)
    found = boundaries(Step.HOUR, start, end, BUCHAREST)
    assert found[0] == start.astimezone(UTC)
    assert found[-1] == end.astimezone(UTC)
    assert _lengths_h(Step.HOUR, start, end, BUCHAREST) == [1.0] * hours


def test_a_span_is_widened_to_whole_periods() -> None:
    start = datetime(2026, 6, 1, 10, 20, tzinfo=UTC)
    end = datetime(2026, 6, 1, 11, 40, tzinfo=UTC)
    assert boundaries(Step.HOUR, start, end, BUCHAREST) == [
        datetime(2026, 6, 1, hour, tzinfo=UTC) for hour in (10, 11, 12)
    ]
    assert boundaries(Step.DAY, start, end, BUCHAREST) == [
        datetime(2026, 5, 31, 21, tzinfo=UTC),
        datetime(2026, 6, 1, 21, tzinfo=UTC),
    ]


def test_hours_of_a_half_hour_zone_begin_at_its_full_hours() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    found = boundaries(Step.HOUR, start, start + timedelta(hours=1), kolkata)
    assert [instant.astimezone(kolkata).minute for instant in found] == [0, 0, 0]
    assert found[0] == datetime(2026, 6, 1, 9, 30, tzinfo=UTC)


@given(
    start_at=st.integers(946_684_800_000, 2_114_380_800_000),
    hours=st.integers(1, 60),
    step=st.sampled_from(Step),
    zone=st.sampled_from(
        [
            *("Europe/Bucharest", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "UTC"),
            *("Pacific/Apia", "Asia/Pyongyang", "America/Caracas"),
        ]
    ),
)
def test_periods_cover_the_span_without_gaps_and_without_a_needless_one(
    start_at: int, hours: int, step: Step, zone: str
) -> None:
    start = to_datetime(start_at)
    end = start + timedelta(hours=hours)
    found = boundaries(step, start, end, ZoneInfo(zone))
    assert found[0] <= start < found[1]
    assert found[-2] < end <= found[-1]
    assert all(earlier < later for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Asia/Pyongyang", datetime(2018, 5, 4, 15, tzinfo=UTC)),
        ("America/Caracas", datetime(2016, 5, 1, 7, tzinfo=UTC)),
        ("Asia/Colombo", datetime(2006, 4, 14, 18, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ],
)
def test_no_full_hour_is_passed_over_where_a_clock_is_set_by_half_an_hour(
    name: str, change: datetime
) -> None:
    zone, day = ZoneInfo(name), timedelta(days=1)
    found = boundaries(Step.HOUR, change - day, change + day, zone)
    minutes = (found[0] + timedelta(minutes=n) for n in range(48 * 60))
    assert {one for one in minutes if one.astimezone(zone).minute == 0} <= {*found}
    lengths = [(other - one) // timedelta(minutes=1) for one, other in pairwise(found)]
    assert sorted(lengths)[:2] == [30, 60]


def test_a_day_that_a_calendar_left_out_is_no_period() -> None:
    apia = ZoneInfo("Pacific/Apia")
    start = datetime(2011, 12, 29, tzinfo=apia)
    end = datetime(2012, 1, 1, tzinfo=apia)
    assert _lengths_h(Step.DAY, start, end, apia) == [24, 24]
    assert _lengths_h(Step.MONTH, start, end, apia) == [30 * 24]


def test_an_empty_span_has_no_periods() -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    assert boundaries(Step.DAY, start, start, BUCHAREST) == []
    assert amounts([], HOUR_MS) == []


def test_too_many_periods_are_refused() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(Permanent, match="periods"):
        boundaries(Step.HOUR, start, start + timedelta(hours=MAX_PERIODS + 1), BUCHAREST)


def test_a_span_at_the_end_of_the_calendar_is_refused() -> None:
    start = datetime(9999, 12, 31, 12, tzinfo=UTC)
    with pytest.raises(Permanent, match="calendar"):
        boundaries(Step.DAY, start, start + timedelta(hours=11), ZoneInfo("UTC"))


def _at(mark: int, before: tuple[int, int] | None, after: tuple[int, int] | None) -> Boundary:
    return Boundary(mark, Index(*before) if before else None, Index(*after) if after else None)


EXACT = _at(0, (0, 1000), (0, 1000))
"""A reading of 1000 exactly at time 0."""

HOUR = 60 * MINUTE
CASES = {
    "readings exactly at both boundaries": (
        EXACT, _at(HOUR, (HOUR, 1500), (HOUR, 1500)), (500, False),
    ),
    "interpolated between near readings": (
        EXACT, _at(HOUR, (HOUR - 4000, 1500), (HOUR + 1000, 1510)), (508, False),
    ),
    "cut off, so that an index never runs ahead of its meter": (
        EXACT, _at(HOUR, (HOUR - 1000, 1500), (HOUR + 2000, 1502)), (500, False),
    ),
    "readings as far apart as is tolerated": (
        EXACT, _at(HOUR, (HOUR - MINUTE, 1500), (HOUR, 1510)), (510, False),
    ),
    "a gap over the boundary": (
        EXACT, _at(HOUR, (HOUR - MINUTE, 1500), (HOUR + MINUTE, 1510)), (505, True),
    ),
    "the index went back inside the period": (
        EXACT, _at(HOUR, (HOUR, 900), (HOUR, 900)), (None, True),
    ),
    "the index went back over the boundary": (
        EXACT, _at(HOUR, (HOUR - 1000, 1500), (HOUR + 1000, 1400)), (None, True),
    ),
    "the index went back over the boundary at which the period begins": (
        _at(0, (-1000, 900), (1000, 800)), _at(HOUR, (HOUR, 1500), (HOUR, 1500)), (None, True),
    ),
    "not over yet": (EXACT, _at(HOUR, (HOUR - MINUTE, 1400), None), (400, True)),
    "readings begin inside": (
        _at(0, None, (MINUTE, 1100)), _at(HOUR, (HOUR, 1500), (HOUR, 1500)), (400, True),
    ),
    "one reading inside tells nothing": (
        _at(0, None, (MINUTE, 1100)), _at(HOUR, (MINUTE, 1100), None), (None, False),
    ),
    "all readings are later": (
        _at(0, None, (2 * HOUR, 1)), _at(HOUR, None, (2 * HOUR, 1)), (None, False),
    ),
    "all readings are earlier": (
        _at(0, (-5, 1), None), _at(HOUR, (-5, 1), None), (None, False),
    ),
    "no readings at all": (_at(0, None, None), _at(HOUR, None, None), (None, False)),
    "nothing consumed": (EXACT, _at(HOUR, (HOUR, 1000), (HOUR, 1000)), (0, False)),
}  # fmt: skip


@pytest.mark.parametrize(("start", "end", "expected"), CASES.values(), ids=CASES)
def test_an_amount(start: Boundary, end: Boundary, expected: tuple[int | None, bool]) -> None:
    (amount,) = amounts([start, end], MINUTE)
    assert (amount.value, amount.estimated) == expected
    assert (amount.start, amount.end) == (0, HOUR)


def test_a_reading_that_is_not_good_makes_its_periods_estimated() -> None:
    doubtful = Index(HOUR, 1200).doubtful
    first, second = amounts(
        [
            EXACT,
            Boundary(HOUR, doubtful, doubtful),
            _at(2 * HOUR, (2 * HOUR, 1300), (2 * HOUR, 1300)),
        ],
        MINUTE,
    )
    assert (first.value, first.estimated) == (200, True)
    assert (second.value, second.estimated) == (100, True)


@given(
    steps=st.lists(st.tuples(st.integers(1, 20 * MINUTE), st.integers(0, 10**12)), min_size=40),
)
def test_amounts_of_neighbouring_periods_add_up_exactly(steps: list[tuple[int, int]]) -> None:
    at, value, readings = 0, 0, [Index(0, 0)]
    for pause, gained in steps:
        at, value = at + pause, value + gained
        readings.append(Index(at, value))
    whole = range(0, at + 1, max(1, at // 7))
    marks = [
        Boundary(
            mark,
            max((one for one in readings if one.at <= mark), key=lambda one: one.at),
            min((one for one in readings if one.at >= mark), key=lambda one: one.at),
        )
        for mark in whole
    ]
    parts = amounts(marks, MINUTE)
    (total,) = amounts([marks[0], marks[-1]], MINUTE)
    assert all(part.value is not None and part.value >= 0 for part in parts)
    assert sum(part.value or 0 for part in parts) == total.value


@pytest.mark.parametrize(("interval_s", "expected"), [(0, HOUR_MS), (5, MINUTE), (900, 1_800_000)])
def test_the_tolerance_follows_the_interval(interval_s: int, expected: int) -> None:
    assert tolerance_ms(interval_s) == expected
