"""Runs a simulated site: ``python -m edge_agent.simulators SCENARIO.toml [--truth FILE]``."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from common.clock import SystemClock
from common.errors import InMetterError
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT. 0 after a clean stop, 1 when a port is taken, 2 for a mistake
    in the scenario."""
    parser = argparse.ArgumentParser(prog="simulate", description="Run a simulated site.")
    parser.add_argument("scenario", type=Path, help="the scenario file (TOML)")
    parser.add_argument("--truth", type=Path, help="write what the world gave to this file")
    arguments = parser.parse_args(argv)
    try:
        site = load_site(arguments.scenario)
        asyncio.run(_run(SimulatedSite(site, SystemClock(), arguments.truth)))
    except InMetterError as error:
        print(error, file=sys.stderr)
        return 2
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
