"""The fixed data structure (CI 73 and 77) of early meters: EN 1434-3:1997; two counters."""

from typing import Final

from common.errors import Undecodable

from .dif import Function
from .header import Header, byte_order
from .record import Record
from .values import decode_bcd, decode_integer
from .vif import Meaning
from .vif_tables import DataType, Scale

LENGTH: Final = 16
_BINARY: Final = 0x01
_STORED: Final = 0x02
_SAME_BUT_HISTORIC: Final = 0x3E

# Runs of three codes: x1, x10, x100 of the first scale.
_RUNS: Final[list[tuple[int, int, str, str, Scale]]] = [
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
_MEDIA: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 4, 6, 7, 8, 0)


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
    """Header and both counters. Raises Undecodable when the length is wrong."""
    if len(data) < LENGTH:
        raise Undecodable(f"{len(data)} bytes are too short for the fixed M-Bus structure")
    order = byte_order(high_first)
    status = data[5]
    header = Header(
        access=data[4],
        status=status & ~(_BINARY | _STORED),
        identification=f"{int.from_bytes(data[0:4], order):08X}",
        medium=_MEDIA[(data[6] >> 6) | ((data[7] >> 6) << 2)],
    )
    unit_1, unit_2 = data[6] & 0x3F, data[7] & 0x3F
    storage_1 = storage_2 = int(bool(status & _STORED))
    if unit_2 == _SAME_BUT_HISTORIC:
        unit_2, storage_2 = unit_1, 1
    binary = bool(status & _BINARY)
    raw_1, raw_2 = data[8:12], data[12:16]
    if high_first:
        raw_1, raw_2 = raw_1[::-1], raw_2[::-1]
    return header, (
        _counter(raw_1, unit_1, storage_1, binary),
        _counter(raw_2, unit_2, storage_2, binary),
    )


def _counter(data: bytes, unit: int, storage: int, binary: bool) -> Record:
    """One counter, given low byte first; its DIB is empty, and its VIB the unit's code."""
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
        data,
    )
