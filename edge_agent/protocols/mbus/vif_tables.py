"""The VIF tables of EN 13757-3 as data: what a code means, in which unit, at which scale.

A row is (first code, last code, quantity, unit, scales): the codes of a row share quantity and
unit, and each takes the next scale. A scale is (factor, power of ten); units are base units,
so minutes, hours and days stand here as 60, 3600 and 86400 s, a flow per minute as 60 m³/h.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct


class DataType(StrEnum):
    """How the bytes of a value are to be understood, beyond what the DIF says."""

    NUMBER = "number"
    UNSIGNED = "unsigned"
    """Identifications and flags (types C and D): the top bit is a bit like the others."""
    DATE = "date"
    BYTES = "bytes"
    """A structure of its own (a container, a compact profile): never a number."""


class Entry(Struct, frozen=True):
    """One code's meaning; the value is data x factor x 10^power in ``unit``."""

    quantity: str
    unit: str = ""
    factor: int = 1
    power: int = 0
    data_type: DataType = DataType.NUMBER


MANUFACTURER_SPECIFIC: Final = "manufacturer specific"

Scale = tuple[int, int]
Row = tuple[int, int, str, str, Iterable[Scale], DataType]

_N, _U, _D = DataType.NUMBER, DataType.UNSIGNED, DataType.DATE
_B = DataType.BYTES
_ONE: Final[list[Scale]] = [(1, 0)]
_DURATION: Final[list[Scale]] = [(1, 0), (60, 0), (3600, 0), (86400, 0)]
_DURATION_FROM_HOURS: Final[list[Scale]] = [(3600, 0), (86400, 0)]
_PER_4096: Final[list[Scale]] = [(244140625, -12)]
"""Units of 1/4096, as heat cost allocators use."""


def _powers(first: int, last: int, factor: int = 1) -> list[Scale]:
    return [(factor, power) for power in range(first, last + 1)]


# EN 13757-3:2018, table 10. US gallon = 3.785411784 l, foot = 0.3048 m: both exact.
_PRIMARY_ROWS: Final[list[Row]] = [
    (0x00, 0x07, "energy", "Wh", _powers(-3, 4), _N),
    (0x08, 0x0F, "energy", "J", _powers(0, 7), _N),
    (0x10, 0x17, "volume", "m³", _powers(-6, 1), _N),
    (0x18, 0x1F, "mass", "kg", _powers(-3, 4), _N),
    (0x20, 0x23, "on time", "s", _DURATION, _N),
    (0x24, 0x27, "operating time", "s", _DURATION, _N),
    (0x28, 0x2F, "power", "W", _powers(-3, 4), _N),
    (0x30, 0x37, "power", "J/h", _powers(0, 7), _N),
    (0x38, 0x3F, "volume flow", "m³/h", _powers(-6, 1), _N),
    (0x40, 0x47, "volume flow", "m³/h", _powers(-7, 0, 60), _N),
    (0x48, 0x4F, "volume flow", "m³/h", _powers(-9, -2, 3600), _N),
    (0x50, 0x57, "mass flow", "kg/h", _powers(-3, 4), _N),
    (0x58, 0x5B, "flow temperature", "°C", _powers(-3, 0), _N),
    (0x5C, 0x5F, "return temperature", "°C", _powers(-3, 0), _N),
    (0x60, 0x63, "temperature difference", "K", _powers(-3, 0), _N),
    (0x64, 0x67, "external temperature", "°C", _powers(-3, 0), _N),
    (0x68, 0x6B, "pressure", "bar", _powers(-3, 0), _N),
    (0x6C, 0x6C, "date", "", _ONE, _D),
    (0x6D, 0x6D, "date and time", "", _ONE, _D),
    (0x6E, 0x6E, "heat cost allocation", "HCA", _ONE, _N),
    (0x70, 0x73, "averaging duration", "s", _DURATION, _N),
    (0x74, 0x77, "actuality duration", "s", _DURATION, _N),
    (0x78, 0x78, "fabrication number", "", _ONE, _U),
    (0x79, 0x79, "enhanced identification", "", _ONE, _U),
    (0x7A, 0x7A, "bus address", "", _ONE, _U),
    (0x7E, 0x7E, "any", "", _ONE, _N),
    (0x7F, 0x7F, MANUFACTURER_SPECIFIC, "", _ONE, _N),
]

