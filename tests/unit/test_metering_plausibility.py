"""Values that no meter shows are doubted; those that one does show never are."""

from decimal import Decimal

import pytest

from common.registers import Kind
from edge_agent.metering.plausibility import doubt
from edge_agent.protocols.modbus import Order, Type, decode, encode


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Kind.VOLTAGE, ["0", "0.1", "230.4", "400", "690", "1000"]),
        (Kind.FREQUENCY, ["0", "49.98", "60", "40", "70"]),
        (Kind.POWER_FACTOR, ["-1", "-0.98", "0", "1.000"]),
        (Kind.CURRENT, ["-5", "0.001", "6300"]),
        (Kind.POWER, ["-10000000", "0", "1553604", "10000000"]),
        (Kind.ENERGY_IMPORT, ["0", "1", "999999999000", "-20"]),
        (Kind.VOLUME, ["0", "0.001", "99999999.999"]),
        (Kind.TEMPERATURE, ["-40", "0.01", "150"]),
        (Kind.PULSES, ["0", "18446744073709551615"]),
        (Kind.OUTPUT, ["0", "1"]),
    ],
)
def test_what_a_meter_shows_is_believed(kind: Kind, values: list[str]) -> None:
    for value in values:
        assert doubt(kind, Decimal(value)) is None


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.VOLTAGE, "1000.1", "1000.1 V: expected 0 to 1,000"),
        (Kind.VOLTAGE, "-230", "-230 V: expected 0 to 1,000"),
        (Kind.VOLTAGE, "2.41E-41", "2.41e-41 V: too small for a meter"),
        (Kind.FREQUENCY, "5000", "5000 Hz: expected 40 to 70"),
        (Kind.POWER_FACTOR, "98", "98: expected -1 to 1"),
        (Kind.CURRENT, "NaN", "NaN A: expected a number"),
        (Kind.POWER, "1.2E+30", "1.2e+30 W: expected -10,000,000 to 10,000,000"),
        (Kind.ENERGY_IMPORT, "Infinity", "Infinity Wh: expected a number"),
        (Kind.ENERGY_EXPORT, "-1E+15", "-1e+15 Wh: expected -1,000,000,000,000 to"),
    ],
)
def test_what_no_meter_shows_is_doubted_with_what_was_expected(
    kind: Kind, value: str, text: str
) -> None:
    assert (doubt(kind, Decimal(value)) or "").startswith(text)


@pytest.mark.parametrize("order", [Order.CDAB, Order.BADC, Order.DCBA])
def test_a_float_in_another_order_is_nearly_always_doubted(order: Order) -> None:
    doubted = 0
    everyday = [Decimal(2000 + n) / 10 for n in range(500)]
    for value in everyday:
        read = decode(encode(value, Type.F32, order), Type.F32, Order.ABCD)
        doubted += read is None or doubt(Kind.VOLTAGE, Decimal(read)) is not None
    assert doubted >= 0.9 * len(everyday)
