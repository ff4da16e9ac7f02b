"""Hours and days say the same of an index as the readings that they were made of."""

from bisect import bisect_left, bisect_right
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.consumption import HOUR_MS, Boundary, Index
from cloud.domain.spans import Span, marks, merged, unmeasured

DAY = 24 * HOUR_MS
TOLERANCE = 120_000

times = st.lists(st.integers(0, 5 * DAY // 1000), min_size=1, max_size=80, unique=True)


def _readings(seconds: list[int]) -> list[Index]:
    return [Index(at * 1000, n * 3) for n, at in enumerate(sorted(seconds))]


def _hours(readings: list[Index]) -> list[Span]:
    found = []
    for hour, its in groupby(readings, lambda one: one.at // HOUR_MS):
        inside = list(its)
        first, last = inside[0], inside[-1]
        found.append(
            Span(1, hour * HOUR_MS, first.at, first.value, 0, last.at, last.value, 0, len(inside),
                 first.value, last.value)
        )  # fmt: skip
    return found


def _days(hours: list[Span]) -> list[Span]:
    return [
        merged(day * DAY, list(its), TOLERANCE)
        for day, its in groupby(hours, lambda one: one.at // DAY)
    ]


def _next_to(readings: list[Index], instant: int) -> Boundary:
    ats = [one.at for one in readings]
    before, after = bisect_right(ats, instant), bisect_left(ats, instant)
    return Boundary(
        instant,
        readings[before - 1] if before else None,
        readings[after] if after < len(readings) else None,
    )


@given(times)
def test_hours_and_days_tell_the_neighbours_of_a_boundary_as_the_readings_do(
    seconds: list[int],
) -> None:
    readings = _readings(seconds)
    hours = _hours(readings)
    instants = range(0, 6 * DAY, HOUR_MS)
    assert marks(instants, hours) == [_next_to(readings, instant) for instant in instants]
    midnights = range(0, 6 * DAY, DAY)
    assert marks(midnights, _days(hours)) == [_next_to(readings, at) for at in midnights]


@given(times)
def test_days_know_as_much_time_to_be_unmeasured_as_their_hours_do(seconds: list[int]) -> None:
    hours = _hours(_readings(seconds))
    bounds = list(range(0, 6 * DAY, DAY))
    of_hours = unmeasured(bounds, hours, TOLERANCE)
    of_days = unmeasured(bounds, _days(hours), TOLERANCE)
    assert sum(of_hours) == sum(of_days)
    assert all(0 <= part <= DAY for part in of_hours)
    gaps = [after.first_at - before.last_at for before, after in pairwise(hours)]
    edges = hours[0].first_at + bounds[-1] - hours[-1].last_at
    assert sum(of_hours) == edges + sum(gap for gap in gaps if gap > TOLERANCE)


def test_a_day_keeps_extremes_counts_and_ends() -> None:
    hours = [
        Span(7, HOUR_MS, HOUR_MS + 5, 50, 1, HOUR_MS + 9, 40, 0, 3, 30, 60),
        Span(7, 4 * HOUR_MS, 4 * HOUR_MS + 1, 45, 0, 4 * HOUR_MS + 2, 46, 2, 2, 45, 46),
    ]
    gap = 3 * HOUR_MS - 8
    assert merged(0, hours, TOLERANCE) == Span(
        7, 0, HOUR_MS + 5, 50, 1, 4 * HOUR_MS + 2, 46, 2, 5, 30, 60, gap
    )
    assert merged(0, hours, gap).gap_ms == 0


def test_without_any_span_nothing_is_measured() -> None:
    assert unmeasured([0, HOUR_MS, 3 * HOUR_MS], [], TOLERANCE) == [HOUR_MS, 2 * HOUR_MS]
    assert unmeasured([], [], TOLERANCE) == []
