"""By which clock entries were dated: a row where that changes. To be changed only while the
gateway's row is locked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, delete, func, insert, select, update

from cloud.domain.clocks import ClockSetting, Step
from cloud.storage.tables import clock_span, stream


@dataclass(frozen=True, slots=True)
class Span:
    """Entries from ``first`` to before ``end`` (None: the newest) were dated by one clock."""

    first: int
    end: int | None
    setting: ClockSetting


class Clocks:
    """The steps of streams' clocks in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def around(self, stream_id: int, first: int, until: int | None) -> list[Step]:
        """The step before ``first``, and those up to ``until`` (None: all), in order."""
        before = (
            select(func.max(clock_span.c.first))
            .where(clock_span.c.stream_id == stream_id, clock_span.c.first < first)
            .scalar_subquery()
        )
        query = select(clock_span).where(
            clock_span.c.stream_id == stream_id, clock_span.c.first >= func.coalesce(before, 0)
        )
        if until is not None:
            query = query.where(clock_span.c.first <= until)
        rows = self._connection.execute(query.order_by(clock_span.c.first))
        return [_step(*tuple(row)) for row in rows]

    def change(self, stream_id: int, before: Sequence[Step], after: Sequence[Step]) -> None:
        """Make of the steps ``before`` those ``after``."""
        if gone := [first for first, _ in set(before) - set(after)]:
            self._connection.execute(
                delete(clock_span).where(
                    clock_span.c.stream_id == stream_id, clock_span.c.first.in_(gone)
                )
            )
        if new := sorted(set(after) - set(before), key=lambda step: step[0]):
            self._connection.execute(
                insert(clock_span), [_row(stream_id, first, one) for first, one in new]
            )
        self._connection.execute(
            update(stream)
            .where(stream.c.id == stream_id)
            .values(clock_changes=stream.c.clock_changes + 1)
        )

    def spans(self, stream_id: int, limit: int, before: int | None = None) -> list[Span]:
        """The newest spans of a stream, newest first; only what begins ``before`` a number."""
        query = (
            select(clock_span)
            .where(clock_span.c.stream_id == stream_id, clock_span.c.boot.is_not(None))
            .order_by(clock_span.c.first.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(clock_span.c.first < before)
        steps = [_step(*tuple(row)) for row in self._connection.execute(query)]
        if not steps:
            return []
        ends = dict(pairwise(self._firsts(stream_id, steps[-1][0], steps[0][0])))
        return [Span(first, ends.get(first), setting) for first, setting in steps if setting]

    def _firsts(self, stream_id: int, since: int, until: int) -> list[int]:
        """Where steps of the stream begin, in order: ``since`` to ``until``, and the next one."""
        firsts = select(clock_span.c.first).where(clock_span.c.stream_id == stream_id)
        among = firsts.where(clock_span.c.first >= since, clock_span.c.first <= until)
        following = firsts.where(clock_span.c.first > until).order_by(clock_span.c.first).limit(1)
        return [
            *sorted(self._connection.scalars(among)),
            *self._connection.scalars(following),
        ]


def _step(
    _stream_id: int, first: int, boot: int | None, ahead_ms: int | None, quality: int | None
) -> Step:
    if boot is None or ahead_ms is None or quality is None:
        return first, None
    return first, ClockSetting(boot, ahead_ms, quality)


def _row(stream_id: int, first: int, setting: ClockSetting | None) -> dict[str, int | None]:
    return {
        "stream_id": stream_id,
        "first": first,
        "boot": setting.boot if setting else None,
        "ahead_ms": setting.ahead_ms if setting else None,
        "quality": setting.quality if setting else None,
    }