# After FB: EN 13757-3:2018, table 14; gallons and feet as in the earlier editions.
# Calories stay calories, and °F stay °F: neither has one exact value in the base unit.
_FB_ROWS: Final[list[Row]] = [
    (0x00, 0x01, "energy", "Wh", _powers(5, 6), _N),
    (0x02, 0x03, "reactive energy", "varh", _powers(3, 4), _N),
    (0x04, 0x05, "apparent energy", "VAh", _powers(3, 4), _N),
    (0x08, 0x09, "energy", "J", _powers(8, 9), _N),
    (0x0C, 0x0F, "energy", "cal", _powers(5, 8), _N),
    (0x10, 0x11, "volume", "m³", _powers(2, 3), _N),
    (0x14, 0x17, "reactive power", "var", _powers(0, 3), _N),
    (0x18, 0x19, "mass", "kg", _powers(5, 6), _N),
    (0x1A, 0x1B, "relative humidity", "%", _powers(-1, 0), _N),
    (0x20, 0x20, "volume", "m³", [(28316846592, -12)], _N),
    (0x21, 0x21, "volume", "m³", [(28316846592, -13)], _N),
    (0x22, 0x22, "volume", "m³", [(3785411784, -13)], _N),
    (0x23, 0x23, "volume", "m³", [(3785411784, -12)], _N),
    (0x24, 0x24, "volume flow", "m³/h", [(60 * 3785411784, -15)], _N),
    (0x25, 0x25, "volume flow", "m³/h", [(60 * 3785411784, -12)], _N),
    (0x26, 0x26, "volume flow", "m³/h", [(3785411784, -12)], _N),
    (0x28, 0x29, "power", "W", _powers(5, 6), _N),
    (0x2A, 0x2A, "phase angle voltage-voltage", "°", _powers(-1, -1), _N),
    (0x2B, 0x2B, "phase angle voltage-current", "°", _powers(-1, -1), _N),
    (0x2C, 0x2F, "frequency", "Hz", _powers(-3, 0), _N),
    (0x30, 0x31, "power", "J/h", _powers(8, 9), _N),
    (0x34, 0x37, "apparent power", "VA", _powers(0, 3), _N),
    (0x58, 0x5B, "flow temperature", "°F", _powers(-3, 0), _N),
    (0x5C, 0x5F, "return temperature", "°F", _powers(-3, 0), _N),
    (0x60, 0x63, "temperature difference", "°F", _powers(-3, 0), _N),
    (0x64, 0x67, "external temperature", "°F", _powers(-3, 0), _N),
    (0x68, 0x68, "rating factor K", "", _PER_4096, _N),
    (0x69, 0x69, "thermal output rating factor Kq", "W", _ONE, _N),
    (0x6A, 0x6A, "thermal coupling rating factor Kc", "", _PER_4096, _N),
    (0x6B, 0x6B, "thermal coupling rating factor Kcr, room side", "", _PER_4096, _N),
    (0x6C, 0x6C, "thermal coupling rating factor Kch, heater side", "", _PER_4096, _N),
    (0x6D, 0x6D, "low temperature rating factor Kt", "", _PER_4096, _N),
    (0x6E, 0x6E, "display output scaling factor Kd", "", _PER_4096, _N),
    (0x70, 0x73, "temperature limit", "°F", _powers(-3, 0), _N),
    (0x74, 0x77, "temperature limit", "°C", _powers(-3, 0), _N),
    (0x78, 0x7F, "cumulative maximum power", "W", _powers(-3, 4), _N),
]

