"""Inserting what may be there already, in each database's own words."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, sqlite

Row = Mapping[str, object]


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
    """``(1,2),(3,NULL)``: safe to put into SQL, since ``%d`` lets nothing but integers through."""
    return ",".join(
        "(" + ",".join("NULL" if cell is None else "%d" % cell for cell in row) + ")"  # noqa: UP031
        for row in rows
    )
