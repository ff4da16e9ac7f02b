"""RangeSet against a plain set of integers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ranges import RangeSet

SPANS = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=25
)


def numbers(spans: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}


@given(SPANS)
def test_it_holds_exactly_what_was_put_in_whatever_the_order(spans: list[tuple[int, int]]) -> None:
    ranges, model = RangeSet(spans), numbers(spans)
    assert {n for n in range(0, 80) if n in ranges} == model
    assert ranges.count() == len(model)
    assert ranges.last() == max(model, default=0)


@given(SPANS)
def test_ranges_are_sorted_disjoint_and_never_adjacent(spans: list[tuple[int, int]]) -> None:
    listed = list(RangeSet(spans))
    for (_, last), (first, _) in pairwise(listed):
        assert first > last + 1


@given(SPANS, st.integers(1, 70), st.integers(0, 40))
def test_missing_names_exactly_the_holes(
    spans: list[tuple[int, int]], first: int, length: int
) -> None:
    last = first + length
    holes = RangeSet(spans).missing(first, last)
    assert numbers(holes) == set(range(first, last + 1)) - numbers(spans)
    assert RangeSet(holes) == RangeSet(holes[::-1])


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5\.\.4"):
        RangeSet().add(5, 4)


def test_a_copy_has_a_life_of_its_own() -> None:
    ranges = RangeSet([(1, 3)])
    other = ranges.copy()
    other.add(4, 9)
    assert list(ranges) == [(1, 3)]
    assert list(other) == [(1, 9)]
