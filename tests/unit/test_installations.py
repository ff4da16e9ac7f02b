"""A metering point's index runs on, whatever meters come and go under it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.consumption import HOUR_MS, Boundary, Index, amounts
from cloud.domain.installations import Chain, Installation

TOLERANCE = HOUR_MS
NEAR = dict.fromkeys(range(1, 9), TOLERANCE)
"""By installation."""


def _found(
    installations: list[Installation], readings: dict[int, list[Index]], instants: list[int]
) -> dict[int, dict[int, Boundary]]:
    """By installation, the readings of its register next to each instant."""
    return {
        one.id: {
            instant: Boundary(
                instant,
                max((r for r in readings[one.register_id] if r.at <= instant), default=None,
                    key=lambda r: r.at),
                min((r for r in readings[one.register_id] if r.at >= instant), default=None,
                    key=lambda r: r.at),
            )
            for instant in instants
        }
        for one in installations
    }  # fmt: skip


def _hours(*indexes: tuple[float, int]) -> list[Index]:
    return [Index(int(hour * HOUR_MS), value) for hour, value in indexes]


def test_consumption_runs_on_through_an_exchange() -> None:
    """The old meter ends at 150, the new one begins at 7: nothing jumps, nothing is lost."""
    old = Installation(1, 10, 0, 0, 100, int(1.5 * HOUR_MS), 150)
    new = Installation(2, 11, 0, int(1.5 * HOUR_MS), 7)
    readings = {
        10: _hours((0, 100), (1, 130), (1.4, 148)),
        11: _hours((1.6, 9), (2, 17), (3, 47)),
    }
    instants = [hour * HOUR_MS for hour in range(4)]
    chain = Chain([new, old])
    marks = chain.marks(instants, _found([old, new], readings, instants), NEAR)
    found = amounts(marks, TOLERANCE)
    assert [(one.value, one.estimated) for one in found] == [(30, False), (30, False), (30, False)]


def test_readings_outside_of_an_installation_do_not_count() -> None:
    """The register counted before it was put here, and counts elsewhere after it was taken away."""
    one = Installation(1, 10, 0, HOUR_MS, 500, 2 * HOUR_MS, 520)
    readings = {10: _hours((0, 0), (0.9, 499), (1.5, 510), (2.1, 900), (3, 1000))}
    instants = [hour * HOUR_MS for hour in range(4)]
    found = amounts(
        Chain([one]).marks(instants, _found([one], readings, instants), NEAR), TOLERANCE
    )
    assert [(part.value, part.estimated) for part in found] == [
        (None, False),
        (20, False),
        (None, False),
    ]


def test_where_a_reading_is_above_the_final_index_nothing_is_sure() -> None:
    """It came late, and says that the final index was written down wrongly; or is wrong itself."""
    old = Installation(1, 10, 0, 0, 0, int(2.5 * HOUR_MS), 24)
    new = Installation(2, 11, 0, int(2.5 * HOUR_MS), 100)
    readings = {
        10: _hours((0, 0), (1, 10), (1.8, 25), (2, 26)),
        11: _hours((2.6, 101), (3, 105), (4, 115)),
    }
    instants = [hour * HOUR_MS for hour in range(5)]
    marks = Chain([new, old]).marks(instants, _found([old, new], readings, instants), NEAR)
    found = amounts(marks, TOLERANCE)
    assert [one.estimated for one in found] == [False, True, True, False]
    readings[10][2:] = _hours((1.8, 18), (2, 20))
    marks = Chain([new, old]).marks(instants, _found([old, new], readings, instants), NEAR)
    assert not any(one.estimated for one in amounts(marks, TOLERANCE))


def test_without_a_meter_nothing_is_consumed_between_two_installations() -> None:
    old = Installation(1, 10, 0, 0, 0, HOUR_MS, 10)
    new = Installation(2, 11, 0, 3 * HOUR_MS, 1000)
    readings = {10: _hours((0, 0), (1, 10)), 11: _hours((3, 1000), (4, 1010))}
    instants = [hour * HOUR_MS for hour in range(5)]
    chain = Chain([old, new])
    found = amounts(
        chain.marks(instants, _found([old, new], readings, instants), NEAR), 9 * HOUR_MS
    )
    assert [one.value for one in found] == [10, 0, 0, 10]


def test_multipliers_and_decimals_of_different_meters_are_exact_together() -> None:
    old = Installation(1, 10, 3, 0, 0, HOUR_MS, 1_234, Decimal("0.5"))
    new = Installation(2, 11, 1, HOUR_MS, 10, multiplier=Decimal(40))
    readings = {10: _hours((0, 0), (1, 1_234)), 11: _hours((1, 10), (2, 13))}
    instants = [0, HOUR_MS, 2 * HOUR_MS]
    chain = Chain([old, new])
    found = amounts(chain.marks(instants, _found([old, new], readings, instants), NEAR), TOLERANCE)
    scaled = [Decimal(one.value or 0).scaleb(-chain.decimals) for one in found]
    assert scaled == [Decimal("0.617"), Decimal(12)]


@given(
    st.lists(st.integers(0, 50), min_size=6, max_size=40),
    st.integers(1, 4),
    st.integers(0, 10_000),
)
def test_the_sum_is_that_of_one_meter_that_was_never_exchanged(
    steps: list[int], place: int, start: int
) -> None:
    """The same flow, metered by one meter, and by two with an exchange on the way."""
    total = [sum(steps[:n]) for n in range(len(steps) + 1)]
    one = Installation(1, 10, 0, 0, 0)
    exchanged_at = place * HOUR_MS + HOUR_MS // 2
    at_exchange = total[place] + steps[place] // 2
    old = Installation(2, 10, 0, 0, 0, exchanged_at, at_exchange)
    new = Installation(3, 11, 0, exchanged_at, start)
    readings = {
        10: [Index(n * HOUR_MS, value) for n, value in enumerate(total)],
        11: [
            Index(n * HOUR_MS, start + value - at_exchange)
            for n, value in enumerate(total)
            if n > place
        ],
    }
    instants = [0, len(steps) * HOUR_MS]
    single = amounts(
        Chain([one]).marks(instants, _found([one], readings, instants), NEAR), TOLERANCE
    )
    double = amounts(
        Chain([old, new]).marks(instants, _found([old, new], readings, instants), NEAR), TOLERANCE
    )
    assert single == double
    assert single[0].value == total[-1]


def test_the_newest_index_is_not_moved_by_an_exchange() -> None:
    old = Installation(1, 10, 0, HOUR_MS, 100)
    gone = Installation(1, 10, 0, HOUR_MS, 100, 3 * HOUR_MS, 150)
    new = Installation(2, 11, 1, 4 * HOUR_MS, 70, multiplier=Decimal("0.5"))
    read = Index(2 * HOUR_MS, 148)
    assert Chain([]).newest(read) is None
    assert Chain([old]).newest(None) == Index(HOUR_MS, 0)
    assert Chain([old]).newest(Index(HOUR_MS - 1, 99)) == Index(HOUR_MS, 0)
    assert Chain([old]).newest(read) == Index(2 * HOUR_MS, 48)
    assert Chain([gone]).newest(None) == Index(3 * HOUR_MS, 50)
    chain = Chain([gone, new])  # its index has two decimals
    assert chain.newest(None) == Index(4 * HOUR_MS, 5000)
    assert chain.newest(Index(5 * HOUR_MS, 72)) == Index(5 * HOUR_MS, 5010)
