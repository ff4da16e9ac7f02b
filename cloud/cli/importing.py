"""``inmetter-cloud import``: the same files as over the REST API, at the server's shell."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from cloud.export.formats import Decimals
from cloud.importing.report import Report
from common.clock import SystemClock
from common.errors import InMetterError

BY = "command line"


class NotImported(InMetterError):
    """Nothing of the file was imported, or could be."""


def add_arguments(parser: ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    for kind, text in (
        ("readings", "historical readings, with the columns of the export"),
        ("metering-points", "metering points, each with its first meter"),
    ):
        one = kinds.add_parser(kind, help=text)
        one.add_argument("file", type=Path, metavar="FILE", help="CSV or XLSX")
        one.add_argument(
            "--apply", action="store_true", help="do it; without, the file is only looked at"
        )
        one.add_argument(
            "--decimal", type=Decimals, choices=list(Decimals), help="found out, when left out"
        )
        one.add_argument(
            "--zone", type=_zone, metavar="ZONE",
            help="of times without an offset, such as Europe/Bucharest",
        )  # fmt: skip
        one.add_argument("--reason", default="", help="why; it is written down")
        one.add_argument("--json", action="store_true", help="the report as JSON")


def run(arguments: Namespace, database_url: str) -> None:
    """Prints the report. Raises InMetterError, also when a line is bad."""
    # Not before: a worker loads this module for its arguments only.
    from cloud.services import imports, point_imports
    from cloud.services.points import Change
    from cloud.services.store import Store

    path: Path = arguments.file
    decimals: Decimals | None = arguments.decimal
    comma = None if decimals is None else decimals is Decimals.COMMA
    try:
        file = imports.File(path.name, path.read_bytes(), arguments.zone, comma)
    except OSError as error:
        raise NotImported(f"{path}: {error.strerror or error}") from error
    service = imports if arguments.kind == "readings" else point_imports
    now_ms = SystemClock().now_ms()
    database = Store(database_url)
    try:
        if arguments.apply:
            report = service.store(database, file, Change(BY, now_ms, arguments.reason))
        else:
            report = service.check(database, file, now_ms)
    except imports.ImportRefused as error:
        report = error.report
    finally:
        database.close()
    print(msgspec.json.encode(report).decode() if arguments.json else as_text(report))
    if report.bad:
        raise NotImported(f"{path}: {report.verdict()}")


def as_text(report: Report) -> str:
    """The report for a person: what would be or was done, and a line for each bad line."""
    lines = [
        f"{report.file}  SHA-256 {report.sha256}",
        f"{report.lines:,} lines (decimal {report.decimals}): {report.new:,} new,"
        f" {report.already_there:,} already there, {report.conflicting:,} in conflict,"
        f" {report.refused:,} refused",
    ]
    for one in report.faults:
        column = f", {one.column}" if one.column else ""
        lines.append(f"line {one.line}{column}: {one.wrong}; {one.advice}")
    if report.more:
        lines.append(f"and {report.more:,} more bad lines")
    lines.append(report.verdict())
    return "\n".join(lines)


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ArgumentTypeError(f"{text!r} is no time zone, such as Europe/Bucharest") from error
