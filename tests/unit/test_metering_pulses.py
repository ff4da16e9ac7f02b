"""From pulses to quantities: exact, cut and never rounded up."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.reading import Measured, Quality
from common.registers import Kind, Medium, Register
from edge_agent.metering.pulses import RateWindow, Stretch, cut, index, measure


@dataclass(frozen=True)
class Meter:
    registers: tuple[Register, ...]
    weight: Fraction
    start_index: Decimal
    start_total: int = 0


@dataclass(frozen=True)
class Count:
    total: int
    delta: int
    period_s: int
    output: int = 0


WATER = Meter(
    (
        Register("volume", "index", Medium.COLD_WATER, Kind.VOLUME, 3),
        Register("flow", "flow", Medium.COLD_WATER, Kind.FLOW, 4),
        Register("roof", "roof", Medium.OTHER, Kind.OUTPUT, 0, states=("closed", "open")),
    ),
    Fraction(1, 100),
    Decimal("1234.567"),
)


def test_a_record_gives_index_flow_and_output() -> None:
    assert measure(WATER, Count(250, 9, 900, 1), time_ok=True) == (
        Measured("volume", Decimal("1237.067"), Quality.GOOD, 250),
        Measured("flow", Decimal("0.3600"), Quality.GOOD, 9),
        Measured("roof", Decimal(1), Quality.GOOD, 1),
    )


def test_an_uncertain_time_marks_every_value() -> None:
    values = measure(WATER, Count(250, 9, 900), time_ok=False)
    assert {value.quality for value in values} == {Quality.TIME_UNCERTAIN}


def test_a_flow_over_no_time_is_not_available() -> None:
    assert measure(WATER, Count(250, 9, 0), time_ok=True)[1] == Measured(
        "flow", None, Quality.NOT_AVAILABLE, 9
    )


def test_an_unbroken_total_gives_the_index_and_leaves_the_raw_count() -> None:
    value = measure(WATER, Count(3, 3, 900), time_ok=True, reached=index(WATER, 253))[0]
    assert (value.value, value.raw) == (Decimal("1237.097"), 3)


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (Fraction(1, 3), 3, "0.333"),
        (Fraction(2, 3), 3, "0.666"),
        (Fraction(1999, 1000), 0, "1"),
        (Fraction(0), 2, "0.00"),
    ],
)
def test_what_does_not_fit_is_cut_off(value: Fraction, decimals: int, expected: str) -> None:
    assert str(cut(value, decimals)) == expected


def test_three_thirds_are_one() -> None:
    meter = Meter((), Fraction(1, 3), Decimal(0))
    assert index(meter, 3) == 1
    assert index(meter, 3 * 10**15) == 10**15


def test_the_start_index_stood_at_the_start_total() -> None:
    meter = Meter((), Fraction(1, 100), Decimal("0.5"), 45_210)
    assert index(meter, 45_210) == Fraction(1, 2)
    assert index(meter, 45_310) == Fraction(3, 2)
    assert index(meter, 0) == 0


@given(st.integers(0, 2**62), st.integers(1, 1000), st.integers(1, 10_000), st.integers(0, 6))
def test_an_index_never_runs_ahead_nor_behind_by_a_digit(
    pulses: int, numerator: int, denominator: int, decimals: int
) -> None:
    weight = Fraction(numerator, denominator)
    shown = Fraction(cut(index(Meter((), weight, Decimal("0.5")), pulses), decimals))
    exact = Fraction(1, 2) + pulses * weight
    assert 0 <= exact - shown < Fraction(1, 10**decimals)


def test_a_negative_value_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        cut(Fraction(-1), 0)


def own(pulses: int, seconds: int) -> Stretch:
    return Stretch(pulses, seconds * 1000)


def test_a_steady_flow_of_rare_pulses_is_shown_steady() -> None:
    window = RateWindow()
    rates = []
    for second in range(0, 1200, 5):
        total = second // 16
        stretch = window.advance(second * 1000, total, own(total - max(0, second - 5) // 16, 5))
        rates.append(stretch.pulses * 3_600_000 / stretch.ms)
    assert all(abs(rate - 225) < 25 for rate in rates[40:])


def test_a_standstill_becomes_visible() -> None:
    window = RateWindow()
    for second in range(0, 300, 5):
        window.advance(second * 1000, second, own(5, 5))
    stretch = Stretch(1, 1)
    for second in range(300, 1300, 5):
        stretch = window.advance(second * 1000, 299, own(0, 5))
    assert stretch.pulses == 0
    assert stretch.ms >= RateWindow.LONGEST_MS


def test_a_late_record_tells_its_own_rate_and_disturbs_nothing() -> None:
    window = RateWindow()
    window.advance(10_000, 100, own(1, 5))
    assert window.advance(5_000, 40, own(3, 900)) == own(3, 900)
    assert window.advance(15_000, 101, own(1, 5)) == own(1, 5)
    assert window.advance(20_000, 102, own(1, 5)) == Stretch(2, 10_000)


def test_a_record_with_pulses_enough_tells_its_own_rate() -> None:
    window = RateWindow()
    window.advance(0, 0, own(0, 5))
    assert window.advance(5_000, 50, own(50, 5)) == own(50, 5)


def test_a_counter_that_goes_back_begins_a_new_stretch() -> None:
    window = RateWindow()
    window.advance(0, 100, own(1, 5))
    assert window.advance(5_000, 3, own(3, 5)) == own(3, 5)
    assert window.advance(10_000, 4, own(1, 5)) == own(1, 5)


def test_a_clock_that_hardly_moves_makes_no_stretch_of_ever_more_records() -> None:
    window = RateWindow()
    stretches = [window.advance(at, 0, Stretch(0, 0)) for at in range(3 * RateWindow.MOST)]
    assert max(stretch.ms for stretch in stretches) == RateWindow.MOST - 1
