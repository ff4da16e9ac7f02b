"""A file of either kind, told apart by its first bytes."""

from collections.abc import Sequence

from cloud.importing.csv_file import read_csv
from cloud.importing.table import Table
from cloud.importing.xlsx_file import read_xlsx

ZIP = b"PK\x03\x04"


def open_table(content: bytes, known: Sequence[str]) -> Table:
    """The table in the file; ``known`` are the columns that may be there. Raises Unreadable."""
    return read_xlsx(content) if content.startswith(ZIP) else read_csv(content, known)
