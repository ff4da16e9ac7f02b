"""Building records, a master's requests, and a meter's usual answer (CI 72, low byte first).

Round trip: ``decode(response(...))`` gives back the header and the records that went in. The
answers that meters give seldom are built by ``answers``.
"""

import struct
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from common.errors import Undecodable

from .dif import FUNCTIONS, MORE_FOLLOWS, Function
from .header import Header, manufacturer_code
from .link import FCB, REQ_UD2, RSP_UD, SND_NKE, LongFrame, ShortFrame
from .telegram import CI_LONG

_INTEGER_FIELDS = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 8: 7}
_BCD_FIELDS = {1: 9, 2: 10, 3: 11, 4: 12, 6: 14}
_VARIABLE: Final = 13
_HEX_DIGITS: Final = frozenset("0123456789ABCDEFabcdef")
_LONG_BINARIES: Final = {16: 0xF0, 20: 0xF1, 24: 0xF2, 28: 0xF3, 32: 0xF4, 48: 0xF5, 64: 0xF6}


def snd_nke(address: int) -> ShortFrame:
    """Reset the link of the meter at an address; it answers E5 and forgets the frame count."""
    return ShortFrame(SND_NKE, address)


def req_ud2(address: int, fcb: bool) -> ShortFrame:
    """Ask for data: 7B with the frame count bit set, 5B without."""
    return ShortFrame(REQ_UD2 | (FCB if fcb else 0), address)


class Place(Struct, frozen=True):
    """Where a record stands in the meter's data."""

    function: Function = Function.INSTANTANEOUS
    storage: int = 0
    tariff: int = 0
    subunit: int = 0


NOW: Final = Place()


