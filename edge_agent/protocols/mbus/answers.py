"""Building the answers that meters give seldom: other headers, the fixed structure, errors.

Everything that ``telegram`` reads can be built here or with ``encode``.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from common.errors import Undecodable

from .cipher import BLOCK, CLEAR, MODE_5, MODE_7, Sender, encrypt
from .dif import IDLE_FILLER, MANUFACTURER_DATA, Coding
from .dif import interpret as interpret_dib
from .encode import identification_bytes, long_header
from .fixed import BINARY, MEDIA, STORED
from .fragment import CI_FRAGMENT
from .header import Header, manufacturer_code
from .link import RSP_UD, LongFrame
from .record import decode_body
from .telegram import (
    CI_ALARM,
    CI_APPLICATION_ERROR,
    CI_FIXED,
    CI_LONG,
    CI_LONG_HIGH_FIRST,
    CI_NO_HEADER,
    CI_SHORT,
)
from .vif import plain_text_span

_FRAGMENT_HEAD: Final = bytes((7, 0x00, 0x28, 0x00))
"""Seven bytes follow: a control field that announces message control and message counter."""


def short_response(address: int, header: Header, records: Iterable[bytes]) -> LongFrame:
    """CI 7A: access number, status and configuration only."""
    head = bytes((header.access & 0xFF, header.status)) + header.configuration.to_bytes(2, "little")
    return LongFrame(RSP_UD, address, CI_SHORT, head + b"".join(records))


def bare_response(address: int, records: Iterable[bytes]) -> LongFrame:
    """CI 78: no header."""
    return LongFrame(RSP_UD, address, CI_NO_HEADER, b"".join(records))


def high_first_response(address: int, header: Header, records: Iterable[bytes]) -> LongFrame:
    """CI 76: header and records (given low byte first) with the high byte first."""
    head = long_header(header)
    turned = head[3::-1] + head[5:3:-1] + head[6:10] + head[:9:-1]
    data = turned + b"".join(high_byte_first(record) for record in records)
    return LongFrame(RSP_UD, address, CI_LONG_HIGH_FIRST, data)


def high_byte_first(record: bytes) -> bytes:
    """One record the other way round. Raises Undecodable when the bytes are not one record."""
    body = decode_body(record)
    if len(body.records) != 1 or body.records[0].raw != record:
        raise Undecodable("these bytes are not one M-Bus record")
    one = body.records[0]
    start, end = plain_text_span(one.vib)
    vib = one.vib[:start] + one.vib[start:end][::-1] + one.vib[end:]
    is_variable = interpret_dib(one.dib).coding is Coding.VARIABLE
    lvar = record[len(one.dib) + len(vib) :][:1] if is_variable else b""
    return one.dib + vib + lvar + one.data[::-1]


def manufacturer_data(data: bytes) -> bytes:
    """A last record whose bytes only the manufacturer understands."""
    return bytes((MANUFACTURER_DATA,)) + data


def fixed_response(
    address: int,
    header: Header,
    units: tuple[int, int],
    counters: tuple[int, int],
    *,
    binary: bool = False,
    stored: bool = False,
) -> LongFrame:
    """CI 73: two counters of 8 BCD digits, or of 32 bits. ``units`` are the structure's codes.

    Raises Undecodable when the header has no identity, or a counter does not fit.
    """
    if header.identification is None or (header.medium or 0) not in MEDIA:
        raise Undecodable("a fixed M-Bus structure needs identification and a medium it knows")
    medium = MEDIA.index(header.medium or 0)
    status = header.status & ~(BINARY | STORED) | BINARY * binary | STORED * stored
    head = identification_bytes(header.identification) + bytes(
        (
            header.access & 0xFF,
            status,
            units[0] & 0x3F | (medium & 3) << 6,
            units[1] & 0x3F | (medium >> 2) << 6,
        )
    )
    return LongFrame(RSP_UD, address, CI_FIXED, head + _counters(counters, binary))


def _counters(counters: Sequence[int], binary: bool) -> bytes:
    if not all(0 <= one < (1 << 32 if binary else 10**8) for one in counters):
        raise Undecodable(f"{counters} do not fit the counters of a fixed M-Bus structure")
    if binary:
        return b"".join(one.to_bytes(4, "little") for one in counters)
    return b"".join(bytes.fromhex(f"{one:08}")[::-1] for one in counters)


def application_error(address: int, code: int) -> LongFrame:
    """CI 70; the codes are those of ``telegram.APPLICATION_ERRORS``."""
    return LongFrame(RSP_UD, address, CI_APPLICATION_ERROR, bytes((code,)))


def alarm(address: int, status: int) -> LongFrame:
    """CI 71."""
    return LongFrame(RSP_UD, address, CI_ALARM, bytes((status,)))


def sealed_response(
    address: int,
    header: Header,
    records: Iterable[bytes],
    key: bytes,
    counter: int | None = None,
) -> LongFrame:
    """The records encrypted: in mode 5, or in mode 7 with a message counter (then CI 90).

    Raises Undecodable when they are longer than 15 blocks, or the header has no identity.
    """
    mode = MODE_5 if counter is None else MODE_7
    clear = CLEAR + b"".join(records)
    clear += bytes((IDLE_FILLER,)) * (-len(clear) % BLOCK)
    blocks = len(clear) // BLOCK
    if blocks > 15:
        raise Undecodable(f"{len(clear)} bytes are more than 15 blocks")
    header = replace(header, configuration=mode << 8 | blocks << 4)
    head = long_header(header)
    count = None if counter is None else counter.to_bytes(4, "little")
    manufacturer = manufacturer_code(header.manufacturer or "").to_bytes(2, "little")
    sender = Sender(head[0:4], manufacturer, head[6], head[7], head[8], count)
    text = encrypt(clear, mode, key, sender)
    if count is None:
        return LongFrame(RSP_UD, address, CI_LONG, head + text)
    data = _FRAGMENT_HEAD + count + bytes((CI_LONG,)) + head + b"\0" + text
    return LongFrame(RSP_UD, address, CI_FRAGMENT, data)
