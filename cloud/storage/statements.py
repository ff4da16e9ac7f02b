"""Statements: what was issued of a metering point and a month. There is no way to alter one."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from cloud.storage.billing_tables import statement
from cloud.storage.tables import metering_point, site


@dataclass(frozen=True, slots=True)
class StatementRow:
    """``month`` is as 2026-06."""

    id: int
    point_id: int
    month: str
    issued_at: int
    issued_by: str
    hash: str


_ROWS = select(
    statement.c.id,
    statement.c.point_id,
    statement.c.month,
    statement.c.issued_at,
    statement.c.issued_by,
    statement.c.hash,
)


class Statements:
    """Statements in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: StatementRow, content: str) -> int:
        """A new one; its id. That of ``row`` is not looked at."""
        values = {
            "point_id": row.point_id,
            "month": row.month,
            "issued_at": row.issued_at,
            "issued_by": row.issued_by,
            "hash": row.hash,
            "content": content,
        }
        return int(self._connection.execute(insert(statement).values(values)).lastrowid)

    def of(self, point_id: int) -> list[StatementRow]:
        """Of a metering point, the newest month first."""
        query = _ROWS.where(statement.c.point_id == point_id).order_by(statement.c.month.desc())
        return [StatementRow(*row) for row in self._connection.execute(query)]

    def one(self, id_: int) -> tuple[StatementRow, str] | None:
        """With its content."""
        query = _ROWS.add_columns(statement.c.content).where(statement.c.id == id_)
        row = self._connection.execute(query).first()
        return (StatementRow(*row[:-1]), row[-1]) if row else None

    def of_month(self, point_id: int, month: str) -> StatementRow | None:
        query = _ROWS.where(statement.c.point_id == point_id, statement.c.month == month)
        row = self._connection.execute(query).first()
        return StatementRow(*row) if row else None

    def issued(
        self, site_key: str | None, point_key: str | None, first: str | None, end: str | None
    ) -> list[int]:
        """The ids of those of months, the last excluded, by site, metering point and month."""
        query = (
            select(statement.c.id)
            .join(metering_point, metering_point.c.id == statement.c.point_id)
            .join(site, site.c.id == metering_point.c.site_id)
            .order_by(site.c.key, metering_point.c.key, statement.c.month)
        )
        if site_key is not None:
            query = query.where(site.c.key == site_key)
        if point_key is not None:
            query = query.where(metering_point.c.key == point_key)
        if first is not None:
            query = query.where(statement.c.month >= first)
        if end is not None:
            query = query.where(statement.c.month < end)
        return list(self._connection.scalars(query))
