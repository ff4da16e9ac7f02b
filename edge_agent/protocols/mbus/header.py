"""The headers of M-Bus telegrams: long, short and fixed (EN 13757-3, clause 5)."""

from typing import Final, Literal

from msgspec import Struct

from common.errors import Undecodable

LONG_HEADER_LENGTH: Final = 12
SHORT_HEADER_LENGTH: Final = 4

# Status byte (EN 13757-3, 5.10).
APPLICATION_BUSY: Final = 1
APPLICATION_ERROR: Final = 2
ABNORMAL: Final = 3
POWER_LOW: Final = 0x04
PERMANENT_ERROR: Final = 0x08
TEMPORARY_ERROR: Final = 0x10
_MANUFACTURERS_BITS: Final = (0x20, 0x40, 0x80)

_APPLICATION_WORDS: Final = {
    APPLICATION_BUSY: "application busy",
    APPLICATION_ERROR: "application error",
    ABNORMAL: "abnormal condition",
}
_BIT_WORDS: Final = {
    POWER_LOW: "power low",
    PERMANENT_ERROR: "permanent error",
    TEMPORARY_ERROR: "temporary error",
    **{bit: f"manufacturer's bit {bit.bit_length() - 1}" for bit in _MANUFACTURERS_BITS},
}


class Header(Struct, frozen=True):
    """Who speaks.

    ``identification`` is 8 digits (hex digits are kept), ``manufacturer`` its three letters,
    ``medium`` the device type code of EN 13757-3. A short header has no identity: None.
    ``configuration`` is the word that older meters used as a signature. ``status`` is the byte as
    sent; its lowest two bits are no faults in the ``fixed`` structure, which has no configuration.
    """

    access: int
    status: int
    configuration: int = 0
    identification: str | None = None
    manufacturer: str | None = None
    version: int | None = None
    medium: int | None = None
    fixed: bool = False

    @property
    def permanent_error(self) -> bool:
        """Whether the meter reports a permanent or an application error of its own."""
        return bool(self.status & PERMANENT_ERROR) or self._application == APPLICATION_ERROR

    @property
    def status_words(self) -> tuple[str, ...]:
        """What the status byte says, in words; none when all is well."""
        application = _APPLICATION_WORDS.get(self._application)
        bits = tuple(words for bit, words in _BIT_WORDS.items() if self.status & bit)
        return (application, *bits) if application else bits

    @property
    def _application(self) -> int:
        return 0 if self.fixed else self.status & 3


def byte_order(high_first: bool) -> Literal["big", "little"]:
    """Mode 2 (CI 76, 77) sends the high byte first, mode 1 the low byte."""
    return "big" if high_first else "little"


def manufacturer_letters(code: int) -> str:
    """Three letters of five bits each (EN 13757-3, 5.6); FLAG codes use A to Z."""
    return "".join(chr(64 + ((code >> shift) & 0x1F)) for shift in (10, 5, 0))


def manufacturer_code(letters: str) -> int:
    """The number of three letters A to Z. Raises Undecodable for others."""
    if len(letters) != 3 or not all("A" <= letter <= "Z" for letter in letters):
        raise Undecodable(f"{letters!r} is not a manufacturer's three letters")
    first, second, third = (ord(letter) - 64 for letter in letters)
    return (first << 10) | (second << 5) | third


def decode_long(data: bytes, high_first: bool) -> Header:
    """The long header at the start of at least LONG_HEADER_LENGTH bytes."""
    order = byte_order(high_first)
    return Header(
        access=data[8],
        status=data[9],
        configuration=int.from_bytes(data[10:12], order),
        identification=f"{int.from_bytes(data[0:4], order):08X}",
        manufacturer=manufacturer_letters(int.from_bytes(data[4:6], order)),
        version=data[6],
        medium=data[7],
    )


def decode_short(data: bytes, high_first: bool) -> Header:
    """The short header at the start of at least SHORT_HEADER_LENGTH bytes."""
    order = byte_order(high_first)
    return Header(data[0], data[1], int.from_bytes(data[2:4], order))
