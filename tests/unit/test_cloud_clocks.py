"""The steps of a stream's clocks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.clocks import MAX_SPANS, ClockSetting, Step, alike, changed, in_force, placed
from common.messages.batch import ClockSpan

A, B = ClockSetting(1, 1000, 3), ClockSetting(2, 5000, 1)


def take(
    order: list[tuple[int, int, ClockSetting | None]],
) -> tuple[list[Step], dict[int, ClockSetting | None]]:
    """The steps after batches came in this order, and what each number was said to be."""
    steps: list[Step] = []
    said: dict[int, ClockSetting | None] = {}
    for first, last, setting in order:
        following = min((seq for seq in said if seq > last), default=None)
        steps = changed(steps, first, last, setting, following)
        said |= dict.fromkeys(range(first, last + 1), setting)
    return steps, said


def test_the_same_clock_is_one_step_in_whatever_order_it_comes() -> None:
    later = ClockSetting(1, 1004, 3)
    for order in ([(1, 9, A), (10, 20, later), (30, 40, A)], [(30, 40, A), (1, 9, A), (10, 20, A)]):
        assert [first for first, _ in take([*order])[0]] == [1]


def test_live_before_backlog_leaves_each_its_clock() -> None:
    steps, _ = take([(1, 9, A), (20, 29, B), (10, 19, A)])
    assert steps == [(1, A), (20, B)]
    assert take([(20, 29, B), (10, 19, A), (1, 9, A)])[0] == steps


def test_what_came_without_a_clock_is_not_given_one() -> None:
    steps, _ = take([(1, 9, None), (10, 19, A), (20, 29, None), (30, 39, A)])
    assert [in_force(steps, seq) for seq in (9, 10, 25, 30)] == [None, A, None, A]


settings = st.sampled_from([None, A, B, ClockSetting(1, 1015, 3), ClockSetting(1, 1030, 3)])
batches = st.tuples(st.integers(1, 30), st.integers(0, 8), settings)


@given(st.lists(batches, max_size=12))
def test_every_entry_has_the_clock_that_was_said_last(
    order: list[tuple[int, int, ClockSetting | None]],
) -> None:
    came = [(first, first + more, setting) for first, more, setting in order]
    steps, said = take(came)
    assert all(alike(in_force(steps, seq), setting) for seq, setting in said.items())
    assert [first for first, _ in steps] == sorted({first for first, _ in steps})
    assert all(one[1] != other[1] for one, other in pairwise(steps))
    if came:
        first, last, setting = came[-1]
        following = min((seq for seq in said if seq > last), default=None)
        assert changed(steps, first, last, setting, following) == steps


def test_spans_are_placed_over_the_entries_that_are_there() -> None:
    spans = [ClockSpan(2, 1, 1000, 3), ClockSpan(2, 2, 5000, 1)]
    found = placed(1, 10, spans, 4, lambda: [2, 3, 8, 9])
    assert found == [(1, 7, A), (8, 10, B)]


def test_spans_that_are_not_of_these_entries_are_not_believed() -> None:
    too_many = [ClockSpan(1, 1, 1000 * n, 3) for n in range(MAX_SPANS + 1)]
    for spans, count in (
        ([], 4),
        ([ClockSpan(5, 1, 1000, 3)], 4),
        ([ClockSpan(4, 2**63, 1000, 3)], 4),
        ([ClockSpan(4, 1, -(2**64), 3)], 4),
        (too_many, len(too_many)),
    ):
        assert placed(1, count, spans, count, lambda: list(range(1, 100))) == [(1, count, None)]
