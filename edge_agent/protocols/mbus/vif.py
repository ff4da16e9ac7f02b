"""The value information block (VIF, VIFEs, plain text) of a record: EN 13757-3, 6.4."""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final

from msgspec import Struct

from common.errors import Undecodable

from .state import State
from .vif_tables import (
    EXTENDED_QUALIFIERS,
    EXTENSION_FB,
    EXTENSION_FD,
    EXTENSION_FD_FD,
    PRIMARY,
    QUALIFIERS,
    RESERVED,
    DataType,
    Entry,
)

MAX_VIFE: Final = 10
MAX_TEXT: Final = 128
"""Longer units are damage: they would swallow the records behind them (libmbus's limit too)."""
_PLAIN_TEXT: Final = 0x7C
_MANUFACTURER: Final = 0x7F
_SECONDS: Final = (1, 60, 3600, 86400)
_MULTIPLIERS: Final = {**{0x70 + n: n - 6 for n in range(8)}, 0x7D: 3}
_ADDENDS: Final = {0x78 + n: Decimal(1).scaleb(n - 3) for n in range(4)}
_EXTENSION: Final = 0x7C
_FD: Final = 0xFD
# EF opens a third table, all of it reserved: its codes are not those of the chain.
_EXTENSIONS: Final = {0xFB: EXTENSION_FB, _FD: EXTENSION_FD, 0xEF: (RESERVED,) * 128}
_DURATIONS: Final = frozenset(range(0x50, 0x68))
_DATES: Final = frozenset(
    {0x39, 0x42, 0x43, 0x46, 0x47, 0x4A, 0x4B, 0x4E, 0x4F, 0x6A, 0x6B, 0x6E, 0x6F}
)
# Dates and counts, and numbers in another unit than the VIF's: relative deviation, non-metric.
_WITHOUT_UNIT: Final = _DATES | {0x41, 0x49, 0x14, 0x3D}
_TYPES: Final = {
    **dict.fromkeys(_DATES, DataType.DATE),
    **dict.fromkeys((0x13, 0x1E, 0x1F), DataType.BYTES),
}
# After FC: data presented as type C, as type D.
_PRESENTED: Final = dict.fromkeys((0x11, 0x12), DataType.UNSIGNED)
_RECORD_STATES: Final = {
    0x15: State.NOT_AVAILABLE,
    0x16: State.OVERFLOW,
    0x17: State.UNDERFLOW,
    0x18: State.ERROR,
}


class Meaning(Struct, frozen=True):
    """What a VIB says: value = data x multiplier x 10^shift + offset, in ``unit``.

    ``shift`` is never positive. ``state`` is set when the meter sends a record error instead.
    """

    quantity: str
    unit: str
    multiplier: int
    shift: int
    offset: Decimal | None
    data_type: DataType
    qualifiers: tuple[str, ...]
    state: State | None


def end_of_vib(data: bytes, start: int) -> int:
    """The index behind the VIB that starts at ``start``. Raises Undecodable when it is cut off."""
    return _split(data, start)[2]


def plain_text_span(vib: bytes) -> tuple[int, int]:
    """Where in a whole VIB its plain text stands; an empty span when it has none."""
    text, chain, end = _split(vib, 0)
    if text is None:
        return 0, 0
    behind_vif = vib[2 : 2 + len(text)] == text and end == 2 + len(text) + len(chain)
    return (2, 2 + len(text)) if behind_vif else (end - len(text), end)


def _split(data: bytes, start: int) -> tuple[bytes | None, bytes, int]:
    """The plain text as sent (None without one), the VIFEs, and the end of a VIB.

    Meters disagree on where the text of FC stands; it is taken right behind the VIF when
    printable characters of the told length are there, else behind the last VIFE.
    """
    if start >= len(data):
        raise Undecodable("cut off before its VIF")
    vif = data[start]
    at = start + 1
    if vif & 0x7F != _PLAIN_TEXT:
        end = _end_of_chain(data, at) if vif & 0x80 else at
        return None, data[at:end], end
    text, after = _text(data, at)
    if vif & 0x80:
        if text is not None and text and min(text) >= 0x20:
            end = _end_of_chain(data, after)
            return text, data[after:end], end
        end = _end_of_chain(data, at)
        text, after = _text(data, end)
        chain = data[at:end]
    else:
        chain = b""
    if text is None:
        raise Undecodable(f"its plain-text unit is cut off, or longer than {MAX_TEXT} bytes")
    return text, chain, after


