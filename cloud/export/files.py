"""A table as a file of any kind."""

from collections.abc import Generator

from cloud.export.csv_file import write_csv
from cloud.export.formats import Decimals, Format
from cloud.export.json_file import write_json
from cloud.export.table import Table
from cloud.export.xlsx_file import write_xlsx
from common.errors import Permanent

Parts = Generator[bytes, None, None]
"""A file's content. To close it early frees all that it holds."""


def write(table: Table, file_format: Format, decimals: Decimals = Decimals.POINT) -> Parts:
    """The table's file, in parts; an empty part only says that work goes on.

    Raises Permanent for a decimal comma in anything but CSV.
    """
    comma = decimals is Decimals.COMMA
    if comma and file_format is not Format.CSV:
        raise Permanent(f"a decimal comma is for csv, not for {file_format}")
    match file_format:
        case Format.CSV:
            return write_csv(table, comma=comma)
        case Format.JSON:
            return write_json(table)
        case Format.XLSX:
            return write_xlsx(table)
