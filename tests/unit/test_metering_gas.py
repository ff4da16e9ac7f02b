"""Gas as energy: exact, continuous over a change of its factors, and never going back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from edge_agent.metering.amounts import parse_rate
from edge_agent.metering.gas import Conversion, Energy, Factor, parse_factor
from edge_agent.metering.pulses import cut

DAY = 86_400_000
WINTER = Fraction(10_000)
SUMMER = Fraction(12_000)
CHANGES = Conversion((Factor(0, WINTER), Factor(10 * DAY, SUMMER)))
WEIGHT = Fraction(1, 100)


def test_the_british_form_gives_the_figure_on_the_bill() -> None:
    wh = 120 * parse_factor("1", "1.02264", "40 MJ/m³")
    assert wh == Fraction("1.02264") * 120 * 40 / Fraction("3.6") * 1000
    assert round(wh / 1000) == 1364
    assert cut(wh, 0) == 1_363_520


def test_the_continental_form_is_volume_times_z_times_calorific_value() -> None:
    assert 100 * parse_factor("0.95", "1", "11.2 kWh/m³") == 1_064_000


@pytest.mark.parametrize(
    ("z", "value"),
    [("0", "11 kWh/m³"), ("x", "11 kWh/m³"), ("1", "11"), ("1", "0 kWh/m³"), ("1", "11 kWh"),
     ("-1", "11 kWh/m³"), ("1e3", "11 kWh/m³"), ("1 l", "11 kWh/m³")],
)  # fmt: skip
def test_a_factor_that_cannot_be_is_refused(z: str, value: str) -> None:
    with pytest.raises(Undecodable):
        parse_factor(z, "1", value)


@pytest.mark.parametrize(
    ("text", "unit", "rate"),
    [("2.5 m³/h", "m³", Fraction(5, 2)), ("2500 l/h", "m³", Fraction(5, 2)),
     ("6 m3/h", "m³", Fraction(6)), ("11 kW", "Wh", Fraction(11_000)),
     ("500 W", "Wh", Fraction(500))],
)  # fmt: skip
def test_the_highest_flow_is_read_in_the_units_of_the_plate(
    text: str, unit: str, rate: Fraction
) -> None:
    assert parse_rate(text, unit) == rate
    with pytest.raises(Undecodable):
        parse_rate(text, "Wh" if unit == "m³" else "m³")


def test_the_energy_is_the_volume_times_the_factor_while_that_holds() -> None:
    energy = Energy.begin(CHANGES, DAY, 500, Fraction(12), WEIGHT)
    energy.advance(CHANGES, 2 * DAY, 700, WEIGHT)
    assert energy.index(500) == 12 * WINTER
    assert energy.index(700) == 14 * WINTER
    assert energy.index(400) == 11 * WINTER
    assert len(energy.pieces) == 1


def test_a_new_factor_begins_at_the_pulse_that_came_then() -> None:
    energy = Energy.begin(CHANGES, 9 * DAY, 0, Fraction(0), WEIGHT)
    energy.advance(CHANGES, 11 * DAY, 200, WEIGHT)
    assert energy.index(100) == WINTER
    assert energy.index(200) == WINTER + SUMMER
    energy.advance(CHANGES, 12 * DAY, 300, WEIGHT)
    assert energy.index(300) == WINTER + 2 * SUMMER


def test_several_changes_within_one_outage_are_each_made_at_their_time() -> None:
    three = Conversion((Factor(0, WINTER), Factor(2 * DAY, SUMMER), Factor(3 * DAY, WINTER)))
    energy = Energy.begin(three, DAY, 0, Fraction(0), WEIGHT)
    energy.advance(three, 5 * DAY, 400, WEIGHT)
    assert energy.index(400) == WINTER + SUMMER + 2 * WINTER


def test_a_factor_changed_by_hand_holds_from_the_last_record_and_rewrites_nothing() -> None:
    energy = Energy.begin(CHANGES, DAY, 0, Fraction(0), WEIGHT)
    energy.advance(CHANGES, 2 * DAY, 100, WEIGHT)
    corrected = Conversion((Factor(0, SUMMER),))
    energy.advance(corrected, 3 * DAY, 200, WEIGHT)
    assert energy.index(100) == WINTER
    assert energy.index(200) == WINTER + SUMMER


def test_a_clock_that_is_set_back_brings_no_old_factor_back() -> None:
    energy = Energy.begin(CHANGES, 11 * DAY, 0, Fraction(0), WEIGHT)
    energy.advance(CHANGES, 9 * DAY, 100, WEIGHT)
    assert energy.index(100) == SUMMER


@given(
    st.lists(st.tuples(st.integers(0, 5 * DAY), st.integers(0, 1000)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(1, 40 * DAY), st.integers(1, 20_000)), max_size=6),
)
def test_the_index_never_goes_back_and_lies_between_its_factors(
    records: list[tuple[int, int]], changes: list[tuple[int, int]]
) -> None:
    factors = {0: 10_000} | dict(changes)
    gas = Conversion(tuple(Factor(at, Fraction(factors[at])) for at in sorted(factors)))
    at = total = 0
    energy = Energy.begin(gas, 0, 0, Fraction(0), WEIGHT)
    last = Fraction(0)
    for later, pulses in records:
        at, total = at + later, total + pulses
        energy.advance(gas, at, total, WEIGHT)
        assert energy.index(total) >= last
        last = energy.index(total)
    assert min(factors.values()) * WEIGHT * total <= last <= max(factors.values()) * WEIGHT * total
    curve = [energy.index(one) for one in range(0, total + 1, max(1, total // 50))]
    assert curve == sorted(curve)
