"""``inmetter-edge scan modbus``: which units answer on a line, and what they are."""

import asyncio
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence

from common import logs
from common.errors import ConfigError, Retryable
from edge_agent.cli.arguments import add_json, seconds
from edge_agent.cli.document import document
from edge_agent.cli.progress import Progress
from edge_agent.cli.table import table
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.drivers.modbus_probe import answers_as, other_framing, without_url
from edge_agent.drivers.modbus_scan import Found, Scan

CONNECT_S = 5.0

PATIENCE_S = 1.0
"""How long a device is waited for that may speak with other frames."""

CAUSES = {
    "tcp": (
        "the far end is a gateway, and the baud rate, parity or wiring behind it are wrong",
        "the far end is a plain serial converter: try rtu+tcp://",
        "another port is Modbus (502 is usual), or Modbus is switched off in the device",
    ),
    "rtu+tcp": (
        "the converter's baud rate or parity is not that of the devices",
        "A and B are swapped, the line is open, or the devices have no power",
        "the far end is a Modbus gateway: try tcp://",
        "the converter is set to another protocol, or another program holds its connection",
    ),
    "serial": (
        "the baud rate or parity of the URL is not that of the devices",
        "A and B are swapped, the line is open, or the devices have no power",
        "this is not the port that the adapter is plugged in at",
    ),
}
"""Why no unit may answer, the likeliest first, by the URL's scheme."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("url", help="tcp://HOST:PORT, rtu+tcp://HOST:PORT or serial:///dev/…?baud=")
    parser.add_argument("--from", dest="first", type=_unit, default=1, metavar="N", help="(1)")
    parser.add_argument("--to", dest="last", type=_unit, default=247, metavar="N", help="(247)")
    parser.add_argument(
        "--resume", type=_unit, metavar="N", help="go on at this unit after an interruption"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=0.3,
        metavar="S",
        help="for each unit (0.3); the scan takes more when units answer later",
    )
    add_json(parser)
    parser.add_argument("--wire", action="store_true", help="log the bytes on the line (stderr)")


def run(arguments: Namespace) -> int:
    """Print a table or JSON; 0 when all units were asked and one answered, else 1.

    What was found is printed, too, when the scan is interrupted. Raises ConfigError.
    """
    logs.configure("DEBUG" if arguments.wire else "WARNING")
    first = arguments.first if arguments.resume is None else arguments.resume
    units = range(first, arguments.last + 1)
    if not units:
        raise ConfigError(f"there is no unit from {first} to {arguments.last}")
    line = ModbusLine(arguments.url, arguments.timeout, connect_s=CONNECT_S, patient=True)
    scan = Scan(line, units)
    trouble, causes = "", []
    try:
        causes = asyncio.run(_scan(scan, line, len(units), arguments))
    except KeyboardInterrupt:
        trouble = "interrupted"
    except Retryable as error:
        trouble = without_url(line, error)
    found = [scan.found[unit] for unit in sorted(scan.found)]
    if arguments.json:
        print(_json(arguments, scan, found, trouble, causes))
    else:
        print("\n".join(_lines(scan, found, trouble, causes)))
    return 0 if _answering(found) and not trouble else 1


def _answering(found: Iterable[Found]) -> list[Found]:
    """Those that can be read; noise is none."""
    return [one for one in found if not one.is_noise]


async def _scan(scan: Scan, line: ModbusLine, number: int, arguments: Namespace) -> list[str]:
    """Runs ``scan``; gives the likely causes when nothing was found."""
    progress = Progress(number)
    try:
        async for step in scan.run():
            progress.step(f"unit {step.unit}, {len(scan.found)} found")
    finally:
        line.close()
    return [] if _answering(scan.found.values()) else await _causes(scan, arguments)


async def _causes(scan: Scan, arguments: Namespace) -> list[str]:
    url: str = arguments.url
    other = other_framing(url)
    for unit in range(arguments.first, min(arguments.first + 3, arguments.last + 1)):
        if other and await answers_as(other, unit, PATIENCE_S):
            return [f"unit {unit} answers as {other}: use that"]
    return [scan.silence, *CAUSES[url.partition(":")[0]]]


def _lines(scan: Scan, found: Sequence[Found], trouble: str, causes: Sequence[str]) -> list[str]:
    lines = []
    if found:
        rows = [
            [str(one.unit), one.answer, _identity(one), ", ".join(one.profiles) or "none"]
            for one in found
        ]
        lines += [table(["unit", "answers with", "says that it is", "profiles that fit"], rows), ""]
        lines += [*scan.notes, *_settings(_answering(found))]
    if not found:
        lines.append("no unit answers" if not trouble else "no unit was found")
    if causes:
        lines += ["", "Likely causes:", *(f"- {cause}" for cause in causes if cause)]
    if trouble:
        lines += ["", f"The scan stopped: {trouble}"]
        if scan.next_unit is not None:
            lines.append(f"Go on with --resume {scan.next_unit}")
    return lines


def _identity(found: Found) -> str:
    said = found.identification
    names = ("vendor", "product", "product_code", "model", "revision")
    texts = list(dict.fromkeys(said[name] for name in names if name in said))
    # "Maker" says nothing new beside "Maker M-1".
    new = [one for one in texts if not any(one in other for other in texts if other != one)]
    return " ".join(new) or "-"


def _settings(found: Sequence[Found]) -> list[str]:
    """What goes into the configuration, for the first unit with a profile."""
    for one in found:
        if one.profiles:
            return [
                "For the configuration, with a key and a name of your own:",
                "",
                "[[device]]",
                'driver = "modbus"',
                f'key = "meter-{one.unit}"',
                f'name = "Meter {one.unit}"',
                'line = "…"',
                f"unit = {one.unit}",
                f'profile = "{one.profiles[0]}"',
            ]
    if not found:
        return []
    return ["No profile fits: inmetter-edge probe modbus URL --unit N --address A shows registers."]


def _json(
    arguments: Namespace, scan: Scan, found: Sequence[Found], trouble: str, causes: Sequence[str]
) -> str:
    told = {
        "url": arguments.url,
        "from": arguments.first if arguments.resume is None else arguments.resume,
        "to": arguments.last,
        "stopped": trouble or None,
        "resume": scan.next_unit if trouble else None,
        "units": [
            {
                "unit": one.unit,
                "answer": one.answer,
                "identification": one.identification,
                "profiles": one.profiles,
            }
            for one in found
        ],
        "notes": scan.notes,
        "causes": [cause for cause in causes if cause],
    }
    return document(told)


def _unit(given: str) -> int:
    if not given.isascii() or not given.isdigit() or not 0 <= int(given) <= 255:
        raise ArgumentTypeError(f"{given!r} is not a unit number, 0 to 255")
    return int(given)
