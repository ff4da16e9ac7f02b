"""The frames of IM1 as values. Fields, order and ranges: docs/devices/c11do1eth.md."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar

from edge_agent.protocols.c11do1eth.fields import (
    ARGUMENTS,
    BIT,
    BOOT,
    COMMAND,
    DEVICE,
    MAX_LINE,
    NAME,
    NOTHING,
    SEQ,
    TIME,
    U8,
    U32,
    U64,
    WORD,
    Choice,
    Field,
    Hex,
    NakCode,
    Number,
    OptionalNumber,
    Rest,
)
from edge_agent.protocols.crc import crc16_arc


class Clock(StrEnum):
    """How good the device's time was when it sampled."""

    SYNCED = "S"
    HOLDOVER = "H"
    UNKNOWN = "U"


class Reason(StrEnum):
    """Why a record was made, or that it was made earlier and is sent late (BACKLOG), or was
    acknowledged before and is sent again because READ asked for it (READ_BACK)."""

    TIMED = "T"
    DELTA = "D"
    EVENT = "E"
    FORCED = "F"
    BACKLOG = "B"
    READ_BACK = "R"


class Cause(StrEnum):
    """Why a record had to be cached."""

    NONE = "-"
    NO_LINK = "L"
    NOT_ACKNOWLEDGED = "A"


class EventCode(StrEnum):
    """The events named so far; a receiver takes any other word as well."""

    POWER_UP = "POWERUP"
    BROWN_OUT = "BROWNOUT"
    LINE_BREAK = "LINEBREAK"
    STUCK_INPUT = "STUCK"
    RATE_EXCEEDED = "RATE"
    LEAK = "LEAK"
    STANDSTILL = "STANDSTILL"
    CLOCK_STEP = "CLOCK"
    PRESET = "PRESET"
    BACKLOG_OVERFLOW = "OVERFLOW"
    OUTPUT_CHANGED = "OUTPUT"


class Result(StrEnum):
    """What became of a command."""

    OK = "OK"
    EXPIRED = "EXPIRED"
    UNSUPPORTED = "UNSUPPORTED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Frame:
    """What every frame has: the device's name, whichever side sends it.

    ``LAYOUT`` is the wire form of the fields after the sequence number, in the order of the
    dataclass. A frame that names a record has the field ``seq``, in the range of ``NUMBER``;
    in all others the sequence number is 0 on the wire.
    """

    TYPE: ClassVar[str]
    LAYOUT: ClassVar[tuple[Field, ...]]
    NUMBER: ClassVar[Number] = NOTHING

    device: str

    def to_line(self) -> bytes:
        """The frame's bytes, CRLF included; ValueError when a field is out of its range."""
        names = [field.name for field in fields(self)][1:]
        seq = 0 if self.NUMBER is NOTHING else getattr(self, names.pop(0))
        parts = ["IM1", DEVICE.encode(self.device), self.TYPE, self.NUMBER.encode(seq)]
        for name, field in zip(names, self.LAYOUT, strict=True):
            text = field.encode(getattr(self, name))
            if text or not isinstance(field, Rest):
                parts.append(text)
        body = ",".join(parts).encode("ascii")
        line = b"$%b*%04X\r\n" % (body, crc16_arc(body))
        if len(line) > MAX_LINE:
            raise ValueError(f"line of {len(line)} bytes; at most {MAX_LINE} are allowed")
        return line


@dataclass(frozen=True, slots=True)
class Hello(Frame):
    """Device → server, first: who it is, and which sequence numbers it still has."""

    TYPE = "HELLO"
    LAYOUT = (U8, NAME, NAME, BOOT, U32, SEQ, U32)

    version: int
    model: str
    firmware: str
    boot: int
    last: int
    oldest: int
    config: int


@dataclass(frozen=True, slots=True)
class Chal(Frame):
    """Server → device: a nonce of 16 random bytes."""

    TYPE = "CHAL"
    LAYOUT = (Hex(16),)

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Auth(Frame):
    """Device → server: the proof over the nonce."""

    TYPE = "AUTH"
    LAYOUT = (Hex(32),)

    proof: bytes


