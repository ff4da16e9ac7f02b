"""``inmetter-edge scan mbus``: the meters on an M-Bus line, and how to configure them."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from common.errors import ConfigError, Disconnected, InMetterError, Undecodable
from edge_agent.cli.document import document, keep
from edge_agent.cli.table import table
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus_causes import HUNG_UP
from edge_agent.drivers.mbus_found import Meter, News, Progress, Trouble
from edge_agent.drivers.mbus_probe import Prober
from edge_agent.drivers.mbus_scan import PrimaryPosition, scan_primary
from edge_agent.drivers.mbus_search import SearchPosition, search_from, search_secondary
from edge_agent.drivers.mbus_url import parse_url
from edge_agent.protocols.mbus.link import MAX_PRIMARY
from edge_agent.protocols.mbus.selection import parse_mask

TIMEOUT_S = 0.4
CAUSES = """\
nothing answers. Likely causes, the most frequent first:
- no power on the bus, or its two wires are not connected to this converter
- another baud rate: most meters have 2400, some 300 or 9600; set it at the converter, or say it in
  the URL of a serial port (…?baud=300)
- what listens there is no transparent M-Bus converter: a plain switch, a web page, or a converter
  in another mode
- slow meters: try --timeout 1.5"""
NOISE = """\
noise answers. Likely causes, the most frequent first:
- wrong baud rate or parity (M-Bus is 8E1) at the converter or in the URL
- what answers there speaks another protocol
- a bus that is too long or badly screened, or a meter with a fault"""


class Scan(Struct):
    """A scan as it stands: everything that going on with it needs."""

    url: str
    position: PrimaryPosition | SearchPosition
    meters: list[Meter] = []
    troubles: list[Trouble] = []
    complete: bool = False
    scope: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("url", help="tcp://HOST:PORT, serial:///dev/… or rfc2217://HOST:PORT")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--primary", action="store_true", help="by primary address (default)")
    way.add_argument("--secondary", action="store_true", help="search by secondary address")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="A")
    parser.add_argument("--to", type=int, default=MAX_PRIMARY, dest="last", metavar="B")
    parser.add_argument(
        "--mask", default="FFFFFFFF", help="search among these identifications (12FFFFFF)"
    )
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, metavar="S", help=f"seconds ({TIMEOUT_S})"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="go on from here; is written when interrupted"
    )
    parser.add_argument("--progress", action="store_true", help="also when stderr is no terminal")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: Namespace) -> int:
    """0 when the scan came to its end and found meters, else 1. Raises ConfigError."""
    scan = _begin(arguments)
    failure: InMetterError | None = None
    interrupted = False
    try:
        asyncio.run(_run(scan, arguments))
    except KeyboardInterrupt:
        interrupted = True
    except Disconnected as error:
        failure = Disconnected(f"{error}: {HUNG_UP}")
    except InMetterError as error:
        failure = error
    print(_json(scan, failure) if arguments.json else _text(scan))
    _keep(scan, arguments.resume)
    if interrupted:
        print("interrupted", file=sys.stderr)
    if not scan.complete and arguments.resume:
        print(f"the same command goes on from {arguments.resume}", file=sys.stderr)
    if failure:
        print(failure, file=sys.stderr)
    if not scan.meters and not interrupted and not failure:
        noisy = any(trouble.kind == "noise" for trouble in scan.troubles)
        print(NOISE if noisy else "" if scan.troubles else CAUSES, file=sys.stderr)
    return 0 if scan.meters and scan.complete else 1


def _begin(arguments: Namespace) -> Scan:
    """The scan as it was left, or a new one. Raises ConfigError."""
    parse_url(arguments.url)
    if not 0 < arguments.timeout <= 60:
        raise ConfigError(f"--timeout {arguments.timeout:g}: expected above 0, to 60 seconds")
    if not 0 <= arguments.first <= arguments.last <= MAX_PRIMARY:
        raise ConfigError(f"--from and --to: expected 0 to {MAX_PRIMARY}, the first not above")
    file: Path | None = arguments.resume
    position: PrimaryPosition | SearchPosition
    if arguments.secondary:
        scope = f"secondary address {arguments.mask.upper()}"
        try:
            position = search_from(parse_mask(arguments.mask))
        except Undecodable as error:
            raise ConfigError(f"--mask {error}") from None
    else:
        scope = f"primary addresses {arguments.first} to {arguments.last}"
        position = PrimaryPosition(arguments.first, arguments.last, arguments.first)
    scan = Scan(arguments.url, position, scope=scope)
    if file is not None and file.exists():
        return _resumed(file, scan)
    _keep(scan, file)
    return scan


def _resumed(file: Path, asked: Scan) -> Scan:
    """The same scan as it was left. Raises ConfigError, also for a scan of something else."""
    try:
        scan = msgspec.json.decode(file.read_bytes(), type=Scan)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise ConfigError(f"{file}: expected a scan that was interrupted") from None
    for was, wanted in ((scan.url, asked.url), (scan.scope, asked.scope)):
        if was != wanted:
            raise ConfigError(f"{file}: is a scan of {was}, not of {wanted}")
    return scan


def _keep(scan: Scan, file: Path | None) -> None:
    """What is left to do is written down; nothing left, no file."""
    if file is None:
        return
    if scan.complete:
        file.unlink(missing_ok=True)
        return
    keep(file, scan)


async def _run(scan: Scan, arguments: Namespace) -> None:
    line = Line(scan.url)
    prober = Prober(line, arguments.timeout)
    show = arguments.progress or sys.stderr.isatty()
    scanning: AsyncGenerator[News, None]
    if isinstance(scan.position, PrimaryPosition):
        scanning = scan_primary(prober, scan.position)
    else:
        scanning = search_secondary(prober, scan.position)
    try:
        async with aclosing(scanning):
            async for news in scanning:
                if isinstance(news, Progress):
                    _progress(news, scan, show)
                    continue
                if isinstance(news, Meter):
                    scan.meters.append(news)
                else:
                    scan.troubles.append(news)
                _keep(scan, arguments.resume)
        scan.complete = scan.position.done
    finally:
        if show:
            print(file=sys.stderr)
        with suppress(InMetterError):
            await prober.deselect()
        await line.close()


def _progress(news: Progress, scan: Scan, show: bool) -> None:
    if show:
        found = f"{len(scan.meters)} found"
        text = f"\r{news.done:4.0%}  {found}  {news.asking}"
        print(f"{text:70}", end="", file=sys.stderr, flush=True)


def _json(scan: Scan, failure: InMetterError | None) -> str:
    told = {
        "url": scan.url,
        "complete": scan.complete,
        "error": str(failure) if failure else None,
        "meters": scan.meters,
        "troubles": scan.troubles,
    }
    return document(told)


def _text(scan: Scan) -> str:
    parts = []
    if scan.meters:
        head = ["address", "secondary address", "maker", "version", "medium", "profile"]
        parts += [table(head, [_row(meter) for meter in scan.meters]), ""]
        parts += ["# for the configuration:", *(_snippet(scan, meter) for meter in scan.meters)]
    parts += [f"{one.kind} at {one.where}: {one.text}" for one in scan.troubles]
    return "\n".join(parts)


def _row(meter: Meter) -> list[str]:
    address = "?" if meter.address is None else str(meter.address)
    profile = ", ".join(meter.profiles) or ("encrypted" if meter.encrypted else "none fits")
    version = "?" if meter.version is None else str(meter.version)
    says = (meter.secondary, meter.manufacturer, version, meter.medium)
    return [address, *(one or "?" for one in says), profile]


def _snippet(scan: Scan, meter: Meter) -> str:
    """The table of the configuration that reads the meter, in the way in which it was found."""
    where = f"address = {meter.address}"
    if isinstance(scan.position, SearchPosition) and meter.secondary:
        where = f'secondary = "{meter.secondary}"'
    name = f"meter-{meter.identification or meter.address}".lower()
    profile = meter.profiles[0] if meter.profiles else "?"
    return (
        f'[[device]]\ndriver = "mbus"\nkey = "{name}"\nname = "{meter.medium or name}"\n'
        f'line = "?"\n{where}\nprofile = "{profile}"\n'
    )
