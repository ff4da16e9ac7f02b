"""``inmetter-edge probe``: what may stand in a Modbus register? For a device without a profile."""

import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from common import logs
from edge_agent.cli.arguments import add_json, seconds
from edge_agent.cli.document import document
from edge_agent.cli.table import table
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.drivers.modbus_probe import (
    WIDTHS,
    Read,
    answers_as,
    other_framing,
    read_around,
)
from edge_agent.protocols.modbus import Order, Span, Type
from edge_agent.protocols.modbus_guess import Guess, guesses, shown, text

FUNCTIONS = {3: "holding registers (function 3)", 4: "input registers (function 4)"}
MARK = "*"


@dataclass(frozen=True, slots=True)
class Probe:
    """What was read with one function around an address."""

    function: int
    reads: tuple[Read, ...]

    def words(self, span: Span) -> tuple[int, ...]:
        """What stands there; from a longer read where the device refuses this length."""
        longer = [
            read.words[: span.count]
            for read in self.reads
            if read.span.address == span.address and len(read.words) >= span.count
        ]
        return longer[0] if longer else ()

    @property
    def errors(self) -> list[str]:
        """Each error once, with where it came."""
        errors: dict[str, list[str]] = {}
        for read in self.reads:
            if read.error:
                where = f"{read.span.address}/{read.span.count}"
                errors.setdefault(read.error, []).append(where)
        if len(errors) == 1 and not any(read.words for read in self.reads):
            return [f"everywhere: {error}" for error in errors]
        return [f"{', '.join(where)}: {error}" for error, where in errors.items()]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("protocol", choices=["modbus"], help="what the line speaks")
    parser.add_argument("url", help="tcp://HOST:PORT, rtu+tcp://HOST:PORT or serial:///dev/…?baud=")
    parser.add_argument("--unit", type=_unit, required=True, metavar="N", help="0 to 255")
    parser.add_argument(
        "--address",
        type=_address,
        required=True,
        metavar="A",
        help="the register as on the wire, from 0; 0x… for hexadecimal",
    )
    parser.add_argument(
        "--function", type=int, choices=FUNCTIONS, help="3 holding, 4 input registers (both)"
    )
    parser.add_argument(
        "--expect",
        type=_expected,
        metavar="VALUE",
        help="what the device's display shows: marks what is within 5 %% of it, times 10^n",
    )
    parser.add_argument("--timeout", type=seconds, default=1.0, metavar="S", help="(1)")
    add_json(parser)
    parser.add_argument("--wire", action="store_true", help="log the bytes on the line (stderr)")


def run(arguments: Namespace) -> int:
    """Print a table or JSON; 0 when registers could be read, else 1. Raises ConfigError."""
    logs.configure("DEBUG" if arguments.wire else "WARNING")
    functions = [arguments.function] if arguments.function else list(FUNCTIONS)
    probes, trouble = asyncio.run(_probe(arguments, functions))
    if arguments.json:
        print(_json(arguments, probes, trouble))
    elif trouble:
        print(trouble, file=sys.stderr)
    else:
        parts = [_text(probe, arguments.expect) for probe in probes]
        print("\n\n".join([*parts, _legend(arguments.expect)]))
    return 0 if any(read.words for probe in probes for read in probe.reads) else 1


async def _probe(arguments: Namespace, functions: Sequence[int]) -> tuple[list[Probe], str]:
    """What was read, and why nothing answers: also whether other frames would be answered."""
    line = ModbusLine(arguments.url, arguments.timeout)
    probes = []
    try:
        for function in functions:
            around = read_around(line, arguments.unit, function, arguments.address)
            probes.append(Probe(function, tuple([read async for read in around])))
    finally:
        line.close()
    if any(read.answered for probe in probes for read in probe.reads):
        return probes, ""
    trouble = f"{arguments.url}: {probes[0].reads[0].error}"
    other = other_framing(arguments.url)
    if other and await answers_as(other, arguments.unit, arguments.timeout):
        trouble = f"{trouble}\nIt answers as {other}: use that."
    return probes, trouble


