"""Arguments that several commands have."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

WAIT_S = 65.0
"""A module that was not listened to waits up to a minute before it comes again."""


def add_config(parser: ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the configuration file (TOML)")


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_wait(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        type=seconds,
        default=WAIT_S,
        metavar="S",
        help=f"seconds to wait for a module that connects to us ({WAIT_S:g})",
    )


def seconds(text: str) -> float:
    """More than 0, at most a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 86400:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 86400")
    return value
