"""CSV by RFC 4180, in UTF-8, with whatever parts the cells."""

import csv
import io
from collections.abc import Collection, Iterator

from cloud.importing.table import Line, Table, Unreadable, blank, head

DELIMITERS = (",", ";", "\t")


def read_csv(content: bytes, known: Collection[str]) -> Table:
    """The table; cells are parted by what makes most ``known`` columns of the first line.

    Raises Unreadable.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line} is not UTF-8: save the file as CSV in UTF-8") from error

    def heads(delimiter: str) -> list[str]:
        return [head(cell) for cell in next(_lines(text, delimiter), Line(0, ())).cells]

    def fits(delimiter: str) -> tuple[int, int]:
        found = heads(delimiter)
        return sum(name in known for name in found), len(found)

    delimiter = max(DELIMITERS, key=fits)

    def lines() -> Iterator[Line]:
        found = _lines(text, delimiter)
        next(found, None)
        return found

    return Table(heads(delimiter), lines, may_have_commas=delimiter == ";")


def _lines(text: str, delimiter: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not blank(cells):
                yield Line(number, cells)
            number = reader.line_num + 1
    except csv.Error as error:
        raise Unreadable(f"line {number} is no CSV: {error}") from error
