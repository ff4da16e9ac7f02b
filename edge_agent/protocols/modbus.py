"""Values in Modbus registers, and which registers to ask for together. Pure.

The Modbus Application Protocol (V1.1b3) knows 16-bit registers only, sent high byte first
(§4.2); how wider numbers lie in them is each maker's choice and stands in the device's profile.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from common.errors import Undecodable

MAX_REGISTERS = 125
"""Registers in one answer (V1.1b3 §6.3)."""

MAX_COILS = 2000
"""Coils in one answer (V1.1b3 §6.1)."""

MAX_WRITTEN_COILS = 1968
"""Coils in one request (V1.1b3 §6.11)."""

EXCEPTIONS = {
    0x01: "illegal function",
    0x02: "illegal data address",
    0x03: "illegal data value",
    0x04: "server device failure",
    0x05: "acknowledge",
    0x06: "server device busy",
    0x08: "memory parity error",
    0x0A: "gateway path unavailable",
    0x0B: "gateway target device failed to respond",
}
"""Exception codes and their names (V1.1b3 §7)."""

PASSING = frozenset({0x05, 0x06, 0x0A, 0x0B})
"""Exceptions after which the same request may succeed later."""


class Type(StrEnum):
    """How a value is written, in its width in bits."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    F32 = "f32"
    F64 = "f64"

    @property
    def bits(self) -> int:
        return int(self[1:])

    @property
    def words(self) -> int:
        """Registers that one value takes."""
        return self.bits // 16

    @property
    def is_float(self) -> bool:
        return self[0] == "f"

    @property
    def signed(self) -> bool:
        return self[0] == "s"


class Order(StrEnum):
    """Order of bytes: A is the most significant byte; wider values go on in the same way."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class Absent(StrEnum):
    """The code by which a device says that it has no value. A float's NaN always says so."""

    ALL_ONES = "all-ones"
    MAX_SIGNED = "max-signed"
    MIN_SIGNED = "min-signed"
    ZERO = "zero"

    def code(self, bits: int) -> int:
        """The bit pattern, as an unsigned number."""
        if self is Absent.ZERO:
            return 0
        if self is Absent.ALL_ONES:
            return (1 << bits) - 1
        return (1 << bits - 1) - (self is Absent.MAX_SIGNED)


def _to_bytes(words: Sequence[int], order: Order) -> bytes:
    """Most significant byte first, whatever the order on the wire."""
    if order in (Order.CDAB, Order.DCBA):
        words = words[::-1]
    data = struct.pack(f">{len(words)}H", *words)
    if order in (Order.BADC, Order.DCBA):
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    return data


def _to_words(data: bytes, order: Order) -> tuple[int, ...]:
    if order in (Order.BADC, Order.DCBA):
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    words = struct.unpack(f">{len(data) // 2}H", data)
    return words[::-1] if order in (Order.CDAB, Order.DCBA) else words


def shortest_float32(value: float) -> Decimal:
    """The decimal with the fewest digits that is this float32 and no other."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack(">f", float(text)) == struct.pack(">f", value):
            return Decimal(text)
    return Decimal(f"{value:.9g}")


def decode(
    words: Sequence[int], kind: Type, order: Order, absent: Absent | None = None
) -> int | Decimal | None:
    """The number in these registers, exactly, or None when the device has none.

    A float is the shortest decimal that stands for it; NaN and infinity are None.
    Raises Undecodable when the number of words is not the type's.
    """
    if len(words) != kind.words:
        raise Undecodable(f"{kind} takes {kind.words} registers, not {len(words)}")
    data = _to_bytes(words, order)
    pattern = int.from_bytes(data, "big")
    if absent is not None and pattern == absent.code(kind.bits):
        return None
    if not kind.is_float:
        return int.from_bytes(data, "big", signed=kind.signed)
    number: float = struct.unpack(">f" if kind is Type.F32 else ">d", data)[0]
    if not math.isfinite(number):
        return None
    return shortest_float32(number) if kind is Type.F32 else Decimal(repr(number))


def encode(
    value: Decimal | None, kind: Type, order: Order, absent: Absent | None = None
) -> tuple[int, ...]:
    """The registers that hold ``value``; an integer type cuts its fraction off, towards zero.

    None becomes the code for "not available", a float's NaN where there is no code, else 0.
    Raises Undecodable when the value does not fit the type.
    """
    size = kind.bits // 8
    if value is None and absent is not None:
        data = absent.code(kind.bits).to_bytes(size, "big")
    elif kind.is_float:
        number = math.nan if value is None else float(value)
        data = struct.pack(">f" if kind is Type.F32 else ">d", number)
    else:
        try:
            data = int(value or 0).to_bytes(size, "big", signed=kind.signed)
        except OverflowError as error:
            raise Undecodable(f"{value} does not fit {kind}") from error
    return _to_words(data, order)


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` registers from ``address`` (as on the wire, from 0)."""

    address: int
    count: int

    @property
    def end(self) -> int:
        return self.address + self.count


@dataclass(frozen=True, slots=True)
class Request:
    """What one read asks for: function 1 (coils), 3 (holding) or 4 (input registers)."""

    function: int
    span: Span


@dataclass(frozen=True, slots=True)
class Write:
    """What one write sets: function 5 or 15 (coils, values 0 and 1), 6 or 16 (registers)."""

    function: int
    address: int
    values: tuple[int, ...]


Cells = Mapping[tuple[int, int], int]
"""What was read: coils (0 or 1) and register words, by function and address."""


def merge(spans: Sequence[Span], limit: int, gap: int = 0) -> tuple[Span, ...]:
    """The fewest requests that read all ``spans``, none cut in two, in the order of addresses.

    A request asks for at most ``limit`` registers, and reads over at most ``gap`` unused ones
    between two spans.
    """
    requests: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.address, span.count)):
        last = requests[-1] if requests else None
        if last is not None and span.address <= last.end + gap:
            count = max(last.end, span.end) - last.address
            if count <= limit:
                requests[-1] = Span(last.address, count)
                continue
        requests.append(span)
    return tuple(requests)
