"""Expected, got, missing, and why: by slots and local days."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.completeness import (
    Cause,
    Count,
    Run,
    Slots,
    Span,
    Worth,
    counts,
    due_between,
    failing_spans,
    merged,
    over_by,
    runs_of,
    slots_of,
)
from cloud.domain.consumption import Step, boundaries
from common.clock import to_ms

BUCHAREST = ZoneInfo("Europe/Bucharest")
DAY = 86_400_000
MINUTE = 60_000


def day(*ends: datetime) -> list[int]:
    """The local midnights around a span."""
    return [to_ms(instant) for instant in boundaries(Step.DAY, ends[0], ends[-1], BUCHAREST)]


def all_good(slots: Slots) -> list[Run]:
    return [Run(slots.first, slots.last, Worth.GOOD)]


@pytest.mark.parametrize(
    ("date", "hours"),
    [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 2), 24)],
)
@pytest.mark.parametrize("interval_s", [1, 60, 900, 3600])
def test_a_day_expects_as_many_readings_as_it_has_intervals(
    date: tuple[int, int, int], hours: int, interval_s: int
) -> None:
    noon = datetime(*date, 9, tzinfo=UTC)
    days = day(noon, noon.replace(minute=1))
    slots = slots_of(interval_s, None, days[0], days[-1])
    [count] = counts(days, slots, all_good(slots), [])
    assert count == Count(hours * 3600 // interval_s, hours * 3600 // interval_s)


@pytest.mark.parametrize("offset_ms", [0, 1, 12_345, 30_000, 59_999])
def test_days_expect_together_what_a_long_span_expects(offset_ms: int) -> None:
    days = [DAY * 20_000 + n * DAY for n in range(8)]
    slots = slots_of(7, days[0] + offset_ms, days[0], days[-1])
    found = counts(days, slots, [], [])
    assert sum(one.expected for one in found) == slots.last - slots.first + 1
    assert {one.expected for one in found} <= {DAY // 7000, DAY // 7000 + 1}


@pytest.mark.parametrize("offset_ms", [0, 17_300, 59_999])
@pytest.mark.parametrize("jitter_ms", [-29_000, 0, 29_000])
def test_a_reading_counts_for_the_instant_at_which_it_was_due(
    offset_ms: int, jitter_ms: int
) -> None:
    start = DAY * 20_000
    due = start + offset_ms + 10 * MINUTE
    slots = slots_of(60, due, start, start + DAY)
    assert (due + jitter_ms - slots.origin) // slots.width == slots.due_from(due)


def test_nothing_is_expected_before_it_is_late() -> None:
    due = DAY * 20_000
    for now, expected in ((due + 40_000, 0), (due + 40_001, 1)):
        slots = slots_of(60, due, due, over_by(now, 60))
        assert slots.last - slots.first + 1 == expected


def test_what_is_missing_has_one_cause_at_most_the_surest() -> None:
    start = DAY * 20_000
    slots = slots_of(60, None, start, start + 20 * MINUTE)
    first = slots.first
    runs = [
        Run(first, first + 3, Worth.GOOD),
        Run(first + 4, first + 4, Worth.ESTIMATED),
        Run(first + 5, first + 6, Worth.NOTHING),
    ]
    causes = merged(
        [
            Span(start + 10 * MINUTE, start + 20 * MINUTE, Cause.WAITING),
            Span(start, start + 9 * MINUTE, Cause.LOST),
            Span(start + 8 * MINUTE, start + 12 * MINUTE, Cause.FAILING),
        ]
    )
    [count] = counts([start, start + DAY], slots, runs, causes)
    assert (count.expected, count.got, count.estimated, count.missing) == (20, 5, 1, 15)
    assert (count.failing, count.lost, count.waiting) == (2 + 5, 1, 7)


def test_a_run_over_midnight_is_counted_in_both_days() -> None:
    start = DAY * 20_000
    slots = slots_of(3600, None, start, start + 2 * DAY)
    found = counts([start, start + DAY, start + 2 * DAY], slots, [], [])
    assert found == [Count(24, missing=24)] * 2
    whole = counts([start, start + DAY, start + 2 * DAY], slots, all_good(slots), [])
    assert sum(whole, Count()) == Count(48, 48)


def test_runs_go_over_the_blocks_that_a_database_gives() -> None:
    full, half = 2**60 - 1, 2**30 - 1
    blocks = [(0, [0, 0, full]), (60, [0, full, half]), (180, [1, 0, 2]), (240, [0b10, 0b10, 0])]
    assert runs_of(blocks) == [
        Run(0, 89, Worth.GOOD),
        Run(90, 119, Worth.ESTIMATED),
        Run(180, 180, Worth.NOTHING),
        Run(181, 181, Worth.GOOD),
        Run(241, 241, Worth.ESTIMATED),
    ]


def test_a_device_fails_from_its_first_complaint_until_it_is_well() -> None:
    told = [(5, False), (10, True), (15, True), (20, False), (25, False), (30, True)]
    spans = [(span.start, span.end) for span in failing_spans(told, 40)]
    assert spans == [(10, 20), (30, 40)]


@given(
    st.integers(1, 90_000),
    st.integers(0, 10**12),
    st.integers(10**12, 10**12 + 10**9),
    st.integers(-(10**6), 10**9),
)
def test_what_is_due_between_two_times_is_as_many_as_there_are_slots(
    interval_s: int, newest_at: int, start: int, length: int
) -> None:
    slots = slots_of(interval_s, newest_at, start, start + length)
    due = due_between(interval_s, newest_at, start, start + length)
    assert due == max(0, slots.last - slots.first + 1)
