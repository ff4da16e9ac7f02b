"""Finding frames in a capture: bytes that someone recorded, perhaps with noise between them."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from common.errors import FrameError

from .link import LONG_START, SHORT_START, Frame, LongFrame, ShortFrame, parse

_FRAME_STARTS: Final = (LONG_START, SHORT_START)


class Piece(Struct, frozen=True):
    """A frame, or what is none and why; ``start`` counts from 0. Only noise has no ``frame``."""

    start: int
    end: int
    frame: Frame | None
    error: str = ""


def pieces(data: bytes) -> Iterator[Piece]:
    """Every frame of a capture, and the noise between them; together they are the whole of it.

    After noise, reading goes on at the next long or short frame whose checksum is right.
    """
    at = 0
    while at < len(data):
        try:
            parsed = parse(data[at : at + 261])
            reason = f"byte {len(data)}: the M-Bus frame is cut off"
        except FrameError as error:
            parsed, reason = None, _moved(str(error), at)
        if parsed is None:
            end = _next_frame(data, at + 1)
            yield Piece(at, end, None, reason)
        else:
            end = at + parsed[1]
            yield Piece(at, end, parsed[0])
        at = end


def _next_frame(data: bytes, start: int) -> int:
    for at in range(start, len(data)):
        if data[at] not in _FRAME_STARTS:
            continue
        try:
            parsed = parse(data[at : at + 261])
        except FrameError:
            continue
        if parsed is not None and isinstance(parsed[0], LongFrame | ShortFrame):
            return at
    return len(data)


def _moved(error: str, by: int) -> str:
    """``byte 3: …`` of a frame, as a byte of the capture."""
    word, number, rest = error.split(" ", 2)
    return f"{word} {int(number.rstrip(':')) + by}: {rest}"
