"""What streams lack, as those saw it who looked last: what is asked for again, and how often."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from cloud.storage.tables import gap, ledger, stream


@dataclass(frozen=True, slots=True)
class GapRow:
    """Of a stream the first gap; it has been the same since ``waits_since`` (ms).

    ``asked`` counts how often the gateway was asked for it; ``told`` says that there is an alarm.
    """

    stream_id: int
    first: int
    last: int
    waits_since: int
    asked: int = 0
    told: bool = False


@dataclass(frozen=True, slots=True)
class Suspect:
    """A stream that lacks something, or did when it was looked at last."""

    stream_id: int
    gateway_id: int


class Gaps:
    """Gaps in the database. To be changed only while the gateway's row is locked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def suspects(self) -> list[Suspect]:
        """All streams that lack something, or did when they were looked at last."""
        size = func.sum(ledger.c.last - ledger.c.first + 1)
        books = (
            select(ledger.c.stream_id, size.label("size"), func.max(ledger.c.last).label("last"))
            .group_by(ledger.c.stream_id)
            .subquery()
        )
        have = func.coalesce(books.c.size, 0)
        query = (
            select(stream.c.id, stream.c.gateway_id)
            .select_from(
                stream.outerjoin(books, books.c.stream_id == stream.c.id).outerjoin(
                    gap, gap.c.stream_id == stream.c.id
                )
            )
            .where(
                or_(
                    have < func.coalesce(books.c.last, 0),
                    have < stream.c.next_seq - 1,
                    gap.c.stream_id.is_not(None),
                )
            )
            .order_by(stream.c.gateway_id, stream.c.id)
        )
        return [Suspect(*row) for row in self._connection.execute(query)]

    def get(self, stream_id: int) -> GapRow | None:
        """What was seen of the stream last."""
        row = self._connection.execute(select(gap).where(gap.c.stream_id == stream_id)).first()
        return GapRow(*row) if row else None

    def put(self, row: GapRow) -> None:
        """Note what was seen now."""
        values = asdict(row)
        result = self._connection.execute(
            update(gap).where(gap.c.stream_id == row.stream_id).values(**values)
        )
        if result.rowcount == 0 and self.get(row.stream_id) is None:
            self._connection.execute(insert(gap).values(**values))

    def close(self, stream_id: int) -> None:
        """The stream lacks nothing any more."""
        self._connection.execute(delete(gap).where(gap.c.stream_id == stream_id))
