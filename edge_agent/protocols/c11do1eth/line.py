"""Lines: cutting a stream into them, checking them, and reading frames out of them."""

import re
from collections.abc import Callable

from edge_agent.protocols.c11do1eth.fields import (
    DEVICE,
    MAX_LINE,
    NOTHING,
    U32,
    BadLine,
    NakCode,
    Rest,
)
from edge_agent.protocols.c11do1eth.frames import (
    Ack,
    Auth,
    Chal,
    Cmd,
    Evt,
    Frame,
    Hello,
    Nak,
    Ping,
    Pong,
    Rec,
    Rsp,
    Unreadable,
    Welc,
)
from edge_agent.protocols.crc import crc16_arc

FROM_DEVICE: tuple[type[Frame], ...] = (Hello, Auth, Rec, Evt, Rsp, Ping, Pong)
FROM_SERVER: tuple[type[Frame], ...] = (Chal, Welc, Ack, Nak, Cmd, Ping, Pong)

_LINE = re.compile(rb"\$([\x20-\x7e]*)\*([0-9A-Fa-f]{4})")
_RECORDS = (Rec.TYPE, Evt.TYPE)
_FRAMES = {frame.TYPE: frame for frame in (*FROM_DEVICE, *FROM_SERVER)}


def parse(line: bytes) -> Frame:
    """The frame in one line (without its CRLF); BadLine when there is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadLine(NakCode.MALFORMED, "the line is not of the form $…*CRC in ASCII")
    if crc16_arc(match[1]) != int(match[2], 16):
        raise BadLine(NakCode.CRC, f"the checksum is not {match[2].decode('ascii')}")
    parts = match[1].decode("ascii").split(",")
    if len(parts) < 4 or parts[0] != "IM1":
        raise BadLine(NakCode.MALFORMED, "the line does not begin with IM1,device,type,seq")
    _, device, kind, number = parts[:4]
    if not DEVICE.pattern.fullmatch(device):
        raise BadLine(NakCode.MALFORMED, "the device's name is not one")
    seq = int(number) if number.isdecimal() and int(number) <= U32.maximum else 0
    text = match[1].decode("ascii") if seq and kind in _RECORDS else ""
    if kind not in _FRAMES:
        why = f"type {kind[:16]!r} is unknown"
        raise BadLine(NakCode.MALFORMED, why, device=device, seq=seq)
    try:
        return _read(_FRAMES[kind], device, number, parts[4:])
    except ValueError as error:
        why = f"{kind}: {error}"
        raise BadLine(NakCode.MALFORMED, why, device=device, seq=seq, line=text) from error


def unreadable(bad: BadLine) -> Unreadable | None:
    """The record that a bad line stands for; None when it names none, or is not whole."""
    if not bad.line:
        return None
    boot = bad.line.split(",")[4:5]
    number = int(boot[0]) if boot and re.fullmatch(r"[0-9]{1,10}", boot[0], re.ASCII) else 0
    if number > U32.maximum:
        number = 0
    return Unreadable(bad.device, bad.seq, number, bad.line, str(bad))


def _read(frame: type[Frame], device: str, number: str, texts: list[str]) -> Frame:
    """The frame from its fields' texts; ValueError on a wrong count or range."""
    seq = frame.NUMBER.decode(number)
    layout = frame.LAYOUT
    if isinstance(layout[-1], Rest):
        fixed = len(layout) - 1
        if texts[fixed:] == [""]:
            raise ValueError("an empty last field")
        if len(texts) >= fixed:
            texts = [*texts[:fixed], ",".join(texts[fixed:])]
    if len(texts) != len(layout):
        raise ValueError(f"{len(texts)} fields instead of {len(layout)}")
    values = [field.decode(text) for field, text in zip(layout, texts, strict=True)]
    make: Callable[..., Frame] = frame
    return make(device, *values) if frame.NUMBER is NOTHING else make(device, seq, *values)


class LineBuffer:
    """Received bytes, given out as frames.

    Holds at most ``MAX_LINE`` bytes beyond what was last put in: an over-long line is reported
    once and skipped up to its CRLF.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._skipping = False

    def __len__(self) -> int:
        """How many bytes wait for the rest of their line, or to be read."""
        return len(self._data)

    def receive(self, data: bytes) -> None:
        """Take in what has arrived, in pieces of any size."""
        self._data += data

    def next_frame(self) -> Frame | None:
        """The next frame, or None when more bytes are needed.

        Raises BadLine for a line that is no frame; the next call goes on after its CRLF.
        """
        while True:
            end = self._data.find(b"\r\n")
            if end < 0:
                self._discard_overlong()
                return None
            line = bytes(self._data[:end])
            del self._data[: end + 2]
            if self._skipping:
                self._skipping = False
                continue
            if end + 2 > MAX_LINE:
                raise _too_long()
            return parse(line)

    def _discard_overlong(self) -> None:
        if len(self._data) < MAX_LINE:
            return
        reported, self._skipping = self._skipping, True
        del self._data[: -1 if self._data.endswith(b"\r") else None]
        if not reported:
            raise _too_long()


def _too_long() -> BadLine:
    return BadLine(NakCode.MALFORMED, f"the line is longer than {MAX_LINE} bytes")
