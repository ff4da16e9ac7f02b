"""The kinds of file."""

from enum import StrEnum


class Format(StrEnum):
    """A kind of file; also its name's ending."""

    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


class Decimals(StrEnum):
    """What stands before the decimals in CSV."""

    POINT = "point"
    COMMA = "comma"


MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
