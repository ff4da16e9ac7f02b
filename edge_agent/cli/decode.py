"""``inmetter-edge decode``: what do these bytes of a meter say?"""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from common.errors import ConfigError, FrameError, InMetterError
from edge_agent.cli import telegram_view
from edge_agent.cli.document import document
from edge_agent.protocols.mbus.capture import Piece, pieces
from edge_agent.protocols.mbus.cipher import KEY_LENGTH
from edge_agent.protocols.mbus.link import LongFrame
from edge_agent.protocols.mbus.telegram import Telegram, decode

LONGEST_INPUT: Final = 8 * 1024 * 1024

_SEPARATORS: Final = re.compile(r"[\s,;:|_.-]+")
_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
_TEXT: Final = re.compile(rb"[\x09-\x0d\x20-\x7e]*")
_TIMED: Final = re.compile(r"\s*([0-9]{4}-[0-9]{2}-[0-9]{2}T\S+)\s(.*)")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Finding(Struct, frozen=True):
    """What one piece of the input is; ``start`` is its first byte. Only a frame has an address.

    ``at`` is the time that stands before it, as it stands there; or else which line it is in.
    """

    start: int
    telegram: Telegram
    address: int | None = None
    at: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("protocol", choices=["mbus"], help="mbus: frames of M-Bus meters")
    parser.add_argument(
        "input",
        nargs="+",
        metavar="FILE|HEX|-",
        help="a file (raw bytes, hex text, or lines of a time and hex), hex digits, or - for"
        " standard input",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--key",
        type=_key,
        metavar="HEX|@FILE",
        help="the meter's key, 32 hex digits (modes 5 and 7), or a file that holds them",
    )


def run(arguments: Namespace) -> int:
    """Print what was decoded; 0 when all of it is sound, else 1 and a line that says where.

    Raises ConfigError when there is nothing to read.
    """
    words: Sequence[str] = arguments.input
    findings, errors = [], []
    timed = False
    try:
        found = _read(words)
        if timed := isinstance(found, str):
            findings = list(_of_lines(found, arguments.key))
        else:
            findings = _together(list(_findings(found, arguments.key)))
    except FrameError as error:
        findings = [Finding(0, Telegram(0, errors=(str(error),)))]
    if arguments.json:
        shown = [
            ({"at": one.at} if timed else {}) | telegram_view.as_json(one.telegram)
            for one in findings
        ]
        told = shown[0] if len(shown) == 1 and not timed else shown
        print(document(told))
    else:
        sound = [one for one in findings if one.telegram.ci]
        for number, one in enumerate(sound):
            at = f"{one.at}  " if timed else ""
            print("\n" * (number > 0) + at + telegram_view.as_text(one.telegram, one.address))
    for number, one in enumerate(findings, 1):
        where = f"frame {number} at byte {one.start}: " if len(findings) > 1 else ""
        where = f"{one.at}: " if timed else where
        errors += [where + error for error in one.telegram.errors]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        print(errors[0] + more, file=sys.stderr)
    return 1 if errors else 0


