"""CSV by RFC 4180, in UTF-8. Times are local to the table's zone, with their offset."""

import csv
import io
from collections.abc import Generator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from cloud.export.table import Cell, Table

FORMULA = tuple("=+-@＝＋－＠")
"""A spreadsheet takes text that begins with one of these for a formula, and carries it out."""

BYTE_ORDER_MARK = "\ufeff"
"""Without it, Excel takes UTF-8 for the machine's old character set."""


def write_csv(table: Table, *, comma: bool = False) -> Generator[bytes, None, None]:
    """Head line and rows. ``comma``: as spreadsheets want it where the decimals stand behind a
    comma: with semicolons between the cells, and a byte order mark."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter=";" if comma else ",", lineterminator="\r\n")
    if comma:
        text.write(BYTE_ORDER_MARK)
    lines.writerow([column.name for column in table.columns])
    yield _taken(text)
    for page in table.pages():
        lines.writerows([_written(cell, table.zone, comma) for cell in row] for row in page)
        yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    taken = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return taken


def _written(cell: Cell, zone: ZoneInfo, comma: bool) -> str | int | None:
    match cell:
        case str():
            return harmless(cell)
        case Decimal():
            number = format(cell, "f")
            return number.replace(".", ",") if comma else number
        case datetime():
            return cell.astimezone(zone).isoformat(timespec="milliseconds")
        case _:
            return cell


@lru_cache(1024)  # Names and words come again in each row.
def harmless(text: str) -> str:
    """``text``, with an apostrophe before it where a spreadsheet would take it for a formula."""
    risky = text.lstrip().startswith(FORMULA) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if risky else text
