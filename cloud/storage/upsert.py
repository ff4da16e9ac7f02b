"""Inserting what may be there already, in each database's own words."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, sqlite

Row = Mapping[str, object]

_encoder = msgspec.json.Encoder()
_ROUND = bytes.maketrans(b"[]", b"()")


def is_sqlite(connection: Connection) -> bool:
    """Whether the database is SQLite (else MariaDB or MySQL)."""
    return connection.dialect.name == "sqlite"


def insert_missing(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert the rows whose key is not there; the others stay as they are.

    Not with MySQL's ``INSERT IGNORE``, which cuts values that do not fit without a word.
    """
    if not rows:
        return
    if is_sqlite(connection):
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), list(rows))
        return
    key = next(iter(table.primary_key))
    statement = mysql.insert(table).on_duplicate_key_update({key.name: key})
    connection.execute(statement, list(rows))


def literal_rows(rows: Sequence[tuple[int | None, ...]]) -> str:
    """``(1,2),(3,null)``, to be put into SQL; raises ValueError for anything but integers."""
    return _integers(rows)[1:-1].translate(_ROUND).decode("ascii")


def literal_lines(rows: Sequence[tuple[int | None, ...]]) -> bytes:
    """A row a line, with commas between, as LOAD DATA reads them; raises as ``literal_rows``."""
    return _integers(rows)[2:-2].replace(b"],[", b"\n").replace(b"null", rb"\N")


def _integers(rows: Sequence[tuple[int | None, ...]]) -> bytes:
    """The rows as JSON, all at once: a value at a time costs more than the rest of the way."""
    text = _encoder.encode(rows)
    if strange := text.translate(None, b"0123456789-,[]nul"):
        raise ValueError(f"{strange[:60]!r} is in what should be integers")
    return text
