"""Months of readings and hours, and days of messages and telegrams, each in a part of the table
that can be dropped as a whole.

On MariaDB and MySQL only; SQLite has no parts. A part is named by its month or day (UTC). Before
the first there is one for what is older, after the last one for what comes too early.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cloud.storage.upsert import is_sqlite
from common.clock import to_datetime, to_ms

PARTITIONED = ("reading", "hourly")
DAILY = ("message", "telegram")
OLDER, LATER = "older", "later"
MONTHS_AHEAD = 3
DAYS_AHEAD = 7
PATIENCE_S = 10


class Partitions:
    """The parts of the tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._none = is_sqlite(connection)

    def of(self, table: str) -> dict[str, int | None]:
        """By name, in order: before which time (ms) what it holds was; None for the last one."""
        if self._none:
            return {}
        found = self._connection.execute(
            text(
                "SELECT partition_name, partition_description FROM information_schema.partitions"
                " WHERE table_schema = DATABASE() AND table_name = :table"
                " AND partition_name IS NOT NULL ORDER BY partition_ordinal_position"
            ),
            {"table": table},
        )
        return {name: None if until == "MAXVALUE" else int(until) for name, until in found}

    def begin(self, table: str, first_ms: int, now_ms: int) -> None:
        """Part a table that is whole by the months, or days, from ``first_ms`` on."""
        if self._none:
            return
        begin = _day if table in DAILY else _month
        parts = [_part(OLDER, begin(to_datetime(first_ms)))]
        parts += [_part(*part) for part in _coming(table, first_ms, now_ms)]
        how = f"PARTITION BY RANGE (at) ({', '.join([*parts, _LAST])})"
        self._connection.exec_driver_sql(f"ALTER TABLE {table} {how}")

    def extend(self, now_ms: int) -> list[str]:
        """Have parts for the time to come; the names of those that were made."""
        made = []
        for table in (*PARTITIONED, *DAILY):
            bounds = [until for until in self.of(table).values() if until is not None]
            coming = list(_coming(table, max(bounds, default=now_ms), now_ms))
            if bounds and coming:
                parts = ", ".join([*(_part(*part) for part in coming), _LAST])
                self._alter(table, f"REORGANIZE PARTITION {LATER} INTO ({parts})")
                made += [f"{table}.{name}" for name, _ in coming]
        return made

    def before(self, table: str, since: int) -> list[str]:
        """The parts that have nothing but what was before."""
        return [name for name, until in self.of(table).items() if until and until <= since]

    def drop(self, table: str, name: str) -> None:
        """Drop a part with all that is in it. One that is gone already is no error."""
        try:
            self._alter(table, f"DROP PARTITION {name}")
        except DBAPIError:
            if name in self.of(table):
                raise

    def _alter(self, table: str, how: str) -> None:
        """Not when somebody has the table for long: behind us all others would wait for them."""
        self._connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {PATIENCE_S}")
        try:
            self._connection.exec_driver_sql(f"ALTER TABLE {table} {how}")
        finally:
            if not self._connection.invalidated:
                self._connection.exec_driver_sql("SET SESSION lock_wait_timeout = DEFAULT")


_LAST = f"PARTITION {LATER} VALUES LESS THAN MAXVALUE"


def _part(name: str, until: datetime) -> str:
    return f"PARTITION {name} VALUES LESS THAN ({to_ms(until)})"


def _coming(table: str, first_ms: int, now_ms: int) -> Iterator[tuple[str, datetime]]:
    """Name and end of the parts of a table from that of ``first_ms`` on."""
    return (_days if table in DAILY else _months)(first_ms, now_ms)


def _days(first_ms: int, now_ms: int) -> Iterator[tuple[str, datetime]]:
    """Name and end of the days from that of ``first_ms`` to DAYS_AHEAD of ``now_ms``."""
    day, last = _day(to_datetime(first_ms)), _day(to_datetime(now_ms)) + DAYS_AHEAD * _DAY
    while day <= last:
        yield f"d{day:%Y%m%d}", day + _DAY
        day += _DAY


def _months(first_ms: int, now_ms: int) -> Iterator[tuple[str, datetime]]:
    """Name and end of the months from that of ``first_ms`` to MONTHS_AHEAD of ``now_ms``."""
    month, last = _month(to_datetime(first_ms)), _month(to_datetime(now_ms))
    for _ in range(MONTHS_AHEAD):
        last = _next(last)
    while month <= last:
        yield f"m{month:%Y%m}", _next(month)
        month = _next(month)


_DAY = timedelta(days=1)


def _day(instant: datetime) -> datetime:
    return datetime(instant.year, instant.month, instant.day, tzinfo=UTC)


def _month(instant: datetime) -> datetime:
    return datetime(instant.year, instant.month, 1, tzinfo=UTC)


def _next(month: datetime) -> datetime:
    return _month(month + timedelta(days=31))
