"""``inmetter-cloud export``: the same files as the REST API's, at the server's shell."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from cloud.export.formats import Decimals, Format
from common.clock import SystemClock, to_datetime
from common.errors import InMetterError, Undecodable
from common.ids import check_key

STDOUT = Path("-")


class Unwritten(InMetterError):
    """The file could not be written."""


def add_arguments(parser: ArgumentParser) -> None:
    tables = parser.add_subparsers(dest="table", required=True, metavar="TABLE")
    readings = tables.add_parser("readings", help="all that was measured, as it was measured")
    for key in ("site", "gateway", "device", "register"):
        readings.add_argument(f"--{key}", type=_key, metavar="KEY", help="any, when left out")
    readings.add_argument("--register-id", type=int, metavar="ID", help="one register by its id")
    readings.add_argument(
        "--from", dest="start", type=moment, required=True, metavar="TIME",
        help="inclusive; ISO 8601 with Z or an offset",
    )  # fmt: skip
    readings.add_argument(
        "--to", dest="end", type=moment, metavar="TIME", help="exclusive; now, when left out"
    )
    readings.add_argument("--format", type=Format, choices=list(Format), default=Format.CSV)
    readings.add_argument(
        "--decimal", type=Decimals, choices=list(Decimals), default=Decimals.POINT,
        help="comma: CSV with semicolons, for spreadsheets that want it so",
    )  # fmt: skip
    readings.add_argument(
        "--output", type=Path, default=STDOUT, metavar="FILE", help="- is standard output"
    )


def run(arguments: Namespace, database_url: str) -> None:
    """Raises InMetterError. A file stands there whole, or as it was; a device is written to."""
    # Not before: a worker loads this module for its arguments only.
    from cloud.export.files import write
    from cloud.services import exports
    from cloud.services.store import Store

    store = Store(database_url)
    selection = exports.Selection(
        site=arguments.site,
        gateway=arguments.gateway,
        device=arguments.device,
        register=arguments.register,
        register_id=arguments.register_id,
    )
    end = arguments.end or to_datetime(SystemClock().now_ms())
    try:
        table = exports.readings(store, selection, arguments.start, end)
        with closing(write(table, arguments.format, arguments.decimal)) as parts:
            _put(parts, arguments.output)
    except OSError as error:
        raise Unwritten(f"{arguments.output}: {error.strerror or error}") from error
    finally:
        store.close()


def _put(parts: Iterable[bytes], output: Path) -> None:
    if output == STDOUT:
        with os.fdopen(1, "wb", closefd=False) as file:
            _copy(parts, file)
    elif output.exists() and not output.is_file():
        # A device or a pipe is written to. Only a file may have another one put in its place.
        with output.open("wb") as file:
            _copy(parts, file)
    else:
        _replace(output.resolve(), parts)


def _replace(output: Path, parts: Iterable[bytes]) -> None:
    unfinished = output.with_name(f"{output.name}.part")
    try:
        with unfinished.open("wb") as file:
            _copy(parts, file)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def _copy(parts: Iterable[bytes], file: BinaryIO) -> None:
    for part in parts:
        file.write(part)


def _key(text: str) -> str:
    try:
        return check_key(text, "it")
    except Undecodable as error:
        raise ArgumentTypeError(str(error)) from error


def moment(text: str) -> datetime:
    """An instant on the command line."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no time, such as 2026-06-01T00:00:00Z") from error
    if found.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} needs Z or an offset, such as +03:00")
    return found
