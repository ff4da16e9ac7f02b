"""Formulas of virtual metering points: unfolded to the last decimal, and never circular."""

from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.formulas import (
    EXACT,
    FACTOR_PLACES,
    LARGEST_FACTOR,
    MAX_DEPTH,
    circle,
    depth,
    is_factor,
    unfolded,
)

FACTORS = st.decimals(-LARGEST_FACTOR, LARGEST_FACTOR, places=FACTOR_PLACES).filter(bool)
VALUES = st.decimals(0, 10**12, places=9)
ONE = Decimal(1)


@st.composite
def formulas(draw: st.DrawFn) -> dict[int, dict[int, Decimal]]:
    """Points 10 and above are virtual, each made of some of those with a lower tens digit."""
    found = {}
    for level in range(1, MAX_DEPTH + 1):
        below = [n for n in range(level * 10) if n % 10 < 3]
        for point_id in (level * 10, level * 10 + 1):
            found[point_id] = draw(
                st.dictionaries(st.sampled_from(below), FACTORS, min_size=1, max_size=3)
            )
    return found


@given(formulas(), st.lists(VALUES, min_size=60, max_size=60))
def test_what_is_unfolded_is_what_the_formulas_say_one_by_one(
    all_: dict[int, dict[int, Decimal]], values: list[Decimal]
) -> None:
    def value(point_id: int) -> Decimal:
        if point_id not in all_:
            return values[point_id]
        return sum((f * value(of) for of, f in all_[point_id].items()), Decimal(0))

    top = MAX_DEPTH * 10
    with localcontext(EXACT):
        parts = unfolded(top, all_)
        assert parts.keys().isdisjoint(all_)
        assert sum((f * values[of] for of, f in parts.items()), Decimal(0)) == value(top)
    assert depth(all_) <= MAX_DEPTH
    assert circle(all_) == []


def test_a_point_without_a_formula_is_itself() -> None:
    assert unfolded(7, {}) == {7: ONE}
    assert unfolded(7, {8: {7: ONE}}) == {7: ONE}


def test_a_point_that_is_in_a_formula_twice_counts_twice() -> None:
    half = {1: ONE, 2: Decimal("0.5")}
    assert unfolded(3, {3: half, 2: {1: -ONE}}) == {1: Decimal("0.5")}


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_a_circle_is_found_at_any_depth(length: int) -> None:
    ring = {n: {(n + 1) % length: ONE, 99: ONE} for n in range(length)}
    found = circle(ring)
    assert found[0] == found[-1]
    assert len(found) == length + 1
    assert all(after in ring[one] for one, after in pairwise(found))


def test_the_depth_is_that_of_the_longest_way() -> None:
    assert depth({}) == 0
    assert depth({1: {0: ONE}}) == 1
    assert depth({3: {0: ONE, 2: ONE}, 2: {1: ONE}, 1: {0: ONE}}) == 3


@pytest.mark.parametrize(
    ("factor", "good"),
    [
        ("1", True),
        ("-1", True),
        ("0.35", True),
        ("0.333333", True),
        ("-1000", True),
        ("0", False),
        ("0.3333333", False),
        ("1000.000001", False),
        ("NaN", False),
        ("Infinity", False),
    ],
)
def test_a_factor(factor: str, good: bool) -> None:
    assert is_factor(Decimal(factor)) == good