def _of_lines(text: str, key: bytes | None) -> Iterator[Finding]:
    """Of each line what stands behind its time; a bad one harms no other."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _TIMED.fullmatch(line)
        at, digits = (match[1], match[2]) if match else (f"line {number}", line)
        try:
            found = list(_findings(from_hex(digits), key))
        except FrameError as error:
            found = [Finding(0, Telegram(0, errors=(str(error),)))]
        yield from (msgspec.structs.replace(one, at=at) for one in found)


def _findings(data: bytes, key: bytes | None) -> Iterator[Finding]:
    """Every telegram and every fault; requests and acknowledgements are passed over.

    Raises FrameError when there is neither.
    """
    found = False
    for piece in pieces(data):
        finding = _finding(piece, key)
        if finding is not None:
            found = True
            yield finding
    if not found:
        reason = "only requests and acknowledgements, no meter's data" if data else "no bytes"
        raise FrameError(f"byte 0: {reason}")


def _finding(piece: Piece, key: bytes | None) -> Finding | None:
    if piece.frame is None:
        return Finding(piece.start, Telegram(0, errors=(piece.error,)))
    if not isinstance(piece.frame, LongFrame) or piece.frame.from_master:
        return None
    try:
        return Finding(piece.start, decode(piece.frame, key), piece.frame.address)
    except ConfigError:
        raise
    except InMetterError as error:
        return Finding(piece.start, Telegram(0, errors=(str(error),)), piece.frame.address)


def _together(findings: list[Finding]) -> list[Finding]:
    """One finding where there is at most one telegram: it tells the faults around it as well.

    Several telegrams stay apart. Bytes are counted from the input's start, or from the start of
    the frame that the error names.
    """
    telegrams = [one for one in findings if one.telegram.ci]
    if len(telegrams) > 1:
        return findings
    errors = []
    for one in findings:
        framed = one.start and one.address is not None
        where = f"frame at byte {one.start}: " if framed else ""
        errors += [where + error for error in one.telegram.errors]
    chief = (telegrams or findings)[0]
    telegram = msgspec.structs.replace(chief.telegram, errors=tuple(errors))
    return [Finding(chief.start, telegram, chief.address)]


def _read(words: Sequence[str]) -> bytes | str:
    """The bytes that the arguments mean, or lines that begin with a time. Raises FrameError for
    text that is neither."""
    if words == ["-"]:
        return from_content(sys.stdin.buffer.read(LONGEST_INPUT + 1))
    text = " ".join(words)
    if not text.strip():
        return b""
    path = Path(text)
    try:
        if len(words) == 1 and path.exists():
            with path.open("rb") as file:
                return from_content(file.read(LONGEST_INPUT + 1))
    except (OSError, ValueError) as error:
        if not _is_hex(text) or not from_hex(text):
            raise ConfigError(f"{text[:200]!r} cannot be read: {error}") from None
    if not _is_hex(text):
        raise ConfigError(f"{text[:200]!r} is neither a file nor hex digits")
    return from_hex(text)


def from_content(content: bytes) -> bytes | str:
    """The bytes of a file: as they are, or those that its hex text stands for; or its lines, where
    the first begins with a time.

    A frame ends with a control character, so that neither text is mistaken for a frame, nor the
    end of a line for a part of one. Raises
    FrameError for text that is no hex, ConfigError when there is too much of it.
    """
    if len(content) > LONGEST_INPUT:
        raise ConfigError(f"more than {LONGEST_INPUT} bytes")
    text = content.removeprefix(_BYTE_ORDER_MARK)
    if _TEXT.fullmatch(text):
        lines = text.decode("ascii")
        return lines if _TIMED.match(lines) else from_hex(lines)
    return content.rstrip(b"\r\n")


def from_hex(text: str) -> bytes:
    """Hex digits with or without separators and 0x. Raises FrameError that names the character.

    One digit by itself is a byte.
    """
    found = bytearray()
    at = 0
    for word in _SEPARATORS.split(text):
        at = text.index(word, at)
        if not word:
            continue
        if not _HEX.fullmatch(word):
            raise FrameError(f"character {at + 1}: {word[:20]!r} are no hex digits")
        digits = word[2:] if word[:2] in {"0x", "0X"} else word
        if len(digits) % 2 and len(digits) > 1:
            raise FrameError(f"character {at + 1}: an odd number of hex digits ({len(digits)})")
        found += bytes.fromhex(digits.zfill(2))
        at += len(word)
    return bytes(found)


def _is_hex(text: str) -> bool:
    return all(_HEX.fullmatch(word) for word in _SEPARATORS.split(text) if word)


def _key(text: str) -> bytes:
    try:
        digits = Path(text[1:]).read_text("ascii") if text.startswith("@") else text
        key = bytes.fromhex(digits)
    except (OSError, ValueError):
        key = b""
    if len(key) != KEY_LENGTH:
        raise ArgumentTypeError("expected 32 hex digits")
    return key