def dib(data_field: int, place: Place = NOW) -> bytes:
    """The DIF and as few DIFEs as the numbers need."""
    function, storage = FUNCTIONS.index(place.function), place.storage
    chain = bytearray((data_field | function << 4 | (storage & 1) << 6,))
    storage, tariff, subunit = storage >> 1, place.tariff, place.subunit
    while storage or tariff or subunit:
        chain[-1] |= 0x80
        chain.append((storage & 0x0F) | (tariff & 3) << 4 | (subunit & 1) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    return bytes(chain)


def integer(vib: bytes, value: int, length: int, place: Place = NOW) -> bytes:
    """A record with a signed integer of 1, 2, 3, 4, 6 or 8 bytes.

    Raises Undecodable when it does not fit.
    """
    try:
        data = value.to_bytes(length, "little", signed=True)
        return dib(_INTEGER_FIELDS[length], place) + vib + data
    except (OverflowError, KeyError):
        raise Undecodable(f"{value} is no M-Bus integer of {length} bytes") from None


def bcd(vib: bytes, value: int, length: int, place: Place = NOW) -> bytes:
    """A record with a BCD number of 1, 2, 3, 4 or 6 bytes; F as highest digit is the sign.

    Raises Undecodable when it does not fit.
    """
    digits = f"{abs(value):0{2 * length - (value < 0)}}"
    if value < 0:
        digits = "f" + digits
    if len(digits) != 2 * length or length not in _BCD_FIELDS:
        raise Undecodable(f"{value} is no M-Bus BCD number of {length} bytes")
    return dib(_BCD_FIELDS[length], place) + vib + bytes.fromhex(digits)[::-1]


def digits(vib: bytes, text: str, place: Place = NOW) -> bytes:
    """A record with BCD digits as they are, highest first, also hex ones: what is no number.

    ``BBBB`` is "not available". Raises Undecodable when there are not 2, 4, 6, 8 or 12.
    """
    try:
        data = bytes.fromhex(text)[::-1]
        return dib(_BCD_FIELDS[len(data)], place) + vib + data
    except (ValueError, KeyError):
        raise Undecodable(f"{text[:20]!r} are no M-Bus BCD digits") from None


def real(vib: bytes, value: float, place: Place = NOW) -> bytes:
    """A record with a 32-bit float."""
    return dib(5, place) + vib + struct.pack("<f", value)


def nothing(vib: bytes, place: Place = NOW) -> bytes:
    """A record without data."""
    return dib(0, place) + vib


def text(vib: bytes, value: str, place: Place = NOW) -> bytes:
    """A record with up to 191 latin-1 characters, sent last character first."""
    data = value.encode("latin-1", "replace")[:0xBF]
    return dib(_VARIABLE, place) + vib + bytes((len(data),)) + data[::-1]


def variable_bcd(vib: bytes, value: int, place: Place = NOW) -> bytes:
    """A record with a BCD number of as many bytes as it needs, up to 9.

    Raises Undecodable when it does not fit.
    """
    data = bytes.fromhex(f"{abs(value):018d}")[::-1].rstrip(b"\0") if abs(value) < 10**18 else b""
    if not data and value:
        raise Undecodable(f"{value} has more than 18 digits")
    data = data or b"\0"
    lvar = (0xD0 if value < 0 else 0xC0) + len(data)
    return dib(_VARIABLE, place) + vib + bytes((lvar,)) + data


def binary(vib: bytes, data: bytes, place: Place = NOW) -> bytes:
    """A record with a binary number of any length that an LVAR can tell, low byte first.

    Up to 15, or 16, 20, 24, 28, 32, 48 or 64 bytes. Raises Undecodable for other lengths.
    """
    lvar = 0xE0 + len(data) if len(data) < 16 else _LONG_BINARIES.get(len(data))
    if lvar is None:
        raise Undecodable(f"no M-Bus record has {len(data)} bytes")
    return dib(_VARIABLE, place) + vib + bytes((lvar,)) + data


def double(vib: bytes, value: float, place: Place = NOW) -> bytes:
    """A record with a 64-bit float, of variable length."""
    return dib(_VARIABLE, place) + vib + b"\xf8" + struct.pack("<d", value)


def flags(vib: bytes, value: int, place: Place = NOW) -> bytes:
    """A record with 16 bits, such as error flags."""
    return dib(2, place) + vib + (value & 0xFFFF).to_bytes(2, "little")


def unit(name: str, vifes: bytes = b"") -> bytes:
    """A VIB whose unit is told in plain text, behind the VIF; ``vifes`` as they are sent."""
    data = name.encode("latin-1", "replace")
    return bytes((0xFC if vifes else 0x7C, len(data))) + data[::-1] + vifes


def date(year: int, month: int, day: int, place: Place = NOW) -> bytes:
    """A record with a date of type G (02 6C); years 1981 to 2080."""
    return dib(2, place) + b"\x6c" + _day(year, month, day)


def time_of_day(hour: int, minute: int, second: int, place: Place = NOW) -> bytes:
    """A record with a time of type J (03 6D)."""
    return dib(3, place) + b"\x6d" + bytes((second, minute, hour))


def date_and_time(
    year: int, month: int, day: int, hour: int, minute: int, *, place: Place = NOW
) -> bytes:
    """A record with a date and time of type F (04 6D); years 1900 to 2299."""
    hundreds = (year - 1900) // 100
    clock = bytes((minute, hour | (hundreds & 3) << 5))
    return dib(4, place) + b"\x6d" + clock + _day(year, month, day)


def instant(
    day: tuple[int, int, int], clock: tuple[int, int, int], summer: bool = False, place: Place = NOW
) -> bytes:
    """A record of type I (06 6D): year, month, day and hour, minute, second; 1981 to 2080."""
    hour, minute, second = clock
    times = bytes((second | summer << 6, minute, hour))
    return dib(6, place) + b"\x6d" + times + _day(*day) + b"\0"


def _day(year: int, month: int, day: int) -> bytes:
    short = year % 100
    return bytes((day | (short & 7) << 5, month | (short >> 3) << 4))


def long_header(header: Header) -> bytes:
    """The 12 bytes of a long header; raises Undecodable when it has no identity of 8 digits."""
    if header.identification is None or header.manufacturer is None:
        raise Undecodable("a long M-Bus header needs identification and manufacturer")
    return b"".join(
        (
            identification_bytes(header.identification),
            manufacturer_code(header.manufacturer).to_bytes(2, "little"),
            bytes((header.version or 0, header.medium or 0, header.access & 0xFF, header.status)),
            header.configuration.to_bytes(2, "little"),
        )
    )


def identification_bytes(identification: str) -> bytes:
    """Low byte first. Raises Undecodable when it is not 8 digits (hex digits are kept)."""
    if len(identification) != 8 or not set(identification) <= _HEX_DIGITS:
        raise Undecodable(f"{identification[:20]!r} is no M-Bus identification of 8 digits")
    return bytes.fromhex(identification)[::-1]


def response(
    address: int, header: Header, records: Iterable[bytes], more_follows: bool = False
) -> LongFrame:
    """A meter's answer to REQ_UD2."""
    tail = bytes((MORE_FOLLOWS,)) if more_follows else b""
    return LongFrame(RSP_UD, address, CI_LONG, long_header(header) + b"".join(records) + tail)
