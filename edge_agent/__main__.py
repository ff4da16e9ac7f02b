"""``inmetter-edge``: run the agent, check a configuration, read devices, simulate a site."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import ConfigError, InMetterError

GOOD, FINDING, USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 good, 1 something was found or failed, 2 wrong usage or configuration."""
    arguments, rest = _parser().parse_known_args(argv)
    if rest and arguments.command != "simulate":
        _parser().error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        return _dispatch(arguments, rest)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE
    except InMetterError as error:
        print(error, file=sys.stderr)
        return FINDING
    except KeyboardInterrupt:
        return FINDING


def _dispatch(arguments: argparse.Namespace, rest: list[str]) -> int:
    # Each command imports what it needs: a gateway that runs loads no simulator.
    if arguments.command == "run":
        from edge_agent.cli.run import run

        return run(arguments.config, arguments.log_level)
    if arguments.command == "check":
        from edge_agent.cli.check import check

        return check(arguments.config)
    if arguments.command == "read":
        from edge_agent.cli.read import read

        return read(arguments.config, arguments.device, arguments.wait, as_json=arguments.json)
    from edge_agent.cli.simulate import simulate

    return simulate(rest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inmetter-edge", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the agent until SIGTERM or SIGINT")
    run.add_argument("config", type=Path, help="the configuration file (TOML)")
    run.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    check = commands.add_parser("check", help="check a configuration, and list its devices")
    check.add_argument("config", type=Path, help="the configuration file (TOML)")
    read = commands.add_parser("read", help="read each device once over the wire")
    read.add_argument("config", type=Path, help="the configuration file (TOML)")
    read.add_argument("device", nargs="?", help="the key of one device")
    read.add_argument("--json", action="store_true", help="print JSON")
    read.add_argument(
        "--wait",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds to wait for a module that connects to us (30)",
    )
    commands.add_parser("simulate", help="run a simulated site", add_help=False)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise ValueError(text)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
