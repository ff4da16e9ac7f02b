"""``inmetter-edge run``: the agent, until it is told to stop."""

import asyncio
import signal
from argparse import ArgumentParser, Namespace
from pathlib import Path

from common import logs
from common.clock import SystemClock
from common.garbage import collect_seldom
from edge_agent.agent import keep_running
from edge_agent.kernel import this_kernel


def add_arguments(parser: ArgumentParser) -> None:
    levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    parser.add_argument("config", type=Path, help="the configuration file (TOML)")
    parser.add_argument("--log-level", default="INFO", choices=levels)


def run(arguments: Namespace) -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop. Raises InMetterError."""
    logs.configure(arguments.log_level)
    collect_seldom()
    asyncio.run(_run(arguments.config))
    return 0


async def _run(path: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await keep_running(path, SystemClock(), stop, this_kernel())
