"""Indexes: the readings with a value that count, found by key. Nothing here writes.

What a person has taken out does not count, what was put in does (``cloud.domain.corrections``).
Times are epoch milliseconds; values are integers scaled by their register's decimals.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, Select, func, select

from cloud.domain.consumption import Boundary, Index
from cloud.domain.corrections import Corrected
from cloud.storage.corrections import Corrections
from cloud.storage.tables import reading

BEFORE, AFTER = -1, 1
"""The sides of an instant: at or before it, at or after it."""

AT_ONCE = 200
"""Look-ups in one statement; SQLite takes at most 500."""


@dataclass(frozen=True, slots=True)
class Fall:
    """Two readings that follow each other, the second below the first; and the values of those
    next to them."""

    preceding: int | None
    before: Index
    after: Index
    following: int | None


class Indexes:
    """Questions about what registers stood at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._corrections = Corrections(connection)

    def boundaries(self, register_id: int, instants: Sequence[int]) -> list[Boundary]:
        """As ``boundaries_of``, of one register."""
        return self.boundaries_of([register_id], instants)[register_id]

    def boundaries_of(
        self,
        register_ids: Collection[int],
        instants: Sequence[int],
        sides: Sequence[int] = (BEFORE, AFTER),
    ) -> dict[int, list[Boundary]]:
        """By register, for each instant the neighbouring readings that have a value and count, or
        values that a person put in, looked up by key. Only those on these ``sides``."""
        found = self._boundaries(register_ids, instants, sides)
        for id_, corrected in self._corrections.by_register(register_ids).items():
            found[id_] = [self._counted(id_, corrected, mark) for mark in found[id_]]
        return found

    def _counted(self, register_id: int, corrected: Corrected, mark: Boundary) -> Boundary:
        def beside(one: Index | None, side: int) -> Index | None:
            while one and (by := corrected.covering(one.at)):
                instant = by.start - 1 if side < 0 else by.end
                [next_one] = self._boundaries([register_id], [instant])[register_id]
                one = next_one.before if side < 0 else next_one.after
            return one

        return corrected.beside(Boundary(mark.at, beside(mark.before, -1), beside(mark.after, 1)))

    def _boundaries(
        self,
        register_ids: Collection[int],
        instants: Sequence[int],
        sides: Sequence[int] = (BEFORE, AFTER),
    ) -> dict[int, list[Boundary]]:
        looks = [
            _LOOKS[side].format(id_, at)
            for id_ in register_ids
            for at in instants
            for side in sides
        ]
        beside: dict[tuple[int, int, int], Index] = {}
        for first in range(0, len(looks), AT_ONCE):
            some = looks[first : first + AT_ONCE]
            rows = self._connection.exec_driver_sql(" UNION ALL ".join(some))
            for instant, side, register_id, at, value, quality in rows:
                beside[register_id, instant, side] = Index(at, value, quality)
        return {
            id_: [
                Boundary(at, beside.get((id_, at, BEFORE)), beside.get((id_, at, AFTER)))
                for at in instants
            ]
            for id_ in register_ids
        }

    def newest_indices(self, register_id: int, start: int, limit: int) -> list[Index]:
        """The last ``limit`` readings with a value since ``start``, in order of time, as far as
        they count."""
        rows = self._connection.execute(_newest(register_id, start, limit)).all()
        readings = [Index(at, value, quality) for at, value, quality in reversed(rows)]
        corrected = self._corrections.by_register([register_id]).get(register_id)
        if not corrected or not readings:
            return readings
        return corrected.applied(readings, readings[0].at, readings[-1].at + 1)

    def fell(self, register_id: int, start: int, limit: int) -> bool:
        """Whether one of those is below the one before it: asked without fetching them."""
        newest = _newest(register_id, start, limit).subquery()
        before = func.lag(newest.c.value).over(order_by=newest.c.at).label("before")
        pairs = select(newest.c.value, before).subquery()
        query = select(pairs.c.value).where(pairs.c.value < pairs.c.before).limit(1)
        return self._connection.execute(query).first() is not None

    def falls(self, register_id: int, start: int, end: int, more_than: int) -> list[Fall]:
        """Where what counts from ``start`` to ``end`` is that much below what is before it."""
        for counted in self._corrections.counted([register_id], start, end).values():
            return list(_falls(counted, more_than))
        at, value = reading.c.at, reading.c.value
        rows = (
            select(
                at,
                value,
                func.lag(value, 2).over(order_by=at).label("preceding"),
                func.lag(at).over(order_by=at).label("before_at"),
                func.lag(value).over(order_by=at).label("before"),
                func.lead(value).over(order_by=at).label("following"),
            )
            .where(reading.c.register_id == register_id, value.is_not(None))
            .where(at >= start, at < end)
            .subquery()
        )
        query = select(rows).where(rows.c.before - rows.c.value > more_than).order_by(rows.c.at)
        return [
            Fall(
                row.preceding,
                Index(row.before_at, row.before),
                Index(row.at, row.value),
                row.following,
            )
            for row in self._connection.execute(query)
        ]


def _falls(readings: Sequence[Index], more_than: int) -> Iterator[Fall]:
    values = [None, *(one.value for one in readings), None]
    for place, (before, after) in enumerate(pairwise(readings)):
        if before.value - after.value > more_than:
            yield Fall(values[place], before, after, values[place + 3])


def _newest(register_id: int, start: int, limit: int) -> Select[int, int, int]:
    return (
        select(reading.c.at, reading.c.value, reading.c.quality)
        .where(reading.c.register_id == register_id, reading.c.value.is_not(None))
        .where(reading.c.at >= start)
        .order_by(reading.c.at.desc())
        .limit(limit)
    )


def _look(side: int, compared: str, order: str) -> str:
    """For a register's id and an instant; with these as constants it is found by one step into the
    key, where a parameter of an outer query would be found by walking along it."""
    return (
        f"SELECT * FROM (SELECT {{1}} AS instant, {side} AS side, register_id, at, value, quality"  # noqa: S608
        f" FROM reading WHERE register_id = {{0}} AND value IS NOT NULL AND at {compared} {{1}}"
        f" ORDER BY at {order} LIMIT 1) x"
    )


_LOOKS = {BEFORE: _look(BEFORE, "<=", "DESC"), AFTER: _look(AFTER, ">=", "ASC")}