# After FD: EN 13757-3:2018, table 12.
_FD_ROWS: Final[list[Row]] = [
    (0x00, 0x03, "credit", "currency", _powers(-3, 0), _N),
    (0x04, 0x07, "debit", "currency", _powers(-3, 0), _N),
    (0x08, 0x08, "unique message identification", "", _ONE, _U),
    (0x09, 0x09, "device type", "", _ONE, _U),
    (0x0A, 0x0A, "manufacturer", "", _ONE, _U),
    (0x0B, 0x0B, "parameter set identification", "", _ONE, _U),
    (0x0C, 0x0C, "model version", "", _ONE, _U),
    (0x0D, 0x0D, "hardware version", "", _ONE, _U),
    (0x0E, 0x0E, "firmware version", "", _ONE, _U),
    (0x0F, 0x0F, "software version", "", _ONE, _U),
    (0x10, 0x10, "customer location", "", _ONE, _U),
    (0x11, 0x11, "customer", "", _ONE, _U),
    (0x12, 0x12, "access code user", "", _ONE, _U),
    (0x13, 0x13, "access code operator", "", _ONE, _U),
    (0x14, 0x14, "access code system operator", "", _ONE, _U),
    (0x15, 0x15, "access code developer", "", _ONE, _U),
    (0x16, 0x16, "password", "", _ONE, _U),
    (0x17, 0x17, "error flags", "", _ONE, _U),
    (0x18, 0x18, "error mask", "", _ONE, _U),
    (0x19, 0x19, "security key", "", _ONE, _U),
    (0x1A, 0x1A, "digital output", "", _ONE, _U),
    (0x1B, 0x1B, "digital input", "", _ONE, _U),
    (0x1C, 0x1C, "baud rate", "Bd", _ONE, _U),
    (0x1D, 0x1D, "response delay", "bit times", _ONE, _U),
    (0x1E, 0x1E, "retry", "", _ONE, _U),
    (0x1F, 0x1F, "remote control", "", _ONE, _U),
    (0x20, 0x20, "first storage number", "", _ONE, _U),
    (0x21, 0x21, "last storage number", "", _ONE, _U),
    (0x22, 0x22, "size of storage block", "", _ONE, _U),
    (0x23, 0x23, "descriptor for tariff and subunit", "", _ONE, _U),
    (0x24, 0x27, "storage interval", "s", _DURATION, _N),
    (0x28, 0x28, "storage interval", "months", _ONE, _N),
    (0x29, 0x29, "storage interval", "years", _ONE, _N),
    (0x2A, 0x2A, "operator specific data", "", _ONE, _U),
    (0x2B, 0x2B, "time point second", "s", _ONE, _N),
    (0x2C, 0x2F, "duration since last readout", "s", _DURATION, _N),
    (0x30, 0x30, "start of tariff", "", _ONE, _D),
    (0x31, 0x33, "duration of tariff", "s", _DURATION[1:], _N),
    (0x34, 0x37, "period of tariff", "s", _DURATION, _N),
    (0x38, 0x38, "period of tariff", "months", _ONE, _N),
    (0x39, 0x39, "period of tariff", "years", _ONE, _N),
    (0x3A, 0x3A, "dimensionless", "", _ONE, _N),
    (0x3B, 0x3B, "wireless container", "", _ONE, _B),
    (0x3C, 0x3F, "period of nominal transmissions", "s", _DURATION, _N),
    (0x40, 0x4F, "voltage", "V", _powers(-9, 6), _N),
    (0x50, 0x5F, "current", "A", _powers(-12, 3), _N),
    (0x60, 0x60, "reset counter", "", _ONE, _U),
    (0x61, 0x61, "cumulation counter", "", _ONE, _U),
    (0x62, 0x62, "control signal", "", _ONE, _U),
    (0x63, 0x63, "day of week", "", _ONE, _U),
    (0x64, 0x64, "week number", "", _ONE, _U),
    (0x65, 0x65, "time point of day change", "", _ONE, _D),
    (0x66, 0x66, "state of parameter activation", "", _ONE, _U),
    (0x67, 0x67, "special supplier information", "", _ONE, _U),
    (0x68, 0x69, "duration since last cumulation", "s", _DURATION_FROM_HOURS, _N),
    (0x6A, 0x6A, "duration since last cumulation", "months", _ONE, _N),
    (0x6B, 0x6B, "duration since last cumulation", "years", _ONE, _N),
    (0x6C, 0x6D, "operating time of battery", "s", _DURATION_FROM_HOURS, _N),
    (0x6E, 0x6E, "operating time of battery", "months", _ONE, _N),
    (0x6F, 0x6F, "operating time of battery", "years", _ONE, _N),
    (0x70, 0x70, "battery change", "", _ONE, _D),
    (0x71, 0x71, "signal level", "dBm", _ONE, _N),
    (0x72, 0x72, "daylight saving", "", _ONE, _U),
    (0x73, 0x73, "listening window", "", _ONE, _U),
    (0x74, 0x74, "remaining battery life", "s", [(86400, 0)], _N),
    (0x75, 0x75, "stops of the meter", "", _ONE, _U),
    (0x76, 0x76, "manufacturer container", "", _ONE, _B),
]

