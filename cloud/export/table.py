"""What is taken out: named, typed columns, and rows that come one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

Cell = str | int | Decimal | datetime | None
Row = Sequence[Cell]

PAGE_ROWS = 1000


class Type(StrEnum):
    """What stands in a column, where it is not None."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Table:
    """``name``: a file's, without its ending; ASCII. Times are aware; ``zone`` is for showing them.

    ``rows`` can be gone through once, and need not fit into memory.
    """

    name: str
    columns: Sequence[Column]
    zone: ZoneInfo
    rows: Iterator[Row]

    def pages(self) -> Iterator[list[Row]]:
        """The rows, up to PAGE_ROWS at a time."""
        while page := list(islice(self.rows, PAGE_ROWS)):
            yield page
