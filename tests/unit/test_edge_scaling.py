"""Scaled integers, plausible times, and quantities as people write them."""

from decimal import Decimal
from fractions import Fraction

import pytest

from common.errors import Undecodable
from common.messages.uplink import Value
from common.reading import Measured, Quality
from edge_agent.metering.scaling import (
    DAY_MS,
    EARLIEST_MS,
    is_plausible,
    parse_quantity,
    parse_weight,
    scale,
    scale_all,
)
from tests.unit.edge_parts import NOW, POWER, ROOF


@pytest.mark.parametrize(
    ("measured", "value"),
    [
        (Measured("power", Decimal("12.39"), raw=9), Value(1, 123, 0, 9)),
        (Measured("power", None, Quality.NOT_AVAILABLE), Value(1, None, 3)),
        (Measured("power", Decimal("NaN")), Value(1, None, Quality.DEVICE_ERROR)),
        (Measured("power", Decimal("1e30")), Value(1, None, Quality.DEVICE_ERROR)),
        (Measured("power", Decimal(1), raw=2**70), Value(1, 10, 0, None)),
    ],
)
def test_a_measurement_becomes_a_scaled_integer(measured: Measured, value: Value) -> None:
    assert scale(1, POWER, measured) == value


def test_an_uncertain_time_marks_good_values_only() -> None:
    good = scale(1, POWER, Measured("power", Decimal(1)), time_ok=False)
    bad = scale(1, POWER, Measured("power", None, Quality.OVERFLOW), time_ok=False)
    assert (good.quality, bad.quality) == (Quality.TIME_UNCERTAIN, Quality.OVERFLOW)


def test_what_no_register_stands_for_is_left_out() -> None:
    measured = [Measured("power", Decimal(1)), Measured("unknown", Decimal(1))]
    assert [one.no for one in scale_all((POWER, ROOF), {"power": 4}, measured)] == [4]


@pytest.mark.parametrize(
    ("at_ms", "now_ms", "plausible"),
    [
        (NOW, NOW, True),
        (EARLIEST_MS, NOW, True),
        (EARLIEST_MS - 1, NOW, False),
        (NOW + DAY_MS, NOW, True),
        (NOW + DAY_MS + 1, NOW, False),
        (NOW, 1000, True),
        (1000, 1000, False),
    ],
)
def test_a_time_is_plausible_or_not(at_ms: int, now_ms: int, plausible: bool) -> None:
    assert is_plausible(at_ms, now_ms) is plausible


@pytest.mark.parametrize(
    ("text", "unit", "weight"),
    [
        ("10 l", "m³", Fraction(1, 100)),
        ("10 l/imp", "m³", Fraction(1, 100)),
        ("0.01 m³", "m³", Fraction(1, 100)),
        ("1m3", "m³", Fraction(1)),
        ("1/1000 kWh", "Wh", Fraction(1)),
        ("1000 imp/kWh", "Wh", Fraction(1)),
        ("800 imp/kWh", "Wh", Fraction(5, 4)),
        ("3 imp/l", "m³", Fraction(1, 3000)),
        ("1/3 Wh", "Wh", Fraction(1, 3)),
    ],
)
def test_a_pulse_weight_is_exact(text: str, unit: str, weight: Fraction) -> None:
    assert parse_weight(text, unit) == weight


@pytest.mark.parametrize(
    "text",
    ["", "10", "l", "10 kWh", "-1 l", "0 l", "0 imp/l", "1/0 l", "1e9 l", "1 l l", "ten l", "٣ l"],
)
def test_a_wrong_pulse_weight_is_told(text: str) -> None:
    with pytest.raises(Undecodable):
        parse_weight(text, "m³")


def test_a_quantity_is_taken_in_its_base_unit() -> None:
    assert parse_quantity("1234.567 m³", "m³") == Fraction(1_234_567, 1000)
    assert parse_quantity("0 kWh", "Wh") == 0
    assert parse_quantity("15.5 MWh", "Wh") == 15_500_000