def _text(probe: Probe, expected: Decimal | None) -> str:
    starts = sorted({read.span.address for read in probe.reads})
    rows = []
    for kind in Type:
        for order in Order if kind.words > 1 else (Order.ABCD, Order.BADC):
            cells = [_cell(probe, start, kind, order, expected) for start in starts]
            rows.append([kind, order[: kind.words * 2], *cells])
    for order in Order:
        texts = [_texts(probe, start, order) for start in starts]
        if any(texts):
            rows.append(["text", order, *(repr(one) if one else "" for one in texts)])
    lines = [FUNCTIONS[probe.function]]
    if any(read.words for read in probe.reads):
        lines.append(table(["type", "order", *map(str, starts)], rows))
    return "\n".join(lines + probe.errors)


def _cell(probe: Probe, start: int, kind: Type, order: Order, expected: Decimal | None) -> str:
    for guess in _guesses(probe, start, expected):
        if (guess.type, guess.order) == (kind, order):
            mark = f" {MARK}" if guess.plausible else ""
            return f"{shown(guess.value)}{mark}{_scale(guess)}"
    return "-"


def _guesses(probe: Probe, start: int, expected: Decimal | None) -> list[Guess]:
    every = (probe.words(Span(start, width)) for width in WIDTHS)
    return [guess for words in every if words for guess in guesses(words, expected)]


def _texts(probe: Probe, start: int, order: Order) -> str | None:
    """The text in the longest read from ``start`` on."""
    reads = [read for read in probe.reads if read.span.address == start and read.words]
    return text(reads[-1].words, order) if reads else None


def _scale(guess: Guess) -> str:
    return f" ×10^{guess.power}" if guess.power else ""


def _legend(expected: Decimal | None) -> str:
    lines = [
        "Columns are addresses as on the wire, from 0. A is the most significant byte.",
        "N/M: …: what was answered when M registers were asked for from address N on.",
    ]
    if expected is None:
        meaning = (
            "neither all 0 nor a code for 'not available', and from 0.001 to 10^9 "
            "(whole numbers of 64 bits: to 10^15)"
        )
    else:
        meaning = f"within 5 % of {expected}, times the power of ten that is shown"
    return "\n".join([*lines, f"{MARK} plausible: {meaning}."])


def _json(arguments: Namespace, probes: Sequence[Probe], trouble: str) -> str:
    found = {
        "url": arguments.url,
        "unit": arguments.unit,
        "address": arguments.address,
        "expected": None if arguments.expect is None else f"{arguments.expect:f}",
        "error": trouble or None,
        "functions": [
            {
                "function": probe.function,
                "reads": [
                    _read_as_json(read, probe.words(read.span), arguments.expect)
                    for read in probe.reads
                ],
            }
            for probe in probes
        ],
    }
    return document(found)


def _read_as_json(
    read: Read, words: tuple[int, ...], expected: Decimal | None
) -> dict[str, object]:
    return {
        "address": read.span.address,
        "count": read.span.count,
        "words": [f"{word:04x}" for word in read.words],
        "error": read.error or None,
        "values": [
            {
                "type": guess.type,
                "order": guess.order,
                "value": None if guess.value is None else f"{guess.value:f}",
                "plausible": guess.plausible,
                "power_of_ten": guess.power,
            }
            for guess in (guesses(words, expected) if words else ())
        ],
        "texts": {order: found for order in Order if (found := text(words, order)) is not None},
    }


def _unit(given: str) -> int:
    return _whole(given, 0, 255)


def _address(given: str) -> int:
    return _whole(given, 0, 0xFFFF)


def _whole(given: str, first: int, last: int) -> int:
    try:
        number = int(given, 0)
    except ValueError:
        number = -1
    if not first <= number <= last:
        raise ArgumentTypeError(f"{given!r} is not {first} to {last}")
    return number


def _expected(given: str) -> Decimal:
    try:
        number = Decimal(given.replace(",", "."))
    except InvalidOperation:
        raise ArgumentTypeError(f"{given!r} is not a number") from None
    if not number.is_finite():
        raise ArgumentTypeError(f"{given!r} is not a number")
    return number
