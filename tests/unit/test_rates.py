"""Rates that an index tells: exact, and none across a fall or a gap."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.consumption import HOUR_MS, Index
from cloud.domain.rates import UNIT, Gain, gains, sliced
from cloud.domain.spans import alone, marks


def _gains(readings: list[tuple[int, int]], tolerance: int = HOUR_MS) -> list[Gain]:
    spans = [alone(1, Index(at, value)) for at, value in readings]
    return gains(marks([at for at, _ in readings], spans), spans, tolerance)


@given(
    st.lists(st.tuples(st.integers(1, HOUR_MS), st.integers(0, 10**9)), min_size=2, max_size=60),
    st.integers(1, 20),
)
def test_slices_add_up_to_what_the_index_gained(steps: list[tuple[int, int]], most: int) -> None:
    times = accumulate(length for length, _ in steps)
    readings = list(zip(times, accumulate(gain for _, gain in steps), strict=True))
    found = sliced(_gains(readings), most)
    assert len(found) <= most
    assert sum(one.gained or 0 for one in found) == readings[-1][1] - readings[0][1]
    assert (found[0].start, found[-1].end) == (readings[0][0], readings[-1][0])
    assert all(one.end == other.start for one, other in pairwise(found))
    for one in found:
        assert one.rate is not None
        assert one.rate * (one.end - one.start) <= (one.gained or 0) * HOUR_MS * UNIT
        assert one.greatest is None or one.greatest >= one.rate


def test_there_is_no_rate_across_a_fall_or_a_gap() -> None:
    quarter = HOUR_MS // 4
    found = _gains([(0, 0), (quarter, 5), (2 * quarter, 3), (3 * quarter, 4), (9 * quarter, 9)])
    assert [one.gained for one in found] == [5, None, 1, None]
    assert [one.rate for one in found] == [20 * UNIT, None, 4 * UNIT, None]
    assert sliced(found, 2) == [
        Gain(0, 2 * quarter, None, 20 * UNIT),
        Gain(2 * quarter, 9 * quarter, None, 4 * UNIT),
    ]


def test_a_fall_within_a_span_is_seen() -> None:
    spans = [
        alone(1, Index(0, 0))._replace(last_at=9, last_value=8, high=9, readings=3),
        alone(1, Index(10, 8)),
    ]
    assert [one.gained for one in gains(marks([0, 10], spans), spans, HOUR_MS)] == [None]
