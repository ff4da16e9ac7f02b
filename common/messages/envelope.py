"""What all messages share: JSON, a version, a limit on their size."""

from typing import TypeVar

import msgspec

from common.errors import Undecodable

VERSION = 1
MAX_BYTES = 1_048_576

Message = TypeVar("Message", bound=msgspec.Struct)


class _Version(msgspec.Struct):
    v: int


_version = msgspec.json.Decoder(_Version)
_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder] = {}  # type: ignore[type-arg]


def encode(message: msgspec.Struct) -> bytes:
    """The message as compact JSON."""
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[Message]) -> Message:
    """The message in ``payload``; unknown fields are ignored.

    Raises Undecodable, with the place and what was expected there, for anything else:
    too long, not JSON, another version, a missing field, a wrong type.
    """
    if len(payload) > MAX_BYTES:
        raise Undecodable(f"message of {len(payload)} bytes; at most {MAX_BYTES} are taken")
    try:
        found = _version.decode(payload).v
        if found != VERSION:
            raise Undecodable(f"message version {found}; this side speaks {VERSION}")
        decoder = _decoders.get(kind)
        if decoder is None:
            decoder = _decoders[kind] = msgspec.json.Decoder(kind)
        message: Message = decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not a {kind.__name__} message: {error}") from error
    return message
