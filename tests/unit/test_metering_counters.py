"""Counters that go on, end, restart, jitter or jump (the project's rule for a lower count)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from edge_agent.metering.counters import Change, CounterRule, compare, highest_rate
from edge_agent.metering.tally import KEPT, Sample, Tally

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
        (METER, 100, 100, Change.FORWARD, 0),
    ],
)
def test_a_new_count_is_classified(
    rule: CounterRule, old: int, new: int, change: Change, delta: int
) -> None:
    step = compare(old, new, HOUR, rule)
    assert (step.change, step.delta, step.old, step.new) == (change, delta, old, new)


def test_what_is_told_of_another_device_is_an_exchange_unless_it_is_a_plausible_rise() -> None:
    assert compare(100, 3, HOUR, METER, other_device=True).change is Change.EXCHANGE
    jumped = compare(100, 900_000, HOUR, METER, other_device=True)
    assert (jumped.change, jumped.delta) == (Change.EXCHANGE, 0)
    assert compare(100, 120, HOUR, METER, other_device=True).change is Change.FORWARD


def test_without_a_known_time_no_rise_is_implausible() -> None:
    assert compare(0, 500_000, None, METER).change is Change.FORWARD
    assert compare(0, 500_000, 0, METER).change is Change.IMPLAUSIBLE
    assert compare(0, 1, 0, METER).change is Change.FORWARD


@pytest.mark.parametrize("count", [-1, 1_000_000])
def test_a_count_outside_the_range_is_refused(count: int) -> None:
    with pytest.raises(Undecodable, match="outside"):
        compare(5, count, 0, METER)


def sample(seq: int, raw: int, *, boot: int = 1, at: int | None = None) -> Sample:
    return Sample(seq, boot, seq * HOUR, raw, seq * HOUR if at is None else at)


def tally(seq: int = 1, raw: int = 100, total: int | None = None) -> Tally:
    return Tally(raw, raw if total is None else total, seq * HOUR, seq, 1, seq * HOUR)


def test_an_older_record_changes_nothing_whatever_its_time_says() -> None:
    counted = tally(10, 500)
    total, step = counted.count(sample(9, 450, at=99 * HOUR), UNBOUNDED)
    assert (total, step.change) == (450, Change.LATE)
    assert counted == tally(10, 500)


def test_a_clock_that_is_set_back_makes_no_record_late_and_none_implausible() -> None:
    counted = tally(10, 500)
    total, step = counted.count(sample(11, 510, at=3), METER)
    assert (total, step.change) == (510, Change.FORWARD)


def test_jitter_is_not_counted_twice_on_the_way_back_up() -> None:
    counted = tally()
    assert counted.count(sample(2, 98), METER)[0] == 100
    total, step = counted.count(sample(3, 101), METER)
    assert (total, step.delta) == (101, 1)


def test_after_a_reset_counting_goes_on_from_the_new_count() -> None:
    counted = tally(1, 5_000)
    assert counted.count(sample(2, 3), UNBOUNDED)[1].change is Change.RESET
    assert counted.count(sample(3, 10), UNBOUNDED)[0] == 5_007


def test_records_from_before_and_after_a_break_lie_on_their_own_side_of_it() -> None:
    rule = CounterRule(modulus=1000)
    counted = tally(10, 950)
    assert counted.count(sample(20, 30), rule)[0] == 1030
    late = [counted.count(sample(seq, raw), rule)[0] for seq, raw in ((5, 900), (12, 980),
            (17, 10), (19, 29))]  # fmt: skip
    assert late == [900, 980, 1010, 1029]
    assert counted.count(sample(21, 31), rule)[0] == 1031


def test_records_within_a_reset_never_run_ahead_of_what_is_known() -> None:
    counted = tally(10, 1000)
    counted.count(sample(20, 50), UNBOUNDED)
    late = [counted.count(sample(seq, raw), UNBOUNDED)[0] for seq, raw in ((12, 1010), (17, 20))]
    assert late == [1000, 1000]


def test_a_preset_is_no_consumption() -> None:
    counted = tally(1, 100)
    counted.preset(3, 103, 1_000_000)
    assert counted.total == 103
    assert counted.count(sample(4, 1_000_005), UNBOUNDED)[0] == 108
    assert counted.count(sample(2, 102), UNBOUNDED)[0] == 102
    counted.preset(3, 103, 7)
    assert counted.count(sample(5, 1_000_006), UNBOUNDED)[0] == 109


def test_numbers_that_begin_anew_are_not_taken_for_old_records() -> None:
    counted = tally(5000, 700)
    counted.renew(other=True)
    total, step = counted.count(sample(1, 4), UNBOUNDED)
    assert (total, step.change) == (700, Change.EXCHANGE)
    assert counted.count(sample(2, 6), UNBOUNDED)[0] == 702
    assert counted.count(sample(1, 4), UNBOUNDED)[0] == 700


def test_only_the_newest_breaks_are_kept() -> None:
    counted = tally(1, 1000)
    for seq in range(2, 60):
        counted.count(sample(seq, 1000 - seq), UNBOUNDED)
    assert len(counted.breaks) == KEPT


@given(
    st.lists(st.integers(0, 999_999), min_size=1, max_size=12),
    st.sampled_from([UNBOUNDED, METER]),
    st.permutations(range(12)),
)
def test_in_whatever_order_records_come_no_later_one_stands_lower(
    counts: list[int], rule: CounterRule, order: list[int]
) -> None:
    counted: Tally | None = None
    totals: dict[int, int] = {}
    for seq in (one for one in order if one < len(counts)):
        if counted is None:
            counted = tally(seq, counts[seq])
            totals[seq] = counts[seq]
            continue
        before = counted.total
        totals[seq], step = counted.count(sample(seq, counts[seq]), rule)
        assert step.delta >= 0
        assert counted.total >= before
    newest = max(totals)
    assert all(total <= totals[newest] for total in totals.values())


def test_the_highest_plausible_rate_follows_from_the_meter() -> None:
    assert highest_rate(Fraction(36), Fraction(1, 100)) == Fraction(5, 4)
