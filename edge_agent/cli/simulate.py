"""``inmetter-edge simulate``: devices on the wire, without hardware."""

import asyncio
import contextlib
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from common.clock import SystemClock
from common.errors import ConfigError
from edge_agent.cli.document import document
from edge_agent.cli.table import table
from edge_agent.simulators.cloud_reader import CloudReader
from edge_agent.simulators.conservation import Balance, check_site
from edge_agent.simulators.fleet import Fleet, generate
from edge_agent.simulators.port import parse_address
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("scenario", type=Path, nargs="?", help="the scenario file (TOML)")
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="write what the world gave to this file"
    )
    parser.add_argument(
        "--control", default="", metavar="HOST:PORT", help="take faults by hand here (loopback)"
    )
    check = parser.add_argument_group(
        "check", "compare the world, the devices (--truth) and what the cloud has of a gateway"
    )
    check.add_argument("--check", metavar="URL", help="the cloud's address, http://HOST:PORT")
    check.add_argument("--gateway", help="the gateway's id in the cloud")
    check.add_argument("--token-file", type=Path, help="its first line is a token of the REST API")
    check.add_argument("--json", action="store_true", help="one JSON document")
    fleet = parser.add_argument_group("generate", "write scenarios and configurations of a fleet")
    fleet.add_argument("--generate", type=Path, metavar="DIR", help="a new or an empty folder")
    fleet.add_argument("--gateways", type=int, default=1)
    fleet.add_argument("--devices", type=int, default=20, help="of each gateway")
    fleet.add_argument("--seed", default="fleet")
    fleet.add_argument("--first-port", type=int, default=20_000)
    fleet.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")


def run(arguments: Namespace) -> int:
    """Run until SIGTERM or SIGINT; or generate; or check.

    0 after a clean stop, or when every difference is explained; 1 when a port is taken, or when
    one is not. Raises ConfigError for a mistake in the scenario or the arguments.
    """
    if arguments.generate is not None:
        return _generate(arguments)
    if arguments.scenario is None:
        raise ConfigError("expected a scenario file, or --generate DIR")
    site = load_site(arguments.scenario)
    if arguments.check is not None:
        if not (arguments.truth and arguments.gateway and arguments.token_file):
            raise ConfigError("--check goes with --truth, --gateway and --token-file")
        cloud = CloudReader(arguments.check, arguments.token_file)
        balances = check_site(site, arguments.truth, cloud.indexes(arguments.gateway))
        print(_json(balances) if arguments.json else _table(balances))
        return 0 if all(one.explained for one in balances) else 1
    simulated = SimulatedSite(site, SystemClock(), arguments.truth, arguments.control)
    code = 0
    try:
        asyncio.run(_run(simulated))
    except* OSError as errors:
        print(f"{arguments.scenario}: cannot run: {errors.exceptions[0]}", file=sys.stderr)
        code = 1
    return code


async def _run(site: SimulatedSite) -> None:
    running = asyncio.ensure_future(site.run(_say))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _say(line: str) -> None:
    print(line, flush=True)


def _generate(arguments: Namespace) -> int:
    try:
        broker = parse_address(arguments.broker)
    except ValueError as error:
        raise ConfigError(f"--broker: {error}") from None
    fleet = Fleet(
        arguments.gateways, arguments.devices, arguments.seed, arguments.first_port, broker
    )
    try:
        made = generate(arguments.generate, fleet)
    except OSError as error:
        print(f"{arguments.generate}: cannot write: {error}", file=sys.stderr)
        return 1
    for folder in made:
        print(f"{folder}: scenario.toml edge.toml")
    return 0


def _table(balances: Sequence[Balance]) -> str:
    rows = []
    for one in balances:
        numbers = [str(one.consumed), str(one.registered), _or_nothing(one.stored)]
        words = [f"{item.name} {item.amount}" for item in one.differences]
        verdict = "good" if one.explained else f"UNEXPLAINED {_or_nothing(one.unexplained)}"
        rows.append([one.device, one.unit, *numbers, "; ".join(words) or "none", verdict])
    head = ["device", "unit", "consumed", "register", "cloud", "differences", "verdict"]
    return table(head, rows)


def _or_nothing(number: object) -> str:
    return "nothing" if number is None else str(number)


def _json(balances: Sequence[Balance]) -> str:
    return document(balances)
