"""From when on readings and hours are kept, and how logs are made shorter.

What is before is gone, or on its way: first it is said here, then it is dropped. So nothing is
stored any more where something is dropped, and a drop that was interrupted goes on.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Select,
    Table,
    delete,
    exists,
    func,
    select,
    text,
    tuple_,
    update,
)

from cloud.domain.retention import Since
from cloud.storage.message_tables import message, telegram
from cloud.storage.tables import event, hourly, kept, mark, quarantine, reading, register, rejected
from cloud.storage.upsert import insert_missing, is_sqlite

READINGS, HOURS = "readings", "hours"


class _Log(NamedTuple):
    table: Table
    times: Sequence[Column[int]]


LOGS = {
    "events": _Log(event, (event.c.at, event.c.received_at)),
    "rejected": _Log(rejected, (rejected.c.received_at,)),
    "quarantine": _Log(quarantine, (quarantine.c.received_at,)),
    "messages": _Log(message, (message.c.at,)),
    "telegrams": _Log(telegram, (telegram.c.at,)),
}
"""By name; a row is as old as the youngest of its ``times``."""


class Kept:
    """What is kept, in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = is_sqlite(connection)

    def since(self) -> Since:
        """From when on."""
        return self._since(select(kept.c.data, kept.c.since))

    def hold(self) -> Since:
        """As ``since``, and it stays so until the end of this transaction."""
        return self._since(select(kept.c.data, kept.c.since).with_for_update(read=True))

    def claim(self) -> Since:
        """As ``since``, to be moved by nobody else; waits for those who ``hold``."""
        rows = [{"data": data, "since": 0} for data in (READINGS, HOURS)]
        insert_missing(self._connection, kept, rows)
        return self._since(select(kept.c.data, kept.c.since).with_for_update())

    def move(self, since: Since) -> None:
        """To what comes after ``claim``."""
        for data, at in zip((READINGS, HOURS), since, strict=True):
            self._connection.execute(update(kept).where(kept.c.data == data).values(since=at))

    def _since(self, query: Select[str, int]) -> Since:
        found = {data: since for data, since in self._connection.execute(query)}  # noqa: C416
        return Since(found.get(READINGS, 0), found.get(HOURS, 0))

    def first_mark(self) -> int | None:
        """When the first hour begins that is still to be summed up."""
        found: int | None = self._connection.scalar(select(func.min(mark.c.at)))
        return found

    def registers_before(self, table: str, since: int) -> list[int]:
        """On SQLite: the registers that have rows from before."""
        if not self._sqlite:
            return []
        rows = {"reading": reading, "hourly": hourly}[table]
        older = exists().where(rows.c.register_id == register.c.id, rows.c.at < since)
        return list(self._connection.scalars(select(register.c.id).where(older)))

    def delete_before(self, table: str, register_id: int, since: int, limit: int) -> int:
        """On SQLite: delete the first rows of a register, ``limit`` at most; how many it were."""
        some = f"SELECT rowid FROM {table} WHERE register_id = :id AND at < :since"  # noqa: S608
        done = self._connection.execute(
            text(f"DELETE FROM {table} WHERE rowid IN ({some} ORDER BY at LIMIT :limit)"),  # noqa: S608
            {"id": register_id, "since": since, "limit": limit},
        )
        return done.rowcount

    def shorten(self, log: str, before: int, limit: int) -> int:
        """Delete rows of one of LOGS that are older, ``limit`` at most; how many it were. An alarm
        that nobody has acknowledged stays."""
        table, times = LOGS[log]
        key = list(table.primary_key)
        query = select(*key).where(*(time < before for time in times)).order_by(times[0])
        if table is event:
            query = query.where(
                (event.c.severity != "alarm") | event.c.acknowledged_at.is_not(None)
            )
        rows = [tuple(row) for row in self._connection.execute(query.limit(limit))]
        if rows:
            self._connection.execute(delete(table).where(tuple_(*key).in_(rows)))
        return len(rows)
