"""Building frames: what a master asks, and what a meter answers (CI 72, low byte first).

Round trip: ``decode(response(...))`` gives back the header and the records that went in.
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


def real(vib: bytes, value: float, place: Place = NOW) -> bytes:
    """A record with a 32-bit float."""
    return dib(5, place) + vib + struct.pack("<f", value)


def text(vib: bytes, value: str) -> bytes:
    """A record with up to 191 latin-1 characters, sent last character first."""
    data = value.encode("latin-1", "replace")[:0xBF]
    return dib(13) + vib + bytes((len(data),)) + data[::-1]


def flags(vib: bytes, value: int) -> bytes:
    """A record with 16 bits, such as error flags."""
    return dib(2) + vib + (value & 0xFFFF).to_bytes(2, "little")


def date_and_time(year: int, month: int, day: int, hour: int, minute: int) -> bytes:
    """A record with a date and time of type F (04 6D); years 1900 to 2299."""
    hundreds, short = divmod(year - 1900, 100)
    return bytes(
        (
            0x04,
            0x6D,
            minute,
            hour | (hundreds & 3) << 5,
            day | (short & 7) << 5,
            month | (short >> 3) << 4,
        )
    )


def long_header(header: Header) -> bytes:
    """The 12 bytes of a long header; raises Undecodable when the identity is not given."""
    if header.identification is None or header.manufacturer is None:
        raise Undecodable("a long M-Bus header needs identification and manufacturer")
    return b"".join(
        (
            bytes.fromhex(header.identification)[::-1],
            manufacturer_code(header.manufacturer).to_bytes(2, "little"),
            bytes((header.version or 0, header.medium or 0, header.access & 0xFF, header.status)),
            header.configuration.to_bytes(2, "little"),
        )
    )


def response(
    address: int, header: Header, records: Iterable[bytes], more_follows: bool = False
) -> LongFrame:
    """A meter's answer to REQ_UD2."""
    tail = bytes((MORE_FOLLOWS,)) if more_follows else b""
    return LongFrame(RSP_UD, address, CI_LONG, long_header(header) + b"".join(records) + tail)
