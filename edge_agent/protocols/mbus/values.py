"""Numbers and texts of records: integers, BCD, floats and data of variable length, exactly.

EN 13757-3, annex A (data types) and annex B (hex digits in BCD).
All functions take the data lowest byte first.
"""

import struct
from decimal import Context, Decimal
from math import isfinite, isnan
from typing import Final

from msgspec import Struct

from common.errors import Undecodable

from .state import State
from .vif import Meaning
from .vif_tables import MANUFACTURER_SPECIFIC, DataType

EXACT: Final = Context(prec=1200)
"""Enough digits for every float32 and every number of variable length: nothing is rounded."""

Value = Decimal | str | bytes | None

_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_LVAR_DOUBLE: Final = 0xF8


class Decoded(Struct, frozen=True):
    """A value or the state in its place; ``count`` is the integer as the meter sent it."""

    value: Value
    state: State | None = None
    count: int | None = None


def scaled(count: int, meaning: Meaning) -> Decimal:
    """The exact value of an integer in the meaning's unit."""
    value = Decimal(count * meaning.multiplier)
    if meaning.shift:
        value = value.scaleb(meaning.shift, EXACT)
    return value if meaning.offset is None else EXACT.add(value, meaning.offset)


def decode_integer(data: bytes, meaning: Meaning, unsigned: bool) -> Decoded:
    """Type B, whose smallest number means "not available", or an unsigned integer."""
    count = int.from_bytes(data, "little", signed=not unsigned)
    if not unsigned and data[-1] == 0x80 and not any(data[:-1]):
        return Decoded(None, State.NOT_AVAILABLE)
    return Decoded(scaled(count, meaning), None, count)


def decode_bcd(data: bytes, meaning: Meaning) -> Decoded:
    """Type A: F in the highest digit is a minus sign, A to E there an overflow (A = 10 …).

    B in every digit is "not available"; any other hex digit spoils the number.
    """
    digits = data[::-1].hex()
    if digits.isdecimal():
        count = int(digits)
    elif digits.strip("b") == "":
        return Decoded(None, State.NOT_AVAILABLE)
    elif not digits[1:].isdecimal():
        return Decoded(None, State.ERROR)
    elif digits[0] == "f":
        count = -int(digits[1:])
    else:
        count = int(digits[0], 16) * 10 ** (len(digits) - 1) + int(digits[1:])
        return Decoded(None, State.OVERFLOW, count)
    return Decoded(scaled(count, meaning), None, count)


def decode_real(data: bytes, meaning: Meaning) -> Decoded:
    """Type H (IEEE 754, 32 or 64 bits). NaN is "not available", an infinity an overflow."""
    number = (_FLOAT if len(data) == _FLOAT.size else _DOUBLE).unpack(data)[0]
    if not isfinite(number):
        return Decoded(None, State.NOT_AVAILABLE if isnan(number) else State.OVERFLOW)
    value = EXACT.multiply(Decimal(number), Decimal(meaning.multiplier))
    value = value.scaleb(meaning.shift, EXACT)
    return Decoded(value if meaning.offset is None else EXACT.add(value, meaning.offset))


def variable_length(lvar: int) -> int:
    """The bytes that follow an LVAR byte. Raises Undecodable for reserved classes."""
    if lvar <= 0xBF:
        return lvar
    if lvar <= 0xC9 or 0xD0 <= lvar <= 0xD9 or 0xE0 <= lvar <= 0xEF:
        return lvar & 0x0F
    if 0xF0 <= lvar <= 0xF6:
        return (16, 20, 24, 28, 32, 48, 64)[lvar - 0xF0]
    if lvar == _LVAR_DOUBLE:
        return _DOUBLE.size
    raise Undecodable(f"reserved length {lvar:02X}")


def decode_variable(lvar: int, data: bytes, meaning: Meaning) -> Decoded:
    """Data of variable length: text, BCD of either sign, a binary number or a float.

    Binary numbers of up to 8 bytes are integers; longer ones, those of the manufacturer's own,
    and what is to be a date (type M), stay bytes. F8 is a float of 8 bytes: "floating point"
    were F0 to FA in the 2004 edition, of which the 2018 edition gives F0 to F6 to binary numbers.
    """
    if lvar <= 0xBF:
        return Decoded(data.decode("latin-1"))
    if not data:
        return Decoded(None, State.NO_DATA)
    if _is_blob(lvar, data, meaning):
        return Decoded(data)
    if lvar >= 0xE0:
        is_real = lvar == _LVAR_DOUBLE
        return decode_real(data, meaning) if is_real else decode_integer(data, meaning, True)
    decoded = decode_bcd(data, meaning)
    if lvar >= 0xD0 and decoded.count is not None and decoded.state is None:
        return Decoded(scaled(-decoded.count, meaning), None, -decoded.count)
    return decoded


def _is_blob(lvar: int, data: bytes, meaning: Meaning) -> bool:
    if meaning.data_type is DataType.DATE:
        return True
    is_binary = lvar >= 0xE0 and lvar != _LVAR_DOUBLE
    return is_binary and (len(data) > 8 or meaning.quantity == MANUFACTURER_SPECIFIC)
