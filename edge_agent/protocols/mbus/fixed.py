"""The fixed data structure (CI 73 and 77) of early meters: EN 1434-3:1997; two counters."""

from typing import Final

from .dif import Function
from .header import Header, byte_order
from .record import Record
from .values import decode_bcd, decode_integer
from .vif import Meaning
from .vif_tables import DataType, Scale

LENGTH: Final = 16
BINARY: Final = 0x01
STORED: Final = 0x02
_SAME_BUT_HISTORIC: Final = 0x3E

# Runs of three codes: x1, x10, x100 of the first scale.
_RUNS: Final[list[tuple[int, int, str, str, Scale]]] = [
    (0x00, 0x00, "time of day", "", (1, 0)),
    (0x01, 0x01, "calendar date", "", (1, 0)),
    (0x02, 0x0A, "energy", "Wh", (1, 0)),
    (0x0B, 0x13, "energy", "J", (1, 3)),
    (0x14, 0x1C, "power", "W", (1, 0)),
    (0x1D, 0x25, "power", "J/h", (1, 3)),
    (0x26, 0x2E, "volume", "m³", (1, -6)),
    (0x2F, 0x37, "volume flow", "m³/h", (1, -6)),
    (0x38, 0x38, "temperature", "°C", (1, -3)),
    (0x39, 0x39, "heat cost allocation", "HCA", (1, 0)),
    (0x3F, 0x3F, "dimensionless", "", (1, 0)),
]

# Medium of the fixed structure (4 bits) -> device type code of the variable one.
MEDIA: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 4, 6, 7, 8, 0)


def _meanings() -> dict[int, Meaning]:
    table = {}
    for first, last, quantity, unit, (factor, power) in _RUNS:
        for code in range(first, last + 1):
            exponent = power + code - first
            multiplier, shift = (factor * 10**exponent, 0) if exponent > 0 else (factor, exponent)
            table[code] = Meaning(
                quantity, unit, multiplier, shift, None, DataType.NUMBER, (), None
            )
    return table


_MEANINGS: Final = _meanings()
_RESERVED: Final = Meaning("reserved", "", 1, 0, None, DataType.NUMBER, (), None)


def decode_fixed(data: bytes, high_first: bool) -> tuple[Header, tuple[Record, Record]]:
    """Header and both counters of at least LENGTH bytes."""
    order = byte_order(high_first)
    status = data[5]
    header = Header(
        access=data[4],
        status=status,
        identification=f"{int.from_bytes(data[0:4], order):08X}",
        medium=MEDIA[(data[6] >> 6) | ((data[7] >> 6) << 2)],
        fixed=True,
    )
    unit_1, unit_2 = data[6] & 0x3F, data[7] & 0x3F
    storage_1 = storage_2 = int(bool(status & STORED))
    if unit_2 == _SAME_BUT_HISTORIC:
        unit_2, storage_2 = unit_1, 1
    binary = bool(status & BINARY)
    raw_1, raw_2 = data[8:12], data[12:16]
    return header, (
        _counter(raw_1, unit_1, storage_1, binary, high_first),
        _counter(raw_2, unit_2, storage_2, binary, high_first),
    )


def _counter(raw: bytes, unit: int, storage: int, binary: bool, high_first: bool) -> Record:
    """One counter; its DIB is empty, and its VIB the unit's code."""
    data = raw[::-1] if high_first else raw
    meaning = _MEANINGS.get(unit, _RESERVED)
    decoded = decode_integer(data, meaning, True) if binary else decode_bcd(data, meaning)
    return Record(
        Function.INSTANTANEOUS,
        storage,
        0,
        0,
        meaning.quantity,
        meaning.unit,
        decoded.value,
        decoded.state,
        (),
        decoded.count,
        b"",
        bytes((unit,)),
        raw,
        raw,
    )
