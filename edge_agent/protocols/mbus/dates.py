"""Dates and times of EN 13757-3, annex A: types F, G, I and J, as ISO 8601 text.

Parts that the meter leaves open ("every year") are written as X: ``XXXX-12-31``.
"""

from calendar import monthrange
from typing import Final

from .state import State

Decoded = tuple[str | None, State | None, bool]
"""The text, or the state in its place; and whether summer time is in force."""

_UNSPECIFIED: Final[Decoded] = (None, State.NOT_AVAILABLE, False)
_INVALID: Final[Decoded] = (None, State.INVALID, False)


def decode_date(data: bytes) -> Decoded | None:
    """A date or time of 2 (G), 3 (J), 4 (F) or 6 (I) bytes, lowest byte first; else None."""
    decode = _TYPES.get(len(data))
    if decode is None:
        return None
    # A time of all zeros is midnight; a date of all zeros has no day and no month.
    if data.count(0xFF) == len(data) or (not any(data) and len(data) != _TIME_LENGTH):
        return _UNSPECIFIED
    return decode(data)


def _type_g(data: bytes) -> Decoded:
    return _result(_date(data[0], data[1], 0), "", False)


def _type_j(data: bytes) -> Decoded:
    clock = _clock(data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)
    return (clock, None, False) if clock else _INVALID


def _type_f(data: bytes) -> Decoded:
    if data[0] & 0x80:
        return _INVALID
    date = _date(data[2], data[3], (data[1] >> 5) & 3)
    return _result(date, _clock(data[1] & 0x1F, data[0] & 0x3F, 0), bool(data[1] & 0x80))


def _type_i(data: bytes) -> Decoded:
    if data[1] & 0x80:
        return _INVALID
    clock = _clock(data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)
    return _result(_date(data[3], data[4], 0), clock, bool(data[0] & 0x40))


_TIME_LENGTH: Final = 3
_TYPES: Final = {2: _type_g, _TIME_LENGTH: _type_j, 4: _type_f, 6: _type_i}


def _result(date: str | None, clock: str | None, summer: bool) -> Decoded:
    if date is None or clock is None:
        return _INVALID
    return (f"{date}T{clock}" if clock else date), None, summer


def _date(low: int, high: int, hundreds: int) -> str | None:
    """Day (5 bits), year (3 + 4 bits), month (4 bits); None when there is no such day.

    Without a century (``hundreds`` 0) the years 81..99 are of the 20th, 0..80 of the 21st.
    """
    day, month = low & 0x1F, high & 0x0F
    year = (low >> 5) | ((high & 0xF0) >> 1)
    if year > 99 and year != 127:
        return None
    if year != 127:
        year += 1900 + 100 * hundreds if hundreds or year > 80 else 2000
    if not 1 <= month <= 12 and month != 15:
        return None
    if day and month != 15 and day > monthrange(2000 if year == 127 else year, month)[1]:
        return None
    year_text = "XXXX" if year == 127 else f"{year:04}"
    month_text = "XX" if month == 15 else f"{month:02}"
    return f"{year_text}-{month_text}-{day:02}" if day else f"{year_text}-{month_text}-XX"


def _clock(hour: int, minute: int, second: int) -> str | None:
    """All bits set mean "every"; None when there is no such time."""
    if (hour > 23 and hour != 31) or (minute > 59 and minute != 63) or 59 < second < 63:
        return None
    hours = "XX" if hour == 31 else f"{hour:02}"
    minutes = "XX" if minute == 63 else f"{minute:02}"
    return f"{hours}:{minutes}:{'XX' if second == 63 else f'{second:02}'}"
