"""How the dashboard says things: values, spans, rules, and where it lets itself be sent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.dashboard import charts, quantity, session
from cloud.dashboard.session import Session
from cloud.services.views import ConsumptionView, ReadingView, RegisterView, Role, RuleView
from common.reading import Quality
from common.registers import KINDS, Kind, Medium

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def register(kind: Kind, decimals: int = 3, states: tuple[str, str] | None = None) -> RegisterView:
    return RegisterView(
        id=1,
        key="r",
        name="R",
        medium=Medium.OTHER,
        kind=kind,
        unit=KINDS[kind].unit,
        decimals=decimals,
        obis=None,
        interval_s=60,
        counting=KINDS[kind].counting,
        states=states,
        writable=False,
    )


def plain(text: str) -> str:
    return text.replace(quantity.THIN, " ")


@pytest.mark.parametrize(
    ("kind", "decimals", "value", "text"),
    [
        (Kind.VOLUME, 3, "1234567.8999", "1 234 567.899 m³"),
        (Kind.VOLUME, 1, "7.0", "7.0 m³"),
        (Kind.ENERGY_IMPORT, 0, "112995607", "112 995.607 kWh"),
        (Kind.ENERGY_IMPORT, 2, "999.99", "0.999 kWh"),
        (Kind.PULSES, 0, "48112", "48 112"),
    ],
)
def test_an_index_is_grouped_scaled_and_never_rounded_up(
    kind: Kind, decimals: int, value: str, text: str
) -> None:
    assert plain(quantity.index(register(kind, decimals), Decimal(value)).text) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("W", "842", "842 W"),
        ("W", "41234", "41.2 kW"),
        ("W", "1234567", "1.23 MW"),
        ("W", "-3200", "−3.20 kW"),
        ("W", "0", "0 W"),
        ("m³/h", "0.42", "420 l/h"),
        ("m³/h", "2.5", "2.50 m³/h"),
        ("V", "231.4", "231 V"),
    ],
)
def test_a_present_value_has_three_digits_and_the_unit_that_fits(
    unit: str, value: str, text: str
) -> None:
    assert plain(quantity.measured(unit, Decimal(value)).text) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [("m³", "0.34", "340 l"), ("m³", "5.983", "5.98 m³"), ("Wh", "640", "640 Wh")],
)
def test_a_small_consumption_is_told_in_litres_or_watt_hours(
    unit: str, value: str, text: str
) -> None:
    assert plain(quantity.amount(unit, Decimal(value)).text) == text


def test_what_is_not_known_is_a_dash_and_a_state_has_its_name() -> None:
    output = register(Kind.OUTPUT, 0, ("closed", "open"))
    reading = ReadingView(NOON, Decimal(1), Quality.GOOD, None)
    assert quantity.present(output, reading).text == "open"
    assert quantity.present(output, None).text == quantity.NOTHING
    assert quantity.index(register(Kind.VOLUME), None).text == quantity.NOTHING


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.041, "41 ms"), (1.312, "1.3 s"), (20, "20 s"), (300, "5 min"), (7200, "2 h")],
)
def test_a_duration_is_told_in_its_greatest_fitting_unit(seconds: float, text: str) -> None:
    assert plain(quantity.duration(timedelta(seconds=seconds))) == text


def test_a_rule_is_told_in_words() -> None:
    rule = RuleView(
        id=1,
        name="Roof",
        enabled=True,
        source="gw-1/main/power",
        above=Decimal("40000"),
        below=Decimal("33500"),
        unit="W",
        output="gw-1/roof/left",
        output_register_id=1,
        hold_s=20,
        max_age_s=60,
        set_to=None,
        changed_at=NOON,
    )
    words = quantity.rule_sentence(rule, ("closed", "open"))
    assert plain(words) == "Opens above 40 kW for 20 s, closes below 33.5 kW for 20 s"


def test_a_curve_is_broken_where_readings_are_missing() -> None:
    minutes = (0, 1, 2, 3, 60, 61)
    series = [(NOON + timedelta(minutes=m), Decimal(1000)) for m in minutes]
    points = charts.points(series, Kind.POWER, BERLIN, timedelta(seconds=60))
    assert [value for _, value in points] == [1.0, 1.0, 1.0, 1.0, None, 1.0, 1.0]
    assert points[0][0] == charts.site_ms(NOON, BERLIN)
    assert charts.site_ms(NOON, BERLIN) - round(NOON.timestamp() * 1000) == 3_600_000


ALL = Decimal(100)


def test_estimated_bars_are_hatched_and_unknown_ones_are_not_drawn() -> None:
    hour = timedelta(hours=1)
    periods = [
        ConsumptionView(NOON, NOON + hour, Decimal("1.5"), False, False, ALL),
        ConsumptionView(NOON + hour, NOON + 2 * hour, Decimal("0.5"), True, False, ALL),
        ConsumptionView(NOON + 2 * hour, NOON + 3 * hour, None, False, False, ALL),
    ]
    options = charts.bars(periods, Kind.VOLUME, BERLIN, "%H:%M")
    text = str(options)
    assert "'13:00', '14:00', '15:00'" in text
    assert text.count("url(#hatch)") == 1
    assert "{'value': None}" in text


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/meters/3?x=1", "/meters/3?x=1"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\tevil", "/"),
        ("/login?next=/", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_sent_to_another_host(target: str, path: str) -> None:
    assert session.local_path(target) == path


def test_a_role_includes_those_below_it() -> None:
    assert Session("a", Role.ADMIN).may(Role.OPERATOR)
    assert Session("a", Role.OPERATOR).may(Role.VIEWER)
    assert not Session("a", Role.VIEWER).may(Role.OPERATOR)
