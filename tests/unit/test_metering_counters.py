"""Counters that go on, end, restart, jitter or jump (the project's rule for a lower count)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.metering.counters import (
    Change,
    CounterRule,
    CounterState,
    advance,
    highest_rate,
)

HOUR = 3_600_000
UNBOUNDED = CounterRule()
METER = CounterRule(modulus=1_000_000, max_rate=Fraction(5), jitter=2)


@pytest.mark.parametrize(
    ("rule", "old", "new", "change", "delta"),
    [
        (UNBOUNDED, 100, 100, Change.FORWARD, 0),
        (UNBOUNDED, 100, 250, Change.FORWARD, 150),
        (UNBOUNDED, 250, 249, Change.RESET, 0),
        (UNBOUNDED, 2**64 - 1, 0, Change.RESET, 0),
        (METER, 100, 98, Change.JITTER, 0),
        (METER, 100, 97, Change.RESET, 0),
        (METER, 999_000, 4_000, Change.ROLLOVER, 5_000),
        (METER, 900_001, 0, Change.RESET, 0),
        (METER, 999_000, 99_999, Change.RESET, 0),
        (METER, 999_999, 100_000, Change.RESET, 0),
        (METER, 900_000, 10, Change.RESET, 0),
        (METER, 999_990, 0, Change.ROLLOVER, 10),
        (METER, 100, 18_101, Change.FORWARD, 18_001),
        (METER, 100, 18_102, Change.IMPLAUSIBLE, 18_002),
    ],
)
def test_a_new_count_is_classified(
    rule: CounterRule, old: int, new: int, change: Change, delta: int
) -> None:
    state, step = advance(CounterState(old, 0, 7_000), new, HOUR, rule)
    assert (step.change, step.delta, step.old, step.new) == (change, delta, old, new)
    assert state.total == 7_000 + delta


def test_the_first_count_is_the_total() -> None:
    state, step = advance(None, 42, 5, UNBOUNDED)
    assert state == CounterState(42, 5, 42)
    assert step.change is Change.FIRST
    assert not step.change.notable


def test_a_record_from_before_the_last_one_is_no_reset() -> None:
    last = CounterState(500, 2 * HOUR, 500)
    state, step = advance(last, 300, HOUR, UNBOUNDED)
    assert state == last
    assert step.change is Change.LATE


def test_jitter_is_not_counted_twice_on_the_way_back_up() -> None:
    state, _ = advance(CounterState(100, 0, 100), 98, 1, METER)
    state, step = advance(state, 101, 2, METER)
    assert step.delta == 1
    assert state.total == 101


def test_after_a_reset_counting_goes_on_from_the_new_count() -> None:
    state, step = advance(CounterState(5_000, 0, 5_000), 3, 1, UNBOUNDED)
    assert step.change.notable
    state, step = advance(state, 10, 2, UNBOUNDED)
    assert (step.delta, state.total) == (7, 5_007)


@given(st.lists(st.integers(0, 999_999), min_size=1), st.sampled_from([UNBOUNDED, METER]))
def test_consumption_is_never_negative(counts: list[int], rule: CounterRule) -> None:
    state: CounterState | None = None
    total = 0
    for at, count in enumerate(counts):
        state, step = advance(state, count, at * HOUR, rule)
        assert step.delta >= 0
        assert state.total >= total
        total = state.total


@pytest.mark.parametrize("count", [-1, 1_000_000])
def test_a_count_outside_the_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        advance(None, count, 0, METER)


def test_the_highest_plausible_rate_follows_from_the_meter() -> None:
    assert highest_rate(Fraction(36), Fraction(1, 100)) == Fraction(5, 4)
