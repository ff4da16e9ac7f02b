"""Degree days: means by time, holes told, nothing divided by nothing."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.consumption import HOUR_MS, Index
from cloud.domain.degree_days import (
    Heating,
    Status,
    check_heating,
    day_means,
    degree_days,
    normal,
    reference_of,
)
from common.errors import ConfigError

D = Decimal
DAY_MS = 24 * HOUR_MS
USUAL = tuple(map(D, (620, 540, 450, 280, 120, 30, 0, 5, 90, 260, 430, 570)))
G20_15 = Heating(register_id=1, reference=USUAL)


def hourly(*values: int, start: int = 0) -> list[Index]:
    return [Index(start + n * HOUR_MS, value) for n, value in enumerate(values)]


def test_a_straight_line_over_midnight_has_the_means_of_its_halves() -> None:
    [first, second] = day_means(hourly(*range(49)), [0, DAY_MS, 2 * DAY_MS], 1)
    assert (first.mean, first.known_ms, first.estimated) == (D("1.20"), DAY_MS, False)
    assert second.mean == D("3.60")


def test_a_reading_counts_for_the_time_that_it_stands_for_and_not_once() -> None:
    """One hour at 10 °C, read each minute, and 23 at 0 °C, read each hour."""
    minutes = [Index(n * 60_000, 10) for n in range(60)]
    rest = [Index(n * HOUR_MS, 0) for n in range(1, 25)]
    [day] = day_means(minutes + rest, [0, DAY_MS], 0)
    assert day.mean == D("0.41")


def test_a_value_is_told_at_a_midnight_at_which_nothing_was_read() -> None:
    half = HOUR_MS // 2
    [day] = day_means(hourly(*[7] * 26, start=-half), [0, DAY_MS], 0)
    assert (day.mean, day.known_ms) == (D(7), DAY_MS)


@pytest.mark.parametrize(
    ("hole", "mean", "estimated"), [(3, 5, False), (4, 5, True), (12, 5, True), (13, None, False)]
)
def test_a_hole_makes_the_mean_an_estimate_and_then_none(
    hole: int, mean: int | None, *, estimated: bool
) -> None:
    readings = [one for one in hourly(*[5] * 25) if not 2 * HOUR_MS < one.at < (2 + hole) * HOUR_MS]
    [day] = day_means(readings, [0, DAY_MS], 0)
    assert day.mean == mean
    assert day.estimated is estimated
    assert day.known_ms == (DAY_MS if hole == 3 else (24 - hole) * HOUR_MS)


def test_a_doubtful_reading_makes_the_mean_an_estimate() -> None:
    readings = hourly(*[5] * 25)
    readings[3] = Index(readings[3].at, 5).doubtful
    [day] = day_means(readings, [0, DAY_MS], 0)
    assert (day.mean, day.estimated) == (D(5), True)


def test_no_readings_are_no_mean() -> None:
    assert [one.mean for one in day_means([], [0, DAY_MS, 2 * DAY_MS], 1)] == [None, None]


@given(
    values=st.lists(st.integers(-400, 400), min_size=48, max_size=60),
    lengths=st.lists(st.integers(23, 25), min_size=2, max_size=2),
    shift=st.integers(0, HOUR_MS),
)
def test_a_mean_lies_between_the_extremes_and_all_the_time_is_known(
    values: list[int], lengths: list[int], shift: int
) -> None:
    readings = hourly(*values, start=-shift)
    midnights = [0, lengths[0] * HOUR_MS, sum(lengths) * HOUR_MS]
    last = readings[-1].at
    for (start, end), day in zip(
        pairwise(midnights), day_means(readings, midnights, 0), strict=True
    ):
        assert day.known_ms == max(0, min(end, last) - start)
        if day.mean is not None:
            assert min(values) - D("0.01") <= day.mean <= max(values) + D("0.01")


@pytest.mark.parametrize(
    ("mean", "found"), [("-5", "25"), ("14.99", "5.01"), ("15", "0"), ("18", "0")]
)
def test_only_days_below_the_limit_have_degree_days(mean: str, found: str) -> None:
    assert degree_days(D(mean), G20_15) == D(found)


def test_base_and_limit_of_one_temperature_are_plain_heating_degree_days() -> None:
    plain = Heating(register_id=1, base=D("15.5"), limit=D("15.5"))
    assert [degree_days(D(one), plain) for one in ("15.4", "15.5", "0")] == [
        D("0.1"),
        D(0),
        D("15.5"),
    ]


def days(start: date, count: int) -> list[date]:
    return [start + timedelta(days=n) for n in range(count)]


def test_a_year_has_the_reference_of_its_months_also_when_it_is_a_leap_year() -> None:
    assert reference_of(days(date(2026, 1, 1), 365), G20_15) == sum(USUAL)
    assert reference_of(days(date(2028, 1, 1), 366), G20_15) == sum(USUAL)
    assert reference_of(days(date(2026, 1, 1), 1), G20_15) == D(620) / 31 == D(20)
    assert reference_of(days(date(2026, 1, 31), 2), G20_15) == D("39.285714")
    assert reference_of(days(date(2026, 1, 1), 365), Heating(register_id=1)) is None


def test_a_cold_month_is_normalised_downwards() -> None:
    made = normal(D(180), D(600), D(540), estimated=False)
    assert (made.per_degree_day, made.normalised, made.status) == (D("0.3"), D(162), Status.GOOD)
    assert normal(D(180), D(600), D(540), estimated=True).status is Status.ESTIMATED


@pytest.mark.parametrize(
    ("consumption", "actual", "reference", "status"),
    [
        (D(180), None, D(540), Status.NO_TEMPERATURE),
        (None, D(600), D(540), Status.NO_CONSUMPTION),
        (D(180), D("0.00"), D(540), Status.NO_HEATING),
        (D(180), D(600), None, Status.NO_REFERENCE),
    ],
)
def test_where_something_is_missing_nothing_is_normalised_and_it_is_said_why(
    consumption: Decimal | None, actual: Decimal | None, reference: Decimal | None, status: Status
) -> None:
    made = normal(consumption, actual, reference, estimated=False)
    assert (made.normalised, made.status) == (None, status)


@pytest.mark.parametrize(
    ("heating", "wrong"),
    [
        (Heating(register_id=1, base=D(41)), "base: 41"),
        (Heating(register_id=1, limit=D("15.555")), "limit: 15.555"),
        (Heating(register_id=1, limit=D(21)), "limit: 21 is above the base"),
        (Heating(register_id=1, reference=USUAL[:11]), "11 months; give all 12"),
        (Heating(register_id=1, reference=(*USUAL[:11], D(-1))), "-1 of month 12"),
    ],
)
def test_a_heating_that_cannot_be_is_refused(heating: Heating, wrong: str) -> None:
    check_heating(G20_15)
    with pytest.raises(ConfigError, match=wrong):
        check_heating(heating)
