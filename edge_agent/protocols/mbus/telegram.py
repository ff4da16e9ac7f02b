"""What a meter says in one RSP_UD frame: EN 13757-3 and, where encrypted, EN 13757-7."""

from typing import Final

from msgspec import Struct

from common.errors import Undecodable

from .cipher import Sender, decrypt, encrypted_span
from .fixed import LENGTH as FIXED_LENGTH
from .fixed import decode_fixed
from .fragment import CI_FRAGMENT, decode_fragment
from .header import (
    LONG_HEADER_LENGTH,
    SHORT_HEADER_LENGTH,
    Header,
    decode_long,
    decode_short,
)
from .link import LONG_HEAD, RSP_UD, SLAVE_FUNCTION, LongFrame, parse_one
from .record import Record, decode_body

# Control information field, slave to master (EN 13757-3, table 1). Bit 2 = high byte first.
CI_APPLICATION_ERROR_SHORT: Final = 0x6E
CI_APPLICATION_ERROR_LONG: Final = 0x6F
CI_APPLICATION_ERROR: Final = 0x70
CI_ALARM: Final = 0x71
CI_LONG: Final = 0x72
CI_FIXED: Final = 0x73
CI_ALARM_SHORT: Final = 0x74
CI_ALARM_LONG: Final = 0x75
CI_LONG_HIGH_FIRST: Final = 0x76
CI_FIXED_HIGH_FIRST: Final = 0x77
CI_NO_HEADER: Final = 0x78
CI_SHORT: Final = 0x7A

_HEADER_LENGTHS: Final = {
    **dict.fromkeys(
        (CI_LONG, CI_LONG_HIGH_FIRST, CI_APPLICATION_ERROR_LONG, CI_ALARM_LONG),
        LONG_HEADER_LENGTH,
    ),
    **dict.fromkeys((CI_SHORT, CI_APPLICATION_ERROR_SHORT, CI_ALARM_SHORT), SHORT_HEADER_LENGTH),
    **dict.fromkeys((CI_NO_HEADER, CI_APPLICATION_ERROR, CI_ALARM), 0),
}
_ERRORS: Final = {CI_APPLICATION_ERROR, CI_APPLICATION_ERROR_SHORT, CI_APPLICATION_ERROR_LONG}
_ALARMS: Final = {CI_ALARM, CI_ALARM_SHORT, CI_ALARM_LONG}

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
    fault, and bytes are counted from 0 at the frame's start. ``encrypted`` messages have no
    records but those sent in clear. ``alarm`` is the status of an alarm message.
    """

    ci: int
    header: Header | None = None
    records: tuple[Record, ...] = ()
    more_follows: bool = False
    manufacturer_data: bytes | None = None
    errors: tuple[str, ...] = ()
    encrypted: bool = False
    alarm: int | None = None


class _Layer(Struct, frozen=True):
    """An application message within a frame, which it enters at byte ``at``."""

    ci: int
    data: bytes
    at: int
    counter: bytes | None = None


def decode_frame(frame: bytes, key: bytes | None = None) -> Telegram:
    """Decode one whole RSP_UD frame; ``key`` (16 bytes) is for what is encrypted.

    Raises FrameError when the bytes are not one frame, Undecodable when it is no telegram.
    """
    parsed = parse_one(frame)
    if not isinstance(parsed, LongFrame):
        raise Undecodable("an M-Bus frame without data is no telegram")
    return decode(parsed, key)


def decode(frame: LongFrame, key: bytes | None = None) -> Telegram:
    """Decode the data of a frame that a meter sent. Raises Undecodable when it is no telegram."""
    if frame.control & SLAVE_FUNCTION != RSP_UD:
        raise Undecodable(
            f"byte 4: control field {frame.control:02X} is not that of a meter's answer"
        )
    layer = _Layer(frame.ci, frame.data, LONG_HEAD)
    if frame.ci == CI_FRAGMENT:
        layer = _unwrapped(frame.data)
    if layer.ci in {CI_FIXED, CI_FIXED_HIGH_FIRST}:
        return _fixed(layer)
    length = _HEADER_LENGTHS.get(layer.ci)
    if length is None:
        raise Undecodable(
            f"byte {layer.at - 1}: CI field {layer.ci:02X} is not that of a meter's data"
        )
    if len(layer.data) < length:
        raise Undecodable(
            f"byte {layer.at}: {len(layer.data)} bytes are too short for an M-Bus header"
        )
    header = _header(layer, length)
    if layer.ci in _ERRORS | _ALARMS:
        return _complaint(layer.ci, header, layer.data[length : length + 1])
    return _variable(layer, length, header, key)


def _unwrapped(data: bytes) -> _Layer:
    try:
        fragment = decode_fragment(data)
    except Undecodable as error:
        raise Undecodable(f"byte {LONG_HEAD}: {error}") from None
    inner = fragment.length
    return _Layer(data[inner], data[inner + 1 :], LONG_HEAD + inner + 1, fragment.counter)


def _header(layer: _Layer, length: int) -> Header | None:
    if length == LONG_HEADER_LENGTH:
        return decode_long(layer.data, layer.ci == CI_LONG_HIGH_FIRST)
    return decode_short(layer.data, False) if length else None


def _fixed(layer: _Layer) -> Telegram:
    surplus = len(layer.data) - FIXED_LENGTH
    if surplus < 0:
        raise Undecodable(
            f"byte {layer.at}: {len(layer.data)} bytes are too short for the fixed structure"
        )
    header, records = decode_fixed(layer.data, layer.ci == CI_FIXED_HIGH_FIRST)
    behind = f"byte {layer.at + FIXED_LENGTH}: {surplus} bytes behind the fixed structure"
    return Telegram(layer.ci, header, records, errors=(behind,) if surplus else ())


def _complaint(ci: int, header: Header | None, status: bytes) -> Telegram:
    code = status[0] if status else 0
    if ci in _ALARMS:
        return Telegram(ci, header, errors=(f"alarm, status {code:02X}",), alarm=code)
    words = APPLICATION_ERRORS[code] if code < len(APPLICATION_ERRORS) else f"error {code}"
    return Telegram(ci, header, errors=(f"application error: {words}",))


def _variable(layer: _Layer, length: int, header: Header | None, key: bytes | None) -> Telegram:
    body, at = layer.data[length:], layer.at + length
    span = None if header is None else encrypted_span(header.configuration, body)
    encrypted = span is not None and span.length > 0
    if span is not None:
        start, end = span.start, span.start + span.length
        clear = b""
        if encrypted and key is not None:
            try:
                clear = decrypt(body[start:end], span.mode, key, _sender(layer, length))
            except Undecodable as error:
                reason = f"byte {at + start}: {error}"
                return Telegram(layer.ci, header, errors=(reason,), encrypted=True)
            encrypted = False
        body, at = clear + body[end:], at + (start if clear else end)
    decoded = decode_body(body, layer.ci == CI_LONG_HIGH_FIRST, at)
    return Telegram(
        layer.ci,
        header,
        decoded.records,
        decoded.more_follows,
        decoded.manufacturer_data,
        decoded.errors,
        encrypted,
    )


def _sender(layer: _Layer, length: int) -> Sender:
    if length != LONG_HEADER_LENGTH:
        raise Undecodable("a short header does not name the meter, as decryption needs")
    data = layer.data
    identification, manufacturer = data[0:4], data[4:6]
    if layer.ci == CI_LONG_HIGH_FIRST:
        identification, manufacturer = identification[::-1], manufacturer[::-1]
    return Sender(identification, manufacturer, data[6], data[7], data[8], layer.counter)
