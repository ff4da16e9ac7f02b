"""``inmetter-edge mbus``: set a meter's address, reset its application, change its baud rate."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from common.errors import ConfigError, NoAnswer, Undecodable
from edge_agent.cli.document import document
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus_found import Meter
from edge_agent.drivers.mbus_link import Address
from edge_agent.drivers.mbus_service import Service
from edge_agent.protocols.mbus.selection import parse_secondary

ACTIONS = {
    "set-address": "give the meter another primary address (0 to 250)",
    "reset": "reset the meter's application; VALUE is the subcode, if any",
    "baud": "have the meter talk at another rate (300 to 38400)",
}


def add_arguments(parser: ArgumentParser) -> None:
    every = "; ".join(f"{name}: {text}" for name, text in ACTIONS.items())
    parser.add_argument("action", choices=ACTIONS, metavar="ACTION", help=every)
    parser.add_argument("url", help="tcp://HOST:PORT, serial:///dev/… or rfc2217://HOST:PORT")
    parser.add_argument("meter", help="primary address (0 to 250, 254: the only one) or secondary")
    parser.add_argument("value", type=int, nargs="?", help="the new address, baud rate or subcode")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--timeout", type=float, default=2.0, metavar="S", help="what the slowest meter needs (2 s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: Namespace) -> int:
    """0 when it is done, and verified where that can be; 1 when it is not, or not wanted.

    Raises ConfigError; Retryable and Refused when the meter does not do it.
    """
    if arguments.value is None and arguments.action != "reset":
        raise ConfigError(f"mbus {arguments.action}: expected a value behind the meter")
    if not 0 < arguments.timeout <= 60:
        raise ConfigError(f"--timeout {arguments.timeout:g}: expected above 0, to 60 seconds")
    address = parse_address(arguments.meter)
    meter = asyncio.run(_identify(arguments, address))
    # Asked with no loop running, so that Ctrl-C ends the question at once.
    if not arguments.yes and not _confirmed(arguments, meter):
        print("nothing was changed", file=sys.stderr)
        return 1
    try:
        verified = asyncio.run(_change(arguments, address, meter))
    except KeyboardInterrupt:
        raise NoAnswer("interrupted: it may have happened or not; read the meter to see") from None
    print(_json(arguments, meter, verified) if arguments.json else _text(arguments, verified))
    return 0


def parse_address(text: str) -> Address:
    """``5``, ``12345678`` or ``12345678-INM-05-07``. Raises ConfigError."""
    if text.isdecimal() and text.isascii() and len(text) <= 3:
        return int(text)
    try:
        return parse_secondary(text)
    except Undecodable as error:
        raise ConfigError(f"meter {error}; or a primary address") from None


async def _identify(arguments: Namespace, address: Address) -> Meter:
    line = Line(arguments.url)
    try:
        return await Service(line, address, arguments.timeout).identify()
    finally:
        await line.close()


async def _change(arguments: Namespace, address: Address, meant: Meter) -> bool:
    """Whether it was seen to have happened, and not only acknowledged."""
    line = Line(arguments.url)
    after = _line_after(arguments) if arguments.action == "baud" else None
    service = Service(line, address, arguments.timeout, meant)
    try:
        match arguments.action:
            case "set-address":
                await service.set_address(arguments.value)
            case "reset":
                await service.reset_application(arguments.value)
            case _:
                await service.set_baud(arguments.value, after)
                return after is not None
        return True
    finally:
        await line.close()
        if after is not None:
            await after.close()


def _line_after(arguments: Namespace) -> Line | None:
    """The line at the new baud rate; None for TCP, where only the converter can change it."""
    parts = urlsplit(arguments.url)
    if parts.scheme == "tcp":
        return None
    query = {**dict(parse_qsl(parts.query)), "baud": str(arguments.value)}
    return Line(urlunsplit(parts._replace(query=urlencode(query))))


def _confirmed(arguments: Namespace, meter: Meter) -> bool:
    who = meter.secondary or "a meter that does not say who it is"
    what = arguments.action if arguments.value is None else f"{arguments.action} {arguments.value}"
    print(f"{who} ({meter.medium}) at {arguments.meter}: {what}? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _text(arguments: Namespace, verified: bool) -> str:
    if verified:
        return f"{arguments.action}: done and verified"
    return (
        f"{arguments.action}: acknowledged. Set the converter to {arguments.value} baud within two "
        "minutes, and read the meter: else it returns to its old rate"
    )


def _json(arguments: Namespace, meter: Meter, verified: bool) -> str:
    told = {
        "action": arguments.action,
        "meter": meter,
        "value": arguments.value,
        "verified": verified,
    }
    return document(told)
