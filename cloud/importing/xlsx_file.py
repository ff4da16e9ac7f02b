"""XLSX, read row by row. What a file claims to hold is bounded before it is unpacked."""

import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from openpyxl import load_workbook

from cloud.importing.table import Line, Table, Unreadable, blank, head

MAX_UNPACKED = 150_000_000
MAX_COLUMNS = 64
MAX_BLANK = 10_000
"""So many blank rows one after the other: a file may say that its next row is the last there is."""

DIGITS = 15
"""So many a spreadsheet keeps of a number; what a formula leaves behind them is noise."""

BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""The library says that a file is broken by whatever it stumbles over."""


class Sheet(Protocol):
    """A sheet as the library reads it, row by row."""

    title: str

    def reset_dimensions(self) -> None: ...

    def iter_rows(self, *, max_col: int, values_only: bool) -> Iterator[Sequence[object]]: ...


def read_xlsx(content: bytes) -> Table:
    """The table on the only sheet that has one. Raises Unreadable."""
    rows = _rows(content, MAX_COLUMNS)
    first = next(rows, None)
    heads = [] if first is None else [head(cell) for cell in first.cells]
    while heads and not heads[-1]:
        heads.pop()

    def lines() -> Iterator[Line]:
        found = _rows(content, len(heads) + 1)
        next(found, None)
        return (Line(number, _fitted(cells, len(heads))) for number, cells in found)

    return Table(heads, lines)


def _fitted(cells: Sequence[str], width: int) -> Sequence[str]:
    """Of the head's width: the library fills up with blanks."""
    return cells[:width] if blank(cells[width:]) else cells


def _rows(content: bytes, width: int) -> Iterator[Line]:
    try:
        _check_size(content)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        try:
            yield from _only_sheet(book.worksheets, width)
        finally:
            book.close()
    except BROKEN as error:
        raise Unreadable(f"this is no XLSX file, or it is damaged: {error}") from error


def _check_size(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # No more than it says is unpacked of a part: the module stops there.
        if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED:
            most = MAX_UNPACKED // 1_000_000
            raise Unreadable(f"unpacked, the file has more than {most} MB: split it, or send CSV")


def _only_sheet(sheets: Sequence[Sheet], width: int) -> Iterator[Line]:
    found: Sheet | None = None
    for sheet in sheets:
        if next(_sheet(sheet, width), None) is None:
            continue
        if found is not None:
            raise Unreadable(
                f"there are tables on the sheets {found.title} and {sheet.title}: one is wanted"
            )
        found = sheet
    if found is not None:
        yield from _sheet(found, width)


def _sheet(sheet: Sheet, width: int) -> Iterator[Line]:
    sheet.reset_dimensions()  # what the file says about them need not be true
    empty = 0
    for number, row in enumerate(sheet.iter_rows(max_col=width, values_only=True), 1):
        cells = [_text(value).strip() for value in row]
        empty = empty + 1 if blank(cells) else 0
        if empty > MAX_BLANK:
            raise Unreadable(f"there are more than {MAX_BLANK:,} blank rows before row {number:,}")
        if not empty:
            yield Line(number, cells)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return _number(value)
        case datetime() | date():
            return value.isoformat()
        case _:
            return str(value)


def _number(value: float) -> str:
    """The decimal that the spreadsheet shows for it, where that is the same number."""
    shown = f"{value:.{DIGITS}g}"
    same = abs(float(shown) - value) <= 4 * math.ulp(value)
    return format(Decimal(shown if same else repr(value)), "f")
