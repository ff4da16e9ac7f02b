"""The link layer of EN 13757-2 (format class FT 1.2): frames to bytes and bytes to frames.

    E5                                          acknowledgement
    10 C A checksum 16                          short frame
    68 L L 68 C A CI data… checksum 16          long frame; without data a control frame

The checksum is the sum of everything from C to the last data byte, modulo 256.
"""

from typing import Final

from msgspec import Struct

from common.errors import FrameError

ACK_BYTE: Final = 0xE5
SHORT_START: Final = 0x10
LONG_START: Final = 0x68
STOP: Final = 0x16
LONG_HEAD: Final = 7
"""Bytes of a long frame before its data."""
MAX_DATA: Final = 252
"""L is one byte and counts C, A and CI too (EN 13757-2, 5.5)."""

# Control field of the master (EN 13757-2, 5.4). Bit 6 tells a master's frame from a slave's.
FROM_MASTER: Final = 0x40
FCB: Final = 0x20
FCV: Final = 0x10
SND_NKE: Final = 0x40
SND_UD: Final = 0x53
REQ_UD1: Final = 0x5A
REQ_UD2: Final = 0x5B
# Control field of the slave; bits 4 and 5 (DFC, ACD) are free, bit 7 is 0.
RSP_UD: Final = 0x08
SLAVE_FUNCTION: Final = 0xCF

SELECTED: Final = 253
BROADCAST_WITH_ANSWER: Final = 254
BROADCAST: Final = 255
MAX_PRIMARY: Final = 250


class Ack(Struct, frozen=True):
    """The single character E5."""

    def to_bytes(self) -> bytes:
        return b"\xe5"


class ShortFrame(Struct, frozen=True):
    """A frame without data: SND_NKE, REQ_UD1, REQ_UD2."""

    control: int
    address: int

    def to_bytes(self) -> bytes:
        body = bytes((self.control, self.address))
        return bytes((SHORT_START, *body, sum(body) & 0xFF, STOP))

    @property
    def from_master(self) -> bool:
        return bool(self.control & FROM_MASTER)


class LongFrame(Struct, frozen=True):
    """A frame with a control information field and 0 to 252 bytes of data."""

    control: int
    address: int
    ci: int
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """Raises FrameError when the data is longer than a frame can carry."""
        if len(self.data) > MAX_DATA:
            raise FrameError(f"{len(self.data)} bytes do not fit one M-Bus frame ({MAX_DATA})")
        body = bytes((self.control, self.address, self.ci)) + self.data
        head = bytes((LONG_START, len(body), len(body), LONG_START))
        return head + body + bytes((sum(body) & 0xFF, STOP))

    @property
    def from_master(self) -> bool:
        return bool(self.control & FROM_MASTER)


Frame = Ack | ShortFrame | LongFrame


def parse(buffer: bytes) -> tuple[Frame, int] | None:
    """The first frame in the buffer and its length; None when more bytes are needed.

    Raises FrameError as soon as the bytes cannot become a frame; it names the byte, from 0.
    """
    if not buffer:
        return None
    start = buffer[0]
    if start == LONG_START:
        return _parse_long(buffer)
    if start == SHORT_START:
        return _parse_short(buffer)
    if start == ACK_BYTE:
        return Ack(), 1
    raise FrameError(f"byte 0: no M-Bus frame starts with {start:02X}")


def parse_one(frame: bytes) -> Frame:
    """The one frame that the bytes are. Raises FrameError, also for a part or for more."""
    parsed = parse(frame)
    if parsed is None:
        raise FrameError(f"byte {len(frame)}: the M-Bus frame is cut off")
    if parsed[1] != len(frame):
        raise FrameError(f"byte {parsed[1]}: {len(frame) - parsed[1]} bytes follow the M-Bus frame")
    return parsed[0]


def _parse_short(buffer: bytes) -> tuple[Frame, int] | None:
    if len(buffer) < 5:
        return None
    if buffer[4] != STOP:
        raise FrameError(f"byte 4: {buffer[4]:02X} is no stop byte of an M-Bus short frame")
    _check(sum(buffer[1:3]), buffer, 3)
    return ShortFrame(buffer[1], buffer[2]), 5


def _parse_long(buffer: bytes) -> tuple[Frame, int] | None:
    have = len(buffer)
    if have < 4:
        if have > 1 and (buffer[1] < 3 or (have > 2 and buffer[1] != buffer[2])):
            raise FrameError("byte 1: wrong length in the head of an M-Bus frame")
        return None
    length = buffer[1]
    if length < 3 or length != buffer[2]:
        raise FrameError("byte 1: wrong length in the head of an M-Bus frame")
    if buffer[3] != LONG_START:
        raise FrameError(f"byte 3: {buffer[3]:02X} in the head of an M-Bus frame, not 68")
    end = 4 + length
    if have < end + 2:
        return None
    if buffer[end + 1] != STOP:
        raise FrameError(f"byte {end + 1}: {buffer[end + 1]:02X} is no stop byte of an M-Bus frame")
    _check(sum(buffer[4:end]), buffer, end)
    return LongFrame(buffer[4], buffer[5], buffer[6], bytes(buffer[7:end])), end + 2


def _check(total: int, buffer: bytes, at: int) -> None:
    if total & 0xFF != buffer[at]:
        raise FrameError(f"byte {at}: wrong checksum {buffer[at]:02X}, not {total & 0xFF:02X}")
