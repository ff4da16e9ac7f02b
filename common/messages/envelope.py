"""What all messages share: JSON, plain or deflated, a version, a limit on their size."""

import zlib
from typing import TypeVar

import msgspec

from common.errors import Undecodable

VERSION = 1
MAX_BYTES = 1_048_576
MAX_INFLATED_BYTES = 4 * MAX_BYTES

DICTIONARY = (
    b'{"k":"event","at":1,"code":"","severity":"warning","text":"","device":""}'
    b'{"k":"command","at":1,"id":"","state":"accepted","value":0}'
    b'"lost":[[1,1,"drop_oldest"]],"other":[[1,17,{"k":"quality":[0,0,0,2,2],'
    b'{"stream":"","first":1,"last":1,"clock":[[1,1,17600000000,3]],"at":[17],"kept":[0,1,2,3],'
    b'"n":[5],"no":[1,2,3,4,5,6,7,8,9,10],"value":[null,0,1],"raw":[null,null,null,null]],"v":1}'
)
"""What deflated messages may refer to (RFC 1950, 2.2: FDICT). Never to be changed: a receiver
knows it by its checksum, which stands in the message; another dictionary is added beside it."""

_WORTH_DEFLATING = 128

Message = TypeVar("Message", bound=msgspec.Struct)


class _Version(msgspec.Struct):
    v: int


_version = msgspec.json.Decoder(_Version)
_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder] = {}  # type: ignore[type-arg]


def encode(message: msgspec.Struct) -> bytes:
    """The message as compact JSON."""
    return _encoder.encode(message)


def deflate(plain: bytes) -> bytes:
    """``plain``, or its deflated form when that is shorter."""
    if len(plain) < _WORTH_DEFLATING:
        return plain
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zdict=DICTIONARY)
    packed = packer.compress(plain) + packer.flush()
    return packed if len(packed) < len(plain) else plain


def inflate(payload: bytes) -> bytes:
    """The JSON in ``payload``; raises Undecodable for what cannot be inflated or is too long."""
    if len(payload) > MAX_BYTES:
        raise Undecodable(f"message of {len(payload)} bytes; at most {MAX_BYTES} are taken")
    if payload[:1] != b"\x78":
        return payload
    unpacker = zlib.decompressobj(zdict=DICTIONARY)
    try:
        plain = unpacker.decompress(payload, MAX_INFLATED_BYTES + 1)
    except zlib.error as error:
        raise Undecodable(f"message cannot be inflated: {error}") from error
    if len(plain) > MAX_INFLATED_BYTES:
        raise Undecodable(f"message inflates to more than {MAX_INFLATED_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise Undecodable("message is cut short, or longer than what was deflated")
    return plain


def decode(payload: bytes, kind: type[Message]) -> Message:
    """The message in ``payload``, plain or deflated; unknown fields are ignored.

    Raises Undecodable, with the place and what was expected there, for anything else:
    too long, not JSON, another version, a missing field, a wrong type.
    """
    plain = inflate(payload)
    try:
        found = _version.decode(plain).v
        if found != VERSION:
            raise Undecodable(f"message version {found}; this side speaks {VERSION}")
        decoder = _decoders.get(kind)
        if decoder is None:
            decoder = _decoders[kind] = msgspec.json.Decoder(kind)
        message: Message = decoder.decode(plain)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not a {kind.__name__} message: {error}") from error
    return message
