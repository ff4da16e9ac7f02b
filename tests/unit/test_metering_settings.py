"""What a configured module is told, and what may not be configured."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from common.clock import to_ms
from common.settings import parse_toml
from edge_agent.pulse_settings import C11Settings

BUCHAREST = ZoneInfo("Europe/Bucharest")


def settings(text: str = "", medium: str = "gas", weight: str = "0.01 m³") -> C11Settings:
    base = f"""
        driver = "c11do1eth"
        key = "m1"
        name = "Meter"
        medium = "{medium}"
        key_file = "m1.key"
        pulse_weight = "{weight}"
    """
    return parse_toml((base + text).encode(), C11Settings, str(Path("edge.toml")))


@pytest.mark.parametrize(
    ("text", "debounce_ms"),
    [("", 60), ('contact = "s0"', 15), ('contact = "s0"\ndebounce_ms = 25', 25),
     ("debounce_ms = 0", 0)],
)  # fmt: skip
def test_the_debounce_goes_by_the_contact(text: str, debounce_ms: int) -> None:
    assert settings(text).setup.debounce_ms == debounce_ms


def test_the_thresholds_are_told_in_the_modules_units() -> None:
    setup = settings(
        'analysis = { rate_limit = "3.6 m³/h", leak_after_s = 9, stuck_after_s = 7 }\n'
        'output = { key = "valve", name = "Valve", safe = "off", safe_after_s = 60 }'
    ).setup
    assert (setup.limit_mhz, setup.leak_s, setup.pause_s, setup.stuck_s) == (100, 9, 900, 7)
    assert (setup.safe, setup.safe_after_s) == ("off", 60)
    assert setup.weight == Fraction(1, 100)
    assert [directive.to_arguments() for directive in setup.directives()][2:4] == [
        ("weight", "1", "100"),
        ("off", "60"),
    ]


def test_the_highest_rate_has_a_quarter_to_spare() -> None:
    rule = settings('max_flow = "6 m³/h"\ncounter_modulus = 1000000\ncounter_jitter = 2').rule
    assert rule.max_rate == Fraction(6 * 100 * 5, 4 * 3600)
    assert (rule.modulus, rule.jitter) == (1_000_000, 2)
    power = settings('max_flow = "36 kW"', "electricity", "1000 imp/kWh").rule
    assert power.max_rate == Fraction(25, 2)


def test_a_factor_begins_with_the_day_on_the_site() -> None:
    conversion = settings("""
        [[gas]]
        calorific_value = "11.2 kWh/m³"
        z = "0.95"
        [[gas]]
        from = 2026-10-01
        calorific_value = "40 MJ/m3"
        correction = 1.02264
    """).conversion(BUCHAREST)
    assert conversion is not None
    first, second = conversion.factors
    assert first.wh == 10_640
    assert second.wh == Fraction("1.02264") * 400_000 / 36
    assert second.since_ms == to_ms(datetime(2026, 9, 30, 21, tzinfo=UTC))
    assert conversion.at(second.since_ms - 1) == first.wh
    assert conversion.at(second.since_ms) == second.wh
    assert conversion.at(0) == first.wh


def test_without_gas_nothing_is_converted() -> None:
    assert settings().conversion(BUCHAREST) is None


@pytest.mark.parametrize(
    ("text", "medium", "key"),
    [
        ('max_flow = "6 kW"', "gas", "max_flow"),
        ('max_flow = "6 m³/h"', "electricity", "max_flow"),
        ('max_flow = "0 m³/h"', "gas", "max_flow"),
        ('analysis = { rate_limit = "fast" }', "gas", "analysis.rate_limit"),
        ('gas = { calorific_value = "11.2 kWh/m³" }', "cold_water", "gas"),
        ('gas = { calorific_value = "11,2 kWh/m³" }', "gas", "gas"),
        ('gas = { calorific_value = "11.2 kWh/m³", z = 0 }', "gas", "gas"),
        ('[[gas]]\ncalorific_value = "11 kWh/m³"\n[[gas]]\ncalorific_value = "11 kWh/m³"', "gas",
         "gas[2].from"),
        ('[[gas]]\nfrom = 2026-10-01\ncalorific_value = "11 kWh/m³"\n[[gas]]\nfrom = 2026-10-01\n'
         'calorific_value = "11 kWh/m³"', "gas", "gas"),
        ('output = { key = "energy", name = "E" }', "gas", "output.key"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_its_key(text: str, medium: str, key: str) -> None:
    weight = "1 Wh" if medium == "electricity" else "0.01 m³"
    assert [found for found, _ in settings(text, medium, weight).problems()] == [key]


def test_a_weight_that_no_module_takes_is_a_mistake() -> None:
    wrong = settings("", "electricity", "999999999999999999 MWh")
    assert [key for key, _ in wrong.problems()] == ["pulse_weight"]


def test_good_settings_have_no_problems() -> None:
    text = 'max_flow = "6 m³/h"\ngas = { calorific_value = "11.2 kWh/m³" }'
    assert list(settings(text).problems()) == []
