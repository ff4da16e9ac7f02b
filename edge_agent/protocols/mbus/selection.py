"""Secondary addresses and the selection by them (EN 13757-3, 11.3; field.md, section 2)."""

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from common.errors import Undecodable

from .header import manufacturer_code, manufacturer_letters
from .link import FCB, SELECTED, SND_UD, LongFrame
from .telegram import CI_FIXED, CI_LONG

CI_SELECT: Final = 0x52
CI_SELECT_HIGH_FIRST: Final = 0x56
HIGH_FIRST: Final = 0x04
"""The bit of a CI field that says that the high byte comes first (EN 13757-3, mode 2)."""
ANY_BYTE: Final = 0xFF
ANY_DIGIT: Final = "F"
_TEXT: Final = re.compile(
    r"([0-9A-E]{8})(?:-([A-Z]{3}|[0-9A-F]{4})-([0-9A-F]{2})-([0-9A-F]{2}))?", re.ASCII
)


class Secondary(Struct, frozen=True):
    """The 8 bytes that name a meter, or a mask of them.

    ``digits`` are those of the identification, F for any digit; ``rest`` is manufacturer (two
    bytes, low byte first), version and medium, FF for any.
    """

    digits: str = ANY_DIGIT * 8
    rest: tuple[int, int, int, int] = (ANY_BYTE,) * 4

    def __str__(self) -> str:
        """``12345678-INM-05-07``; ``12345678`` when any maker, version and medium will do."""
        if all(byte == ANY_BYTE for byte in self.rest):
            return self.digits
        low, high, version, medium = self.rest
        code = high << 8 | low
        maker = "any" if code == 0xFFFF else f"{code:04X}"
        if code < 0x8000 and low != ANY_BYTE and manufacturer_letters(code).isalpha():
            maker = manufacturer_letters(code)
        ends = ("any" if byte == ANY_BYTE else f"{byte:02X}" for byte in (version, medium))
        return "-".join((self.digits, maker, *ends))

    @property
    def is_mask(self) -> bool:
        """Whether several meters may fit however they are made."""
        return ANY_DIGIT in self.digits or ANY_BYTE in self.rest

    def fits(self, other: "Secondary") -> bool:
        """Whether a meter with the address ``other`` is meant; what it does not tell may be so."""
        return all(
            own in (ANY_DIGIT, digit) for own, digit in zip(self.digits, other.digits, strict=True)
        ) and all(
            own == byte or ANY_BYTE in (own, byte)
            for own, byte in zip(self.rest, other.rest, strict=True)
        )

    def to_bytes(self) -> bytes:
        """As sent with the low byte first (CI 52)."""
        return bytes.fromhex(self.digits)[::-1] + bytes(self.rest)

    def with_digit(self, position: int, digit: str) -> "Secondary":
        """The mask with one digit said."""
        return replace(self, digits=self.digits[:position] + digit + self.digits[position + 1 :])

    def with_byte(self, position: int, byte: int) -> "Secondary":
        """The mask with one byte of ``rest`` said."""
        rest = list(self.rest)
        rest[position] = byte
        return replace(self, rest=tuple(rest))


def parse_secondary(text: str) -> Secondary:
    """``12345678`` or ``12345678-INM-05-07``, version and medium in hex. Raises Undecodable."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Undecodable(
            f"{text!r}: expected 8 digits as 12345678, or with manufacturer, version and medium "
            "as 12345678-INM-05-07"
        )
    digits, maker, version, medium = found.groups()
    if maker is None:
        return Secondary(digits)
    return Secondary(digits, (*_maker(maker), int(version, 16), int(medium, 16)))


def parse_mask(text: str) -> Secondary:
    """``12FFFFFF``: digits, F for any; maker, version and medium stay open. Raises Undecodable."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}", text, re.ASCII):
        raise Undecodable(f"{text!r}: expected 8 digits, F for any, as 12FFFFFF")
    return Secondary(text.upper())


def secondary_of(frame: LongFrame) -> Secondary | None:
    """The address that a meter tells of itself; None when its header has none (short).

    A fixed structure (CI 73, 77) tells the identification alone.
    """
    high_first = bool(frame.ci & HIGH_FIRST)
    ci = frame.ci & ~HIGH_FIRST
    if ci not in (CI_LONG, CI_FIXED) or len(frame.data) < 8:
        return None
    digits, maker = frame.data[:4], frame.data[4:6]
    if not high_first:
        digits = digits[::-1]
    else:
        maker = maker[::-1]
    address = Secondary(digits.hex().upper())
    if ci == CI_FIXED:
        return address
    return replace(address, rest=(maker[0], maker[1], frame.data[6], frame.data[7]))


def select(mask: Secondary) -> LongFrame:
    """The request that selects the meters that fit; they answer E5, all others fall silent.

    The frame count bit is set, as in libmbus: a selection is valid with either.
    """
    return LongFrame(SND_UD | FCB, SELECTED, CI_SELECT, mask.to_bytes())


def parse_selection(frame: LongFrame) -> Secondary | None:
    """What a frame selects; None when it is no selection that we know."""
    if len(frame.data) != 8 or frame.ci not in (CI_SELECT, CI_SELECT_HIGH_FIRST):
        return None
    digits, maker = frame.data[:4], frame.data[4:6]
    if frame.ci == CI_SELECT:
        digits = digits[::-1]
    else:
        maker = maker[::-1]
    return Secondary(digits.hex().upper(), (maker[0], maker[1], frame.data[6], frame.data[7]))


def _maker(letters: str) -> tuple[int, int]:
    """Low and high byte of three letters, or of the four hex digits of a code that is none."""
    code = int(letters, 16) if len(letters) == 4 else manufacturer_code(letters)
    return code & 0xFF, code >> 8
