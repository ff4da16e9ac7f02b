"""``inmetter-edge``: run the agent, and the installer's tools."""

import json
import sys
from argparse import REMAINDER, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from common.errors import ConfigError, InMetterError
from edge_agent.cli.streams import Unwritten, forgiving

GOOD, FINDING, USAGE = 0, 1, 2

COMMANDS = {
    "run": "run the agent until SIGTERM or SIGINT",
    "check": "check a configuration, and list its devices",
    "init": "ask, find devices, write a configuration",
    "read": "read each device once over the wire",
    "output": "switch an output and read it back",
    "scan": "find devices on a line",
    "mbus": "set an M-Bus meter's address, reset it, or change its baud rate",
    "probe": "show a Modbus register as every type and order",
    "doctor": "look for what is wrong with this gateway, and say what to do",
    "journal": "how full the journal is, whether it is sound, what is in it; salvage",
    "decode": "say what recorded bytes of a meter mean",
    "simulate": "run a simulated site",
}
"""Each is a module of ``edge_agent.cli``, loaded when it is asked for: a gateway that runs loads no
simulator."""


class Command(Protocol):
    """What a module of ``edge_agent.cli`` offers."""

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, arguments: Namespace) -> int:
        """Exit code: GOOD, FINDING, USAGE. Raises InMetterError."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 good, 1 something was found or failed, 2 wrong usage or configuration."""
    try:
        with forgiving():
            return _main(argv)
    except Unwritten as error:
        print(error, file=sys.stderr)
        return FINDING


def _main(argv: Sequence[str] | None) -> int:
    width = max(map(len, COMMANDS))
    every = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = ArgumentParser(
        prog="inmetter-edge",
        description=f"{__doc__}\n\n{every}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("rest", nargs=REMAINDER, metavar="…")
    chosen = parser.parse_args(argv)
    try:
        command = cast(Command, import_module(f"edge_agent.cli.{chosen.command}"))
        own = ArgumentParser(
            prog=f"inmetter-edge {chosen.command}", description=COMMANDS[chosen.command]
        )
        command.add_arguments(own)
        return command.run(own.parse_args(chosen.rest))
    except InMetterError as error:
        text, code = str(error), USAGE if isinstance(error, ConfigError) else FINDING
    except KeyboardInterrupt:
        text, code = "interrupted", FINDING
    print(text, file=sys.stderr)
    if "--json" in chosen.rest:
        print(json.dumps({"error": text}))
    return code


if __name__ == "__main__":
    sys.exit(main())