@dataclass(frozen=True, slots=True)
class Welc(Frame):
    """Server → device: time (ms), highest committed seq, periods (s), delta (pulses, 0: off)."""

    TYPE = "WELC"
    LAYOUT = (TIME, U32, U32, U32, U32, U32)

    time_ms: int
    committed: int
    push_s: int
    log_s: int
    delta: int
    config: int


@dataclass(frozen=True, slots=True)
class Rec(Frame):
    """Device → server: one sample.

    ``at_ms`` is 0 when the time is UNKNOWN; ``uptime_ms`` always counts from power-up.
    ``total`` never goes back by communication; ``delta`` pulses came in the last ``period_s``.
    ``peak_mhz`` is the highest rate within the period, in thousandths of a pulse a second.
    """

    TYPE = "REC"
    LAYOUT = (
        *(BOOT, TIME, Choice(Clock), U64, U32, U64, U64, BIT, BIT, U32),
        *(Choice(Reason), Choice(Cause)),
    )
    NUMBER = SEQ

    seq: int
    boot: int
    at_ms: int
    clock: Clock
    uptime_ms: int
    period_s: int
    total: int
    delta: int
    level: int
    output: int
    peak_mhz: int
    reason: Reason
    cause: Cause


@dataclass(frozen=True, slots=True)
class Evt(Frame):
    """Device → server: something happened; ``values`` depend on the code."""

    TYPE = "EVT"
    LAYOUT = (BOOT, TIME, Choice(Clock), U64, WORD, ARGUMENTS)
    NUMBER = SEQ

    seq: int
    boot: int
    at_ms: int
    clock: Clock
    uptime_ms: int
    code: str
    values: tuple[str, ...] = ()

    @property
    def preset(self) -> tuple[int, int] | None:
        """The old and the new pulse total that PRESET reports; None for any other event."""
        if self.code != EventCode.PRESET or len(self.values) != 2:
            return None
        try:
            old, new = (U64.decode(text) for text in self.values)
        except ValueError:
            return None
        return old, new

    @property
    def lost(self) -> tuple[int, int] | None:
        """The first and last number that OVERFLOW reports as gone, both below its own; None for
        any other event."""
        if self.code != EventCode.BACKLOG_OVERFLOW or len(self.values) != 2:
            return None
        try:
            first, last = (SEQ.decode(text) for text in self.values)
        except ValueError:
            return None
        return (first, last) if first <= last < self.seq else None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record or event that came whole, with a good checksum, and has no meaning.

    It would be sent for ever if it were not settled: it is stored as it came, and acknowledged.
    ``boot`` is 0 where it cannot be read.
    """

    device: str
    seq: int
    boot: int
    line: str
    why: str


@dataclass(frozen=True, slots=True)
class Ack(Frame):
    """Server → device: everything up to ``seq`` is durable; ``count`` were taken this time."""

    TYPE = "ACK"
    LAYOUT = (U32,)
    NUMBER = U32

    seq: int
    count: int


@dataclass(frozen=True, slots=True)
class Nak(Frame):
    """Server → device: a line (``seq`` where known, else 0) or the session is refused."""

    TYPE = "NAK"
    LAYOUT = (Choice(NakCode),)
    NUMBER = U32

    seq: int
    code: NakCode


@dataclass(frozen=True, slots=True)
class Cmd(Frame):
    """Server → device: an order, not to be carried out after ``not_after_ms`` (UTC)."""

    TYPE = "CMD"
    LAYOUT = (COMMAND, TIME, WORD, ARGUMENTS)

    command: str
    not_after_ms: int
    verb: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rsp(Frame):
    """Device → server: the result of a command; ``value`` is what was read back."""

    TYPE = "RSP"
    LAYOUT = (COMMAND, Choice(Result), OptionalNumber(2**64 - 1), TIME)

    command: str
    result: Result
    value: int | None
    done_ms: int


@dataclass(frozen=True, slots=True)
class Ping(Frame):
    """Either side: are you there? ``time_ms`` is the sender's time, 0 when unknown."""

    TYPE = "PING"
    LAYOUT = (TIME,)

    time_ms: int


@dataclass(frozen=True, slots=True)
class Pong(Frame):
    """The answer to PING, with the answerer's own time."""

    TYPE = "PONG"
    LAYOUT = (TIME,)

    time_ms: int