def _end_of_chain(data: bytes, start: int) -> int:
    for end in range(start, min(len(data), start + MAX_VIFE)):
        if not data[end] & 0x80:
            return end + 1
    if len(data) >= start + MAX_VIFE:
        raise Undecodable(f"more than {MAX_VIFE} VIFEs")
    raise Undecodable("cut off in its VIFEs")


def _text(data: bytes, at: int) -> tuple[bytes | None, int]:
    if at >= len(data) or data[at] > MAX_TEXT:
        return None, at
    end = at + 1 + data[at]
    return (data[at + 1 : end], end) if end <= len(data) else (None, at)


@lru_cache(maxsize=4096)
def interpret(vib: bytes, text_reversed: bool = True) -> Meaning:
    """What the bytes of a whole VIB say. Plain text comes last character first in mode 1."""
    text, chain, _ = _split(vib, 0)
    codes = [vife & 0x7F for vife in chain]
    if text is not None:
        unit = (text[::-1] if text_reversed else text).decode("latin-1")
        return _combine(Entry("plain text", unit), codes)
    return _combine(*_entry(vib[0], codes))


def _entry(vif: int, codes: list[int]) -> tuple[Entry, list[int]]:
    """The table entry of a VIF, and those of its VIFEs that are not used up by finding it."""
    if vif & 0x7F == _MANUFACTURER:
        return PRIMARY[_MANUFACTURER], [_MANUFACTURER, *codes]
    if vif == _FD and codes[0] == _FD & 0x7F:
        return (EXTENSION_FD_FD[codes[1]] if codes[1:] else RESERVED), codes[2:]
    table = _EXTENSIONS.get(vif)
    return (table[codes[0]], codes[1:]) if table else (PRIMARY[vif & 0x7F], codes)


def _combine(entry: Entry, codes: list[int]) -> Meaning:
    """Apply a chain of combinable VIFEs (EN 13757-3:2018, table 15) to a table entry."""
    unit, factor, power = entry.unit, entry.factor, entry.power
    data_type, offset, state = entry.data_type, Decimal(0), None
    words: list[str] = []
    remaining = iter(codes)
    for code in remaining:
        if code == _MANUFACTURER:
            words += _manufacturer_words(remaining)
            break
        if code in _MULTIPLIERS:
            power += _MULTIPLIERS[code]
        elif code in _ADDENDS:
            offset += _ADDENDS[code]
        elif code == _EXTENSION:
            following = next(remaining, 0)
            words.append(EXTENDED_QUALIFIERS.get(following, f"extension {following:02X}"))
            data_type = _PRESENTED.get(following, data_type)
        elif code < 0x20 and code not in QUALIFIERS:
            state = _RECORD_STATES.get(code, State.ERROR) if code else state
        else:
            words.append(QUALIFIERS.get(code) or _occurrence(code))
            data_type = _TYPES.get(code, data_type)
            if code in _DURATIONS:
                unit, factor, power = "s", _SECONDS[code & 3], 0
            elif code in _WITHOUT_UNIT:
                unit, factor, power = "", 1, 0
    # The constant is in the VIF's own unit, which may be a minute, an hour or a day.
    if factor in _SECONDS:
        offset *= factor
    if power > 0:
        factor, power = factor * 10**power, 0
    return Meaning(
        entry.quantity, unit, factor, power, offset or None, data_type, tuple(words), state
    )


def _manufacturer_words(codes: Iterator[int]) -> list[str]:
    """Codes that only the manufacturer can explain, kept apart: meters name phases so."""
    code = bytes(codes).hex(" ").upper()
    return ["manufacturer specific", code] if code else ["manufacturer specific"]


def _occurrence(code: int) -> str:
    """The words for VIFEs that speak of the first or last time that a limit was exceeded.

    Codes 40 to 5F carry a bit for the limit, all of them one for first or last.
    """
    what = "duration" if code in _DURATIONS else "end" if code & 1 else "begin"
    which = "last" if code & 4 else "first"
    if code >= 0x60:
        return f"{what} of {which}"
    return f"{what} of {which} {'upper' if code & 8 else 'lower'} limit exceeded"
