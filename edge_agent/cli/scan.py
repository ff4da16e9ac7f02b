"""``inmetter-edge scan``: what is there? One module for each kind of device."""

from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Protocol, cast

KINDS = {
    "mbus": "meters on an M-Bus line, by primary or secondary address",
    "modbus": "Modbus units on a line",
    "c11do1eth": "C11DO1ETH modules that connect",
}
"""Each is a module ``scan_<kind>`` of this package, loaded when it is asked for."""


class Kind(Protocol):
    """What a module ``scan_<kind>`` offers."""

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, arguments: Namespace) -> int:
        """Exit code: 0 found something, 1 found nothing. Raises InMetterError."""


def add_arguments(parser: ArgumentParser) -> None:
    every = ", ".join(f"{kind} ({text})" for kind, text in KINDS.items())
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=every)
    parser.add_argument("rest", nargs="...", metavar="…", help="KIND --help says more")


def run(arguments: Namespace) -> int:
    """Exit code of the kind's own scan. Raises InMetterError."""
    kind = cast(Kind, import_module(f"edge_agent.cli.scan_{arguments.kind}"))
    parser = ArgumentParser(
        prog=f"inmetter-edge scan {arguments.kind}", description=KINDS[arguments.kind]
    )
    kind.add_arguments(parser)
    return kind.run(parser.parse_args(arguments.rest))
