"""The fields of IM1 frames: each kind knows its text form and its range, in both directions."""

import re
from enum import StrEnum
from typing import Protocol

from common.errors import FrameError

MAX_LINE = 512
"""Bytes of a line, the CRLF included."""


_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)


class NakCode(StrEnum):
    """Why a line, or a device, was refused."""

    CRC = "CRC"
    MALFORMED = "MALFORMED"
    UNKNOWN = "UNKNOWN"
    RATE = "RATE"
    KEY = "KEY"


class BadLine(FrameError):
    """A line that is no IM1 frame.

    ``code``, ``seq`` and ``device`` are what a NAK needs; ``seq`` is 0 and ``device`` is ``-``
    where the line does not credibly say them. ``line`` is the text between ``$`` and ``*`` of a
    whole line that names a record of its sender's and has no meaning; empty for any other.
    """

    def __init__(
        self, code: NakCode, why: str, *, device: str = "-", seq: int = 0, line: str = ""
    ) -> None:
        super().__init__(why)
        self.code = code
        self.device = device
        self.seq = seq
        self.line = line


class Field(Protocol):
    """One field: ``decode`` and ``encode`` raise ValueError on what is not in its range."""

    def decode(self, text: str) -> object: ...

    def encode(self, value: object) -> str: ...


class Number:
    """A decimal integer 0..maximum without sign or leading zeros."""

    def __init__(self, maximum: int, minimum: int = 0) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def decode(self, text: str) -> int:
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is not a number")
        return self._checked(int(text))

    def encode(self, value: object) -> str:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number")  # noqa: TRY004
        return str(self._checked(value))

    def _checked(self, number: int) -> int:
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"{number} is not in {self.minimum}..{self.maximum}")
        return number


class OptionalNumber(Number):
    """A number, or nothing: an empty field is None."""

    def decode(self, text: str) -> int | None:  # type: ignore[override]
        return super().decode(text) if text else None

    def encode(self, value: object) -> str:
        return "" if value is None else super().encode(value)


class Hex:
    """Bytes of a fixed length as upper-case hex digits."""

    def __init__(self, length: int) -> None:
        self.length = length

    def decode(self, text: str) -> bytes:
        if not re.fullmatch(r"[0-9A-F]+", text, re.ASCII) or len(text) != 2 * self.length:
            raise ValueError(f"expected {2 * self.length} upper-case hex digits")
        return bytes.fromhex(text)

    def encode(self, value: object) -> str:
        if not isinstance(value, bytes) or len(value) != self.length:
            raise ValueError(f"expected {self.length} bytes")
        return value.hex().upper()


class Token:
    """A text of a fixed alphabet, given as a regular expression for the whole of it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = re.compile(pattern, re.ASCII)

    def decode(self, text: str) -> str:
        if not self.pattern.fullmatch(text):
            raise ValueError(f"{text[:60]!r} is not of the form {self.pattern.pattern}")
        return text

    def encode(self, value: object) -> str:
        return self.decode(str(value))


class Choice:
    """One of an enumeration's values."""

    def __init__(self, options: type[StrEnum]) -> None:
        self.options = options

    def decode(self, text: str) -> StrEnum:
        return self.options(text)

    def encode(self, value: object) -> str:
        return self.options(str(value)).value


class Rest:
    """The fields that are left, at most ``limit`` of them, as a tuple; only ever the last."""

    def __init__(self, item: Token, limit: int) -> None:
        self.item = item
        self.limit = limit

    def decode(self, text: str) -> tuple[str, ...]:
        if not text:
            return ()
        parts = text.split(",")
        if len(parts) > self.limit:
            raise ValueError(f"more than {self.limit} arguments")
        return tuple(self.item.decode(part) for part in parts)

    def encode(self, value: object) -> str:
        if not isinstance(value, tuple) or len(value) > self.limit:
            raise ValueError(f"expected a tuple of at most {self.limit}")
        return ",".join(self.item.encode(item) for item in value)


NOTHING = Number(0)
BIT = Number(1)
U8 = Number(2**8 - 1)
U32 = Number(2**32 - 1)
SEQ = Number(2**32 - 1, minimum=1)
BOOT = Number(2**32 - 1, minimum=1)
U64 = Number(2**64 - 1)
TIME = Number(253_402_300_799_999)
"""Milliseconds since 1970 UTC, up to the year 9999."""
DEVICE = Token(r"[A-Za-z0-9._-]{1,48}")
NAME = Token(r"[A-Za-z0-9._+-]{1,32}")
WORD = Token(r"[A-Z][A-Z0-9_]{0,15}")
COMMAND = Token(r"[0-9a-f]{32}")
ARGUMENTS = Rest(Token(r"[A-Za-z0-9._:+-]{1,64}"), limit=4)
