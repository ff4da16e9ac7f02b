"""Identities: keys that people choose, and numbers that nobody has to agree on."""

import os
import re
import secrets
import time

from common.errors import Undecodable

KEY = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,46}[a-z0-9])?", re.ASCII)
KEY_RULE = "1 to 48 of a-z, 0-9, - and _, beginning and ending with a letter or digit"
HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def check_key(text: str, what: str) -> str:
    """``text`` if it can name a site, gateway, device or register; else Undecodable."""
    if not KEY.fullmatch(text):
        raise Undecodable(f"{what} {text[:60]!r} is not a key: {KEY_RULE}")
    return text


def check_hex_id(text: str, what: str) -> str:
    """``text`` if it is a 128-bit identity in 32 lower-case hex digits; else Undecodable."""
    if not HEX_ID.fullmatch(text):
        raise Undecodable(f"{what} {text[:60]!r} is not 32 lower-case hex digits")
    return text


def new_stream_id() -> str:
    """A random identity for a journal."""
    return secrets.token_hex(16)


def new_command_id() -> str:
    """A 128-bit identity that grows with time (RFC 9562, version 7), so that keys stay in order."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"{number:032x}"