# After FD FD: EN 13757-3:2018, table 13.
_FD_FD_ROWS: Final[list[Row]] = [
    (0x00, 0x00, "selected application", "", _ONE, _U),
    (0x02, 0x02, "remaining battery life", "months", _ONE, _N),
    (0x03, 0x03, "remaining battery life", "years", _ONE, _N),
]


def _table(rows: list[Row]) -> tuple[Entry, ...]:
    table = [Entry("reserved")] * 128
    for first, last, quantity, unit, scales, data_type in rows:
        codes = range(first, last + 1)
        for code, (factor, power) in zip(codes, scales, strict=True):
            table[code] = Entry(quantity, unit, factor, power, data_type)
    return tuple(table)


PRIMARY: Final = _table(_PRIMARY_ROWS)
EXTENSION_FB: Final = _table(_FB_ROWS)
EXTENSION_FD: Final = _table(_FD_ROWS)
EXTENSION_FD_FD: Final = _table(_FD_FD_ROWS)
RESERVED: Final = Entry("reserved")

QUANTITIES: Final = frozenset(
    entry.quantity
    for table in (PRIMARY, EXTENSION_FB, EXTENSION_FD, EXTENSION_FD_FD)
    for entry in table
) - {RESERVED.quantity}
"""Every quantity that a record can have, but for those that meters name in plain text."""

# VIFEs that only describe the value (EN 13757-3:2018, table 15): code -> words.
QUALIFIERS: Final[dict[int, str]] = {
    0x12: "average",
    0x13: "inverse compact profile",
    0x14: "relative deviation",
    0x1D: "standard conform",
    0x1E: "compact profile with register numbers",
    0x1F: "compact profile",
    0x20: "per second",
    0x21: "per minute",
    0x22: "per hour",
    0x23: "per day",
    0x24: "per week",
    0x25: "per month",
    0x26: "per year",
    0x27: "per revolution",
    0x28: "increment per input pulse on channel 0",
    0x29: "increment per input pulse on channel 1",
    0x2A: "increment per output pulse on channel 0",
    0x2B: "increment per output pulse on channel 1",
    0x2C: "per litre",
    0x2D: "per m³",
    0x2E: "per kg",
    0x2F: "per K",
    0x30: "per kWh",
    0x31: "per GJ",
    0x32: "per kW",
    0x33: "per K·l",
    0x34: "per V",
    0x35: "per A",
    0x36: "multiplied by s",
    0x37: "multiplied by s/V",
    0x38: "multiplied by s/A",
    0x39: "start",
    0x3A: "uncorrected",
    0x3B: "positive contributions only",
    0x3C: "negative contributions only",
    0x3D: "non-metric",
    0x3E: "at base conditions",
    0x3F: "OBIS declaration",
    0x40: "lower limit",
    0x41: "exceeds of lower limit",
    0x48: "upper limit",
    0x49: "exceeds of upper limit",
    0x68: "during lower limit exceeded",
    0x69: "leakage",
    0x6C: "during upper limit exceeded",
    0x6D: "overflow values",
    0x7E: "future value",
}

# After FC inside a chain (EN 13757-3:2018, table 16).
EXTENDED_QUALIFIERS: Final[dict[int, str]] = {
    0x01: "L1",
    0x02: "L2",
    0x03: "L3",
    0x04: "N",
    0x05: "L1-L2",
    0x06: "L2-L3",
    0x07: "L3-L1",
    0x08: "Q1",
    0x09: "Q2",
    0x0A: "Q3",
    0x0B: "Q4",
    0x0C: "import minus export",
    0x10: "absolute contributions",
    0x11: "type C",
    0x12: "type D",
    0x13: "to the meter",
    0x14: "from the meter",
}
