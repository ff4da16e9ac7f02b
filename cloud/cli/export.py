"""``inmetter-cloud export``: the same files as the REST API's, at the server's shell."""

import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cloud.domain.consumption import Step
from cloud.export.formats import Decimals, Format
from common.clock import SystemClock, to_datetime
from common.errors import InMetterError, Undecodable
from common.ids import check_key

if TYPE_CHECKING:
    from cloud.export.table import Table
    from cloud.services.store import Store

STDOUT = Path("-")
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


class Unwritten(InMetterError):
    """The file could not be written."""


def add_arguments(parser: ArgumentParser) -> None:
    tables = parser.add_subparsers(dest="table", required=True, metavar="WHAT")
    readings = tables.add_parser("readings", help="all that was measured, as it was measured")
    _add_keys(readings, "site", "gateway", "device", "register")
    _add_register_id(readings)
    _add_span(readings)
    _add_file(readings)
    consumption = tables.add_parser(
        "consumption", help="of metering points, or of registers, by period"
    )
    _add_keys(consumption, "site", "point", "gateway", "device", "register")
    _add_register_id(consumption)
    _add_span(consumption)
    consumption.add_argument(
        "--step", type=Step, choices=list(Step), default=Step.DAY,
        help="by the clock of the site",
    )  # fmt: skip
    _add_file(consumption)
    statements = tables.add_parser("statements", help="the lines of what was issued")
    _add_keys(statements, "site", "point")
    statements.add_argument(
        "--from", dest="start", type=_month, metavar="MONTH",
        help="the first month, as 2026-06; any, when left out",
    )  # fmt: skip
    statements.add_argument(
        "--to", dest="end", type=_month, metavar="MONTH",
        help="the first month that does not count",
    )  # fmt: skip
    _add_file(statements)
    statement = tables.add_parser("statement", help="one that was issued, as a PDF")
    statement.add_argument("id", type=int, help="its number")
    _add_output(statement)


def _add_keys(parser: ArgumentParser, *keys: str) -> None:
    for key in keys:
        parser.add_argument(f"--{key}", type=_key, metavar="KEY", help="any, when left out")


def _add_register_id(parser: ArgumentParser) -> None:
    parser.add_argument("--register-id", type=int, metavar="ID", help="one register by its id")


def _add_span(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="start", type=moment, required=True, metavar="TIME",
        help="inclusive; ISO 8601 with Z or an offset",
    )  # fmt: skip
    parser.add_argument(
        "--to", dest="end", type=moment, metavar="TIME", help="exclusive; now, when left out"
    )


def _add_file(parser: ArgumentParser) -> None:
    parser.add_argument("--format", type=Format, choices=list(Format), default=Format.CSV)
    parser.add_argument(
        "--decimal", type=Decimals, choices=list(Decimals), default=Decimals.POINT,
        help="comma: CSV with semicolons, for spreadsheets that want it so",
    )  # fmt: skip
    _add_output(parser)


def _add_output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=STDOUT, metavar="FILE", help="- is standard output"
    )


def run(arguments: Namespace, database_url: str) -> None:
    """Raises InMetterError. A file stands there whole, or as it was; a device is written to."""
    # Not before: a worker loads this module for its arguments only.
    from cloud.export.files import write
    from cloud.services import statement_export
    from cloud.services.store import Store

    store = Store(database_url)
    try:
        if arguments.table == "statement":
            _put([statement_export.statement_pdf(store, arguments.id)[1]], arguments.output)
            return
        table = _table(store, arguments)
        with closing(write(table, arguments.format, arguments.decimal)) as parts:
            _put(parts, arguments.output)
    except OSError as error:
        raise Unwritten(f"{arguments.output}: {error.strerror or error}") from error
    finally:
        store.close()


def _table(store: "Store", asked: Namespace) -> "Table":
    from cloud.services import consumption_export, exports, statement_export

    if asked.table == "statements":
        return statement_export.statements(store, asked.site, asked.point, asked.start, asked.end)
    selection = exports.Selection(
        asked.site, asked.gateway, asked.device, asked.register, asked.register_id
    )
    end = asked.end or to_datetime(SystemClock().now_ms())
    if asked.table == "readings":
        return exports.readings(store, selection, asked.start, end)
    return consumption_export.consumption(
        store, selection, asked.point, asked.step, asked.start, end
    )


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


def _month(text: str) -> str:
    if not MONTH.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is no month, such as 2026-06")
    return text
