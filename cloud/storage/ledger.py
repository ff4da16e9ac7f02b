"""The books: which sequence numbers of which stream are dealt with, and which were rejected."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from cloud.domain.gaps import Gap, Known
from cloud.storage.tables import ledger, rejected, stream
from cloud.storage.upsert import insert_missing, is_sqlite, literal_rows
from common.ranges import RangeSet

AT_ONCE = 1000
"""Ranges in one statement."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """``first_kept`` is what the last hello said, 0 before any; ``committed`` is the ledger.

    The ledger has what is dealt with: in the database, rejected, or lost. ``lossy`` says that
    something of the stream was lost, ``clock_changes`` how often its clock facts were changed.
    ``since`` is, by the first number of each range, since when it is known that something is
    missing before it; ``tail_since`` since when a hello says that there is more (up to
    ``next_seq`` - 1) than the ledger has.
    """

    id: int
    gateway_id: int
    stream: str
    first_kept: int
    catalog_seq: int
    committed: RangeSet
    next_seq: int = 1
    tail_since: int | None = None
    lossy: bool = False
    clock_changes: int = 0
    since: dict[int, int] = field(default_factory=dict)

    def gaps(self) -> list[Gap]:
        """What is known to exist and is not dealt with, in order."""
        return self.known().gaps()

    def known(self) -> Known:
        """What is known of the stream."""
        return Known(self.committed, self.since, self.next_seq, self.tail_since)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    stream_id: int
    seq: int
    reason: str
    body: bytes
    received_at: int


class Ledger:
    """Streams and their ledgers. To be changed only while the gateway's row is locked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def streams(self, gateway_ids: Sequence[int], names: Sequence[str]) -> list[StreamRow]:
        """Those of the named streams of these gateways that are known, with their ledgers."""
        return self._streams(stream.c.gateway_id.in_(gateway_ids) & stream.c.stream.in_(names))

    def streams_of(self, gateway_id: int) -> list[StreamRow]:
        """All streams of the gateway in the order in which they were met, with their ledgers."""
        return self._streams(stream.c.gateway_id == gateway_id)

    def stream(self, id_: int) -> StreamRow:
        """The stream, which exists, with its ledger."""
        return self._streams(stream.c.id == id_)[0]

    def owner(self, name: str) -> int:
        """The id of the gateway that has a stream of this name; 0 when there is none."""
        found = select(stream.c.gateway_id).where(stream.c.stream == name).limit(1)
        return self._connection.scalar(found) or 0

    def _streams(self, which: ColumnElement[bool]) -> list[StreamRow]:
        found: dict[int, StreamRow] = {}
        rows = self._connection.execute(
            select(
                stream.c.id,
                stream.c.gateway_id,
                stream.c.stream,
                stream.c.first_kept,
                stream.c.catalog_seq,
                stream.c.next_seq,
                stream.c.tail_since,
                stream.c.lossy,
                stream.c.clock_changes,
                ledger.c.first,
                ledger.c.last,
                ledger.c.since,
            )
            .select_from(stream.outerjoin(ledger, ledger.c.stream_id == stream.c.id))
            .where(which)
            .order_by(stream.c.id)
        )
        for id_, gateway_id, name, kept, catalog_seq, *rest, first, last, since in rows:
            row = found.get(id_)
            if row is None:
                row = StreamRow(id_, gateway_id, name, kept, catalog_seq, RangeSet(), *rest)
                found[id_] = row
            if first is not None:
                row.committed.add(first, last)
                row.since[first] = since
        return list(found.values())

    def add_stream(self, gateway_id: int, name: str, created_at: int) -> StreamRow:
        """A new stream, of which nothing is committed."""
        result = self._connection.execute(
            insert(stream).values(gateway_id=gateway_id, stream=name, created_at=created_at)
        )
        key = result.inserted_primary_key
        assert key is not None  # noqa: S101
        return StreamRow(key[0], gateway_id, name, 0, 0, RangeSet())

    def newest_stream(self, gateway_id: int) -> int:
        """The id of the stream that the gateway began last and still uses; 0 when it has none."""
        found = self._connection.scalar(
            select(stream.c.id)
            .where(stream.c.gateway_id == gateway_id, stream.c.closed_at.is_(None))
            .order_by(stream.c.id.desc())
            .limit(1)
        )
        return found or 0

    def greeted(self, row: StreamRow, first_kept: int, next_seq: int, now_ms: int) -> StreamRow:
        """Note what a hello said of the stream; returns it as it is now."""
        had_all = row.next_seq - 1 <= row.committed.last()
        since = now_ms if had_all or row.tail_since is None else row.tail_since
        values = {"first_kept": first_kept, "next_seq": next_seq, "tail_since": since}
        self._connection.execute(update(stream).where(stream.c.id == row.id).values(values))
        return replace(row, first_kept=first_kept, next_seq=next_seq, tail_since=since)

    def close(self, stream_id: int, at: int) -> None:
        """Nothing is appended to the stream any more."""
        self._connection.execute(
            update(stream)
            .where(stream.c.id == stream_id, stream.c.closed_at.is_(None))
            .values(closed_at=at)
        )

    def catalog_taken(self, stream_id: int, seq: int) -> None:
        """The catalog at ``seq`` is the newest one taken."""
        self._connection.execute(
            update(stream).where(stream.c.id == stream_id).values(catalog_seq=seq)
        )

    def save(self, changed: Iterable[tuple[StreamRow, RangeSet]], now_ms: int) -> None:
        """Make the ledger of each stream, as it was read, what it is to be; in one statement, but
        for ranges that have grown together."""
        rows = []
        for row, after in changed:
            old, new = dict(row.committed), dict(after)
            if gone := [first for first in old if first not in new]:
                self._connection.execute(
                    delete(ledger).where(ledger.c.stream_id == row.id, ledger.c.first.in_(gone))
                )
            known = row.known()
            rows += [
                (row.id, first, last, 0 if first in old else known.since_before(first, now_ms))
                for first, last in new.items()
                if old.get(first) != last
            ]
        last = (
            " ON CONFLICT (stream_id, first) DO UPDATE SET last = excluded.last"
            if is_sqlite(self._connection)
            else " ON DUPLICATE KEY UPDATE last = VALUES(last)"
        )
        for start in range(0, len(rows), AT_ONCE):
            text = literal_rows(rows[start : start + AT_ONCE])
            self._connection.exec_driver_sql(
                f"INSERT INTO ledger (stream_id, first, last, since) VALUES {text}{last}"  # noqa: S608
            )

    def reject(self, rows: Sequence[RejectedRow]) -> None:
        """Keep entries that can never be stored, with the reason."""
        insert_missing(self._connection, rejected, [asdict(row) for row in rows])

    def rejections(self, stream_id: int, first: int, last: int) -> list[tuple[int, str]]:
        """Number and reason of the entries of first..last that were rejected."""
        rows = self._connection.execute(
            select(rejected.c.seq, rejected.c.reason).where(
                rejected.c.stream_id == stream_id, rejected.c.seq.between(first, last)
            )
        )
        return [(seq, reason) for seq, reason in rows]

    def with_rejections(self) -> frozenset[int]:
        """The ids of the streams that have rejected entries."""
        return frozenset(self._connection.scalars(select(rejected.c.stream_id).distinct()))
