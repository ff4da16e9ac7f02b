"""One JSON document: ``{"columns": [{"name": …, "type": …}, …], "rows": [[…], …]}``.

As in the REST API: decimals are strings, times ISO 8601 in UTC. Each row stands on a line of its
own. A document that was cut off is not valid.
"""

from collections.abc import Generator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec.json import Encoder

from cloud.export.table import Cell, Table


def write_json(table: Table) -> Generator[bytes, None, None]:
    """The document."""
    encode = Encoder().encode
    columns = [{"name": column.name, "type": column.type.value} for column in table.columns]
    before = b'{"columns": ' + encode(columns) + b', "rows": [\n'
    for page in table.pages():
        yield before + b",\n".join(encode([_written(cell) for cell in row]) for row in page)
        before = b",\n"
    yield (b"" if before == b",\n" else before) + b"\n]}\n"


def _written(cell: Cell) -> str | int | datetime | None:
    match cell:
        case Decimal():
            return format(cell, "f")
        case datetime():
            return cell.astimezone(UTC)
        case _:
            return cell
