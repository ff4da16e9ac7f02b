"""What a gateway says: hello, its journal's entries, its status. Normative: docs/protocol.md."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from common.errors import Undecodable
from common.messages.envelope import VERSION
from common.registers import Register

Count = Annotated[int, Meta(ge=0)]
Seq = Annotated[int, Meta(ge=1, le=2**62)]
Millis = Annotated[int, Meta(ge=0, le=2**53)]
Version = Annotated[int, Meta(ge=1, le=2**53)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Word = Annotated[str, Meta(min_length=1, max_length=48)]
Line = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=2000)]
HexId = Annotated[str, Meta(pattern="^[0-9a-f]{32}\\Z")]
Frame = Annotated[bytes, Meta(min_length=1, max_length=261)]
"""As long as an M-Bus frame may be: a length byte of 255, and six beside (EN 13757-2)."""

Severity = Annotated[str, Meta(pattern="^(info|warning|alarm)\\Z")]


class Hello(Struct, frozen=True):
    """On every connect: who the gateway is, and which entries of which stream it holds.

    ``clock``: what its wall clock is worth (``ClockQuality``); ``machine``: which computer it is.
    """

    stream: HexId
    first_kept: Seq
    next_seq: Seq
    boot: Count
    session: Count
    name: Line
    site: Word
    site_name: Line
    timezone: Line
    agent: Line
    clock: Count = 0
    machine: Annotated[str, Meta(max_length=64)] = ""
    v: int = VERSION


class CatalogRegister(Struct, frozen=True):
    """A register and the number by which this stream's readings name it."""

    no: Seq
    register: Register


class CatalogDevice(Struct, frozen=True, omit_defaults=True):
    """A device of the gateway; ``driver`` is c11do1eth, mbus or modbus."""

    key: Word
    name: Line
    driver: Word
    registers: list[CatalogRegister]
    model: Line = ""


class Catalog(Struct, frozen=True, tag="catalog", tag_field="k", omit_defaults=True):
    """Devices and registers of the gateway; precedes every reading that uses a new number.

    ``others``: the keys of its remaining devices, where one message has no room for all; other
    catalogs beside this one describe them.
    """

    at: Millis
    devices: list[CatalogDevice]
    others: list[Word] = []


class Value(Struct, frozen=True, array_like=True):
    """One register: scaled integer or null, quality code, the device's own count or null."""

    no: Seq
    value: Int64 | None
    quality: Annotated[int, Meta(ge=0, le=15)] = 0
    raw: Int64 | None = None


class Readings(Struct, frozen=True, tag="readings", tag_field="k"):
    """What one poll, or one record of a device, gave: all measured at ``at``."""

    at: Millis
    r: list[Value]


class Event(Struct, frozen=True, tag="event", tag_field="k", omit_defaults=True):
    """Something that happened on the gateway or one of its devices."""

    at: Millis
    code: Word
    severity: Severity
    text: Text
    device: str = ""
    data: dict[str, str | int | None] = {}


class CommandReport(Struct, frozen=True, tag="command", tag_field="k", omit_defaults=True):
    """How far the gateway is with a command: accepted, succeeded, failed, rejected, expired, …

    ``value`` is the state read back from the output, where one was read.
    """

    at: Millis
    id: HexId
    state: Word
    value: int | None = None
    detail: Text = ""


class Telegram(Struct, frozen=True, tag="telegram", tag_field="k"):
    """A frame that a device answered with, as it came; what is encrypted stays so.

    ``at``: that of the readings which are made of it, when the first frame of the poll had come.
    """

    at: Millis
    device: Word
    protocol: Literal["mbus"]
    frame: Frame


class Salvaged(Struct, frozen=True, tag="salvaged", tag_field="k"):
    """Entry ``seq`` of ``stream``, an older journal of this gateway whose file was damaged.

    ``at``: when it was salvaged; ``body`` is the entry's own.
    """

    at: Millis
    stream: HexId
    seq: Seq
    body: Raw


Body = Catalog | Readings | Event | CommandReport | Telegram | Salvaged


class DeviceStatus(Struct, frozen=True, omit_defaults=True):
    """How a device is doing; ``state`` is unknown, ok or failing."""

    key: Word
    state: Word
    last_ok_at: Millis | None = None
    failures: Count = 0
    error: Text = ""


class RefusedConfig(Struct, frozen=True):
    """The newest configuration from the cloud that does not run here (any more), and why."""

    version: Version
    reason: Text


class ConfigStatus(Struct, frozen=True, omit_defaults=True):
    """Which configuration runs: a version from the cloud, or 0 for the gateway's own file.

    ``trial``: it has yet to prove that cloud and devices can be reached with it.
    """

    version: Count = 0
    trial: bool = False
    refused: RefusedConfig | None = None


class Status(Struct, frozen=True):
    """The gateway's state, retained by the broker; ``online`` false is its last will.

    ``boot`` and ``session`` count within ``stream``, as in the hello. ``clock``: as there. The
    journal has ``journal_entries`` in ``journal_bytes`` of ``journal_quota``; without the cloud
    that is enough for ``hours_left`` at the present rate (absent: not known). ``lost``: entries
    given up. Without ``config`` the gateway takes no configuration from the cloud.
    """

    stream: HexId
    online: bool
    boot: Count
    session: Count
    at: Millis
    queued: Count = 0
    oldest_at: Millis | None = None
    rejected: Count = 0
    journal_bytes: Count = 0
    journal_entries: Count = 0
    journal_quota: Count = 0
    hours_left: Count | None = None
    lost: Count = 0
    clock: Count = 0
    devices: list[DeviceStatus] = []
    config: ConfigStatus | None = None
    v: int = VERSION


_body = msgspec.json.Decoder(Body)


def decode_body(raw: Raw | bytes) -> Body:
    """The body of an entry; raises Undecodable with the place and what was expected there."""
    try:
        body: Body = _body.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not a journal entry: {error}") from error
    return body
