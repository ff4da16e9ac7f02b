"""``inmetter-edge simulate``: devices on the wire, without hardware."""

import asyncio
import contextlib
import signal
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from common.clock import SystemClock
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("scenario", type=Path, help="the scenario file (TOML)")
    parser.add_argument("--truth", type=Path, help="write what the world gave to this file")


def run(arguments: Namespace) -> int:
    """Run until SIGTERM or SIGINT. 0 after a clean stop, 1 when a port is taken.

    Raises ConfigError for a mistake in the scenario.
    """
    site = load_site(arguments.scenario)
    try:
        asyncio.run(_run(SimulatedSite(site, SystemClock(), arguments.truth)))
    except OSError as error:
        print(f"{arguments.scenario}: cannot run: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(site: SimulatedSite) -> None:
    running = asyncio.ensure_future(site.run(_say))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _say(line: str) -> None:
    print(line, flush=True)
