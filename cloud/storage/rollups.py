"""Readings summed up by hour and by day, and the marks of what is still to be summed up.

A mark is set by the transaction that stores readings, counts up with each, and is taken away only
when it counts what it counted before the readings were looked at. So no reading is missed, and what
stores readings does not wait. Those who roll up take turns.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.sql.expression import FromClause

from cloud.domain.consumption import HOUR_MS
from cloud.domain.corrections import summed_up
from cloud.domain.spans import Span
from cloud.storage.corrections import Corrections
from cloud.storage.packed import packed, unpacked
from cloud.storage.tables import daily, device, gateway, hourly, mark, reading, register, site, turn
from cloud.storage.upsert import insert_missing, is_sqlite, literal_rows

CHUNK = 1000
LONGEST_DAY_MS = 25 * HOUR_MS

WORK = "rollups"
_COLUMNS = ", ".join(Span._fields)

T = TypeVar("T")

Marked = tuple[int, int]
"""A register's id, and when an hour begins."""


@dataclass(frozen=True, slots=True)
class Mark:
    """``n`` counts how often readings of the hour came."""

    register_id: int
    at: int
    n: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a register's days are made by."""

    timezone: str
    interval_s: int


class Rollups:
    """Roll-ups in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._corrections = Corrections(connection)
        self._sqlite = is_sqlite(connection)

    def take_turn(self) -> None:
        """Nobody else rolls up until the end of this transaction. Writes, so that in a cluster it
        holds as well."""
        took = self._connection.execute(
            update(turn).where(turn.c.work == WORK).values(n=turn.c.n + 1)
        )
        if not took.rowcount:
            insert_missing(self._connection, turn, [{"work": WORK, "n": 1}])

    # Marks

    def add_marks(self, hours: Collection[Marked]) -> None:
        """There are new readings of these hours."""
        again = (
            " ON CONFLICT (register_id, at) DO UPDATE SET n = n + 1"
            if self._sqlite
            else " ON DUPLICATE KEY UPDATE n = n + 1"
        )
        for some in _chunks(sorted(hours)):
            rows = literal_rows([(*one, 1) for one in some])
            self._connection.exec_driver_sql(
                f"INSERT INTO mark (register_id, at, n) VALUES {rows}{again}"  # noqa: S608
            )

    def marks(self, after: Marked, limit: int) -> list[Mark]:
        """The first ``limit`` marks that follow ``after``, by register and time."""
        register_id, at = after
        query = (
            select(mark)
            .where(
                mark.c.register_id >= register_id,
                (mark.c.register_id > register_id) | (mark.c.at > at),
            )
            .order_by(mark.c.register_id, mark.c.at)
            .limit(limit)
        )
        return [Mark(*row) for row in self._connection.execute(query)]

    def marked(self, register_ids: Collection[int], start: int, end: int) -> list[Marked]:
        """The registers' marked hours that begin from ``start`` (inclusive) to ``end``, by register
        and time."""
        query = (
            select(mark.c.register_id, mark.c.at)
            .where(mark.c.register_id.in_(register_ids), mark.c.at >= start, mark.c.at < end)
            .order_by(mark.c.register_id, mark.c.at)
        )
        return [(id_, at) for id_, at in self._connection.execute(query)]

    def remove_marks(self, marks: Sequence[Mark]) -> None:
        """Take away the marks that nothing was added to."""
        on_same = (
            " ON CONFLICT (register_id, at) DO UPDATE SET n = 0 WHERE n = excluded.n"
            if self._sqlite
            else " ON DUPLICATE KEY UPDATE n = IF(n = VALUES(n), 0, n)"
        )
        for some in _chunks(marks):
            rows = literal_rows([(one.register_id, one.at, one.n) for one in some])
            self._connection.exec_driver_sql(
                f"INSERT INTO mark (register_id, at, n) VALUES {rows}{on_same}"  # noqa: S608
            )
            ids = some[0].register_id, some[-1].register_id
            self._connection.execute(
                delete(mark).where(mark.c.register_id.between(*ids), mark.c.n == 0)
            )

    def forget_days(self, gateway_id: int, since: int = 0) -> None:
        """The gateway's days begin at other times from now on: sum them up anew, as far as there
        is what they are summed up from (``since``). Days before stay as they are."""
        self.take_turn()
        its = (
            select(register.c.id)
            .join(device, device.c.id == register.c.device_id)
            .where(device.c.gateway_id == gateway_id)
        )
        ids = list(self._connection.scalars(its))
        hours = select(hourly.c.register_id, hourly.c.at, literal(1)).where(
            hourly.c.register_id.in_(ids), hourly.c.at >= since
        )
        columns, again = ("register_id", "at", "n"), {"n": mark.c.n + 1}
        if self._sqlite:
            into = sqlite.insert(mark).from_select(columns, hours)
            self._connection.execute(into.on_conflict_do_update(set_=again))
        else:
            filled = mysql.insert(mark).from_select(columns, hours)
            self._connection.execute(filled.on_duplicate_key_update(again))
        # None that reaches into the new ones.
        ended = daily.c.at > since - LONGEST_DAY_MS
        self._connection.execute(delete(daily).where(daily.c.register_id.in_(ids), ended))

    # Spans

    def calendars(self, register_ids: Collection[int]) -> dict[int, Calendar]:
        """By register."""
        query = (
            select(register.c.id, site.c.timezone, register.c.interval_s)
            .join(device, device.c.id == register.c.device_id)
            .join(gateway, gateway.c.id == device.c.gateway_id)
            .join(site, site.c.id == gateway.c.site_id)
            .where(register.c.id.in_(register_ids))
        )
        return {id_: Calendar(*rest) for id_, *rest in self._connection.execute(query)}

    def of_readings(
        self, register_ids: Collection[int], start: int, end: int, width: int = HOUR_MS
    ) -> list[Span]:
        """From ``start`` to ``end`` hour by hour (or by ``width``), the first of which begins at
        ``start``; by register and time."""
        corrected = self._of_corrected(register_ids, start, end, width)
        plain = [id_ for id_ in register_ids if id_ not in corrected]
        found = self._spans(_of_readings(plain, start, end, width)) if plain else []
        return sorted(chain(found, *corrected.values()), key=itemgetter(0, 1))

    def sum_up_hours(self, register_ids: Collection[int], start: int, end: int) -> None:
        """Keep what the readings say of these hours, in the place of what was kept of them."""
        corrected = self._of_corrected(register_ids, start, end)
        if plain := [id_ for id_ in register_ids if id_ not in corrected]:
            self._sum_up_hours(_of_readings(plain, start, end))
        if corrected:  # there may be hours of which nothing counts any more
            its = hourly.c.register_id.in_(corrected)
            self._connection.execute(
                delete(hourly).where(its, hourly.c.at >= start, hourly.c.at < end)
            )
            self._insert("hourly", list(chain(*corrected.values())))

    def _of_corrected(
        self, register_ids: Collection[int], start: int, end: int, width: int = HOUR_MS
    ) -> dict[int, list[Span]]:
        """As ``of_readings``, by register, of those that were ever corrected."""
        counted = self._corrections.counted(register_ids, start, end)
        return {id_: summed_up(id_, its, start, width) for id_, its in counted.items()}

    def _sum_up_hours(self, query: Select[*tuple[Any, ...]]) -> None:
        if self._sqlite:
            into = sqlite.insert(hourly).prefix_with("OR REPLACE")
            self._connection.execute(into.from_select(Span._fields, query))
            return
        filled = mysql.insert(hourly).from_select(Span._fields, query)
        values = {name: filled.inserted[name] for name in Span._fields[2:]}
        self._connection.execute(filled.on_duplicate_key_update(values))

    def hours(self, register_ids: Collection[int], start: int, end: int) -> list[Span]:
        """The hours that begin from ``start`` (inclusive) to ``end``, by register and time."""
        return self._between(hourly, register_ids, start, end)

    def days(self, register_ids: Collection[int], start: int, end: int) -> list[Span]:
        """The days that begin from ``start`` (inclusive) to ``end``, by register and time."""
        return self._between(daily, register_ids, start, end)

    def near(self, register_id: int, instant: int) -> list[Span]:
        """The hours and days among which those are that are next to ``instant``."""
        found: list[Span] = []
        for table in (hourly, daily):
            its = select(table).where(table.c.register_id == register_id)
            before = its.where(table.c.at < instant).order_by(table.c.at.desc()).limit(2)
            after = its.where(table.c.at >= instant).order_by(table.c.at).limit(1)
            for query in (before, after):
                found += (Span(*row) for row in self._connection.execute(query))
        return found

    def _between(
        self, table: Table, register_ids: Collection[int], start: int, end: int
    ) -> list[Span]:
        return self._spans(
            select(table)
            .where(table.c.register_id.in_(register_ids))
            .where(table.c.at >= start, table.c.at < end)
        )

    def _spans(self, query: Select[*tuple[Any, ...]]) -> list[Span]:
        """By register and time."""
        if self._sqlite:
            found = [Span(*row) for row in self._connection.execute(query)]
        else:
            rows = query.subquery().c
            texts = select(packed(rows)).group_by(rows.register_id)
            found = unpacked(self._connection.scalars(texts), Span)
        return sorted(found, key=itemgetter(0, 1))

    def save_days(self, register_ids: Collection[int], at: int, spans: Sequence[Span]) -> None:
        """In the place of what this day had of these registers."""
        if gone := set(register_ids).difference(one.register_id for one in spans):
            its = daily.c.register_id.in_(gone), daily.c.at == at
            self._connection.execute(delete(daily).where(*its))
        self._insert("daily", spans)

    def _insert(self, table: str, spans: Sequence[Span]) -> None:
        for some in _chunks(spans):
            self._connection.exec_driver_sql(
                f"REPLACE INTO {table} ({_COLUMNS}) VALUES {literal_rows(some)}"  # noqa: S608
            )


def _of_readings(
    register_ids: Collection[int], start: int, end: int, width: int = HOUR_MS
) -> Select[*tuple[Any, ...]]:
    """The spans that the readings make, from ``start`` on hour by hour."""
    at, value = reading.c.at, reading.c.value
    begins = (at - (at - start) % width).label("begins")
    spans = (
        select(
            reading.c.register_id,
            begins,
            func.min(at).label("first_at"),
            func.max(at).label("last_at"),
            func.count().label("readings"),
            func.min(value).label("low"),
            func.max(value).label("high"),
        )
        .where(reading.c.register_id.in_(register_ids))
        .where(at >= start, at < end, value.is_not(None))
        .group_by(reading.c.register_id, begins)
        .subquery()
    )
    first, last = reading.alias(), reading.alias()
    columns = (
        spans.c.register_id,
        spans.c.begins,
        first.c.at,
        first.c.value,
        first.c.quality,
        last.c.at,
        last.c.value,
        last.c.quality,
        spans.c.readings,
        spans.c.low,
        spans.c.high,
        literal(0),
    )
    return (
        select(*(one.label(name) for one, name in zip(columns, Span._fields, strict=True)))
        .join(first, _is(first, spans.c.register_id, spans.c.first_at))
        .join(last, _is(last, spans.c.register_id, spans.c.last_at))
    )


def _is(
    row: FromClause, register_id: ColumnElement[int], at: ColumnElement[int]
) -> ColumnElement[bool]:
    return and_(row.c.register_id == register_id, row.c.at == at)


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
