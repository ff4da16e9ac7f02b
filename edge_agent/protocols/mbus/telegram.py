"""What a meter says in one RSP_UD frame: EN 13757-3."""

from typing import Final

from msgspec import Struct

from common.errors import Undecodable

from .fixed import decode_fixed
from .header import Header, decode_long, decode_short
from .link import SLAVE_FUNCTION, LongFrame, parse_one
from .record import Body, Record, decode_body

# Control information field, slave to master (EN 13757-3, table 1). Bit 2 = high byte first.
CI_APPLICATION_ERROR: Final = 0x70
CI_ALARM: Final = 0x71
CI_LONG: Final = 0x72
CI_FIXED: Final = 0x73
CI_LONG_HIGH_FIRST: Final = 0x76
CI_FIXED_HIGH_FIRST: Final = 0x77
CI_NO_HEADER: Final = 0x78
CI_SHORT: Final = 0x7A

APPLICATION_ERRORS: Final = (
    "unspecified error",
    "CI field not implemented",
    "buffer too long, truncated",
    "too many records",
    "premature end of record",
    "more than 10 DIFEs",
    "more than 10 VIFEs",
    "reserved",
    "application too busy for a readout",
    "too many readouts",
)


class Telegram(Struct, frozen=True):
    """One application message.

    ``errors`` is empty for a faultless message; with errors, ``records`` are those before the
    fault. ``encrypted`` messages have no records but those sent in clear.
    ``alarm`` is the status of a CI 71 message.
    """

    ci: int
    header: Header | None = None
    records: tuple[Record, ...] = ()
    more_follows: bool = False
    manufacturer_data: bytes | None = None
    errors: tuple[str, ...] = ()
    encrypted: bool = False
    alarm: int | None = None


def decode_frame(frame: bytes) -> Telegram:
    """Decode one whole RSP_UD frame.

    Raises FrameError when the bytes are not one frame, Undecodable when it is no telegram.
    """
    parsed = parse_one(frame)
    if not isinstance(parsed, LongFrame):
        raise Undecodable("an M-Bus frame without data is no telegram")
    return decode(parsed)


def decode(frame: LongFrame) -> Telegram:
    """Decode the data of a frame that a meter sent. Raises Undecodable when it is no telegram."""
    if frame.control & SLAVE_FUNCTION != 0x08:
        raise Undecodable(f"control field {frame.control:02X} is not that of a meter's answer")
    ci, data = frame.ci, frame.data
    if ci in {CI_LONG, CI_LONG_HIGH_FIRST}:
        high_first = ci == CI_LONG_HIGH_FIRST
        return _variable(ci, decode_long(data, high_first), data[12:], high_first)
    if ci == CI_SHORT:
        return _variable(ci, decode_short(data, False), data[4:], False)
    if ci == CI_NO_HEADER:
        return _variable(ci, None, data, False)
    if ci in {CI_FIXED, CI_FIXED_HIGH_FIRST}:
        header, records = decode_fixed(data, ci == CI_FIXED_HIGH_FIRST)
        surplus = len(data) - 16
        errors = (f"{surplus} bytes behind the fixed structure",) if surplus else ()
        return Telegram(ci, header, records, errors=errors)
    if ci == CI_APPLICATION_ERROR:
        code = data[0] if data else 0
        words = APPLICATION_ERRORS[code] if code < len(APPLICATION_ERRORS) else f"error {code}"
        return Telegram(ci, errors=(f"application error: {words}",))
    if ci == CI_ALARM:
        status = data[0] if data else 0
        return Telegram(ci, errors=(f"alarm, status {status:02X}",), alarm=status)
    raise Undecodable(f"CI field {ci:02X} is not that of a meter's data")


def _variable(ci: int, header: Header | None, body: bytes, high_first: bool) -> Telegram:
    secret = 0 if header is None else _encrypted_length(header.configuration, body)
    decoded: Body = decode_body(body[secret:], high_first)
    return Telegram(
        ci,
        header,
        decoded.records,
        decoded.more_follows,
        decoded.manufacturer_data,
        decoded.errors,
        encrypted=secret > 0,
    )


def _encrypted_length(configuration: int, body: bytes) -> int:
    """How many bytes at the start of the body are encrypted; 0 when it is in clear.

    Modes 5 and 7 (bits 8 to 12) tell the number of 16-byte blocks in bits 4 to 7. A body that
    starts 2F 2F is in clear already, and one shorter than the blocks belongs to an early
    meter, whose signature stands where the configuration word is today.
    """
    mode = (configuration >> 8) & 0x1F
    length = 16 * ((configuration >> 4) & 0x0F)
    if mode not in {5, 7} or length > len(body) or body[:2] == b"\x2f\x2f":
        return 0
    return length
