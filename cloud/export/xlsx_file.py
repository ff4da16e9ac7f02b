"""XLSX: built in a temporary folder, which is gone when the last part is taken or nobody wants it.

Nothing is a formula or a link. A number of more than 15 digits, which a spreadsheet would round,
stands there as text. Times are dates of the table's zone, with their offset beside them, since the
clock goes through one hour twice in autumn.
"""

from collections.abc import Generator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from cloud.export.table import Cell, Column, Row, Table, Type

SHEET_ROWS = 1_048_576
DIGITS = 15
"""So many a double holds of every decimal, and a spreadsheet shows."""

FIRST_YEAR = 1901
"""Spreadsheets have no dates before 1900, and disagree about that year."""

STAMP = len("2026-06-02 14:59:58.500")
PART_BYTES = 65_536
PREFIX = "inmetter-export-"
WIDTHS = {Type.TEXT: 16, Type.INTEGER: 16, Type.DECIMAL: 18, Type.TIME: 24}


def write_xlsx(table: Table, *, sheet_rows: int = SHEET_ROWS) -> Generator[bytes, None, None]:
    """The file. Empty parts come while it is built; where a sheet is full, another one follows."""
    with TemporaryDirectory(prefix=PREFIX) as folder:
        path = Path(folder, "export.xlsx")
        book = _Book(path, table, sheet_rows)
        for page in table.pages():
            for row in page:
                book.add(row)
            yield b""
        book.close()
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                yield part


class _Book:
    """A workbook that is written row by row; it keeps only the row that it is at."""

    def __init__(self, path: Path, table: Table, sheet_rows: int) -> None:
        options = {"constant_memory": True, "tmpdir": str(path.parent), "use_zip64": True}
        self._book = Workbook(str(path), options)
        self._table = table
        self._sheet_rows = sheet_rows
        self._sheets = 0
        self._bold = self._book.add_format({"bold": True})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self._numbers: dict[int, Format] = {}
        self._sheet, self._next = self._add_sheet(), 1

    def add(self, row: Row) -> None:
        if self._next == self._sheet_rows:
            self._sheet, self._next = self._add_sheet(), 1
        at = 0
        for column, cell in zip(self._table.columns, row, strict=True):
            self._put(at, cell)
            at += 2 if column.type is Type.TIME else 1
        self._next += 1

    def close(self) -> None:
        self._book.close()

    def _add_sheet(self) -> Worksheet:
        self._sheets += 1
        sheet: Worksheet = self._book.add_worksheet(str(self._sheets))
        sheet.freeze_panes(1, 0)
        at = 0
        for column in self._table.columns:
            for head in self._heads(column):
                sheet.set_column(at, at, WIDTHS[column.type])
                sheet.write_string(0, at, head, self._bold)
                at += 1
        return sheet

    def _heads(self, column: Column) -> list[str]:
        match column.type:
            case Type.TIME:
                return [f"{column.name} ({self._table.zone.key})", f"{column.name}: UTC offset"]
            case Type.DECIMAL | Type.INTEGER:
                return [f"{column.name} (over {DIGITS} digits: as text)"]
            case Type.TEXT:
                return [column.name]

    def _put(self, at: int, cell: Cell) -> None:
        match cell:
            case str():
                self._put_text(at, cell)
            case datetime():
                local = cell.astimezone(self._table.zone)
                text = local.isoformat(" ", "milliseconds")
                if local.year >= FIRST_YEAR:
                    clock = local.replace(tzinfo=None)
                    self._sheet.write_datetime(self._next, at, clock, self._time)
                else:
                    self._put_text(at, text[:STAMP])
                self._put_text(at + 1, text[STAMP:])
            case Decimal() | int():
                number = Decimal(cell)
                if len(number.normalize().as_tuple().digits) > DIGITS:
                    self._put_text(at, format(number, "f"))
                else:
                    # As it is: the file then says exactly this decimal, and no double's neighbour.
                    self._sheet.write(self._next, at, number, self._number_format(number))

    def _put_text(self, at: int, text: str) -> None:
        self._sheet.write_string(self._next, at, text)

    def _number_format(self, number: Decimal) -> Format:
        exponent = number.as_tuple().exponent
        decimals = max(-exponent, 0) if isinstance(exponent, int) else 0
        found = self._numbers.get(decimals)
        if found is None:
            pattern = f"0.{'0' * decimals}" if decimals else "0"
            found = self._numbers[decimals] = self._book.add_format({"num_format": pattern})
        return found
