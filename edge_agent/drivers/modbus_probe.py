"""Reads the registers around an address in every width that a value may have."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from common.errors import InMetterError, Refused, Retryable
from edge_agent.drivers.modbus_line import Busy, ModbusLine
from edge_agent.protocols.modbus import Span

WIDTHS = (1, 2, 4)
"""Registers that a value takes. Each is asked for by itself: some devices refuse odd numbers of
registers (register maps §1), some refuse what cuts a value in two (§7)."""


@dataclass(frozen=True, slots=True)
class Read:
    """What came when a device was asked for ``span``: words, or an error.

    ``refused``: the error is an answer of the device.
    """

    function: int
    span: Span
    words: tuple[int, ...] = ()
    error: str = ""
    refused: bool = False

    @property
    def answered(self) -> bool:
        return bool(self.words) or self.refused


async def read_around(
    line: ModbusLine, unit: int, function: int, address: int
) -> AsyncIterator[Read]:
    """One register before ``address``, at it, and one after, each in all WIDTHS.

    Ends with the first request when that is not answered at all.
    """
    alive = False
    for start in (address - 1, address, address + 1):
        for width in WIDTHS:
            span = Span(start, width)
            if start < 0 or span.end > 0x10000:
                continue
            read = await _read(line, unit, function, span)
            yield read
            alive = alive or read.answered
            if not alive:
                return


async def _read(line: ModbusLine, unit: int, function: int, span: Span) -> Read:
    try:
        async with line.turns.turn():
            words = await line.read_registers(unit, function, span)
    except (Refused, Busy) as error:
        return Read(function, span, error=without_url(line, error), refused=True)
    except Retryable as error:
        return Read(function, span, error=without_url(line, error))
    return Read(function, span, tuple(words))


def other_framing(url: str) -> str | None:
    """The URL of the same TCP port with the other kind of frames; None for a serial port."""
    parts = urlsplit(url)
    other = {"tcp": "rtu+tcp", "rtu+tcp": "tcp"}.get(parts.scheme)
    return urlunsplit(parts._replace(scheme=other)) if other else None


async def answers_as(url: str, unit: int, timeout_s: float) -> bool:
    """Whether the unit answers under this URL, with registers or an exception."""
    line = ModbusLine(url, timeout_s)
    try:
        await line.read_registers(unit, 3, Span(0, 1))
    except (Refused, Busy):
        return True
    except Retryable:
        return False
    finally:
        line.close()
    return True


def without_url(line: ModbusLine, error: InMetterError) -> str:
    """The error's text for where the line is named already."""
    return str(error).removeprefix(f"{line.url}: ")
