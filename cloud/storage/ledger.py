"""The books: which sequence numbers of which stream are dealt with, and which were rejected."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, and_, delete, insert, select, update

from cloud.storage.tables import ledger, rejected, stream
from cloud.storage.upsert import insert_missing
from common.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class StreamRow:
    """``first_kept`` is what the last hello said, 0 before any; ``committed`` is the ledger."""

    id: int
    gateway_id: int
    stream: str
    first_kept: int
    catalog_seq: int
    committed: RangeSet


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
        found: dict[int, StreamRow] = {}
        rows = self._connection.execute(
            select(
                stream.c.id,
                stream.c.gateway_id,
                stream.c.stream,
                stream.c.first_kept,
                stream.c.catalog_seq,
                ledger.c.first,
                ledger.c.last,
            )
            .select_from(stream.outerjoin(ledger, ledger.c.stream_id == stream.c.id))
            .where(stream.c.gateway_id.in_(gateway_ids), stream.c.stream.in_(names))
        )
        for id_, gateway_id, name, first_kept, catalog_seq, first, last in rows:
            row = found.get(id_)
            if row is None:
                row = StreamRow(id_, gateway_id, name, first_kept, catalog_seq, RangeSet())
                found[id_] = row
            if first is not None:
                row.committed.add(first, last)
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
        """The id of the stream that the gateway began last; 0 when it has none."""
        found = self._connection.scalar(
            select(stream.c.id)
            .where(stream.c.gateway_id == gateway_id)
            .order_by(stream.c.id.desc())
            .limit(1)
        )
        return found or 0

    def greeted(self, stream_id: int, first_kept: int, next_seq: int) -> None:
        """What a hello said of the stream."""
        self._connection.execute(
            update(stream)
            .where(stream.c.id == stream_id)
            .values(first_kept=first_kept, next_seq=next_seq)
        )

    def catalog_taken(self, stream_id: int, seq: int) -> None:
        """The catalog at ``seq`` is the newest one taken."""
        self._connection.execute(
            update(stream).where(stream.c.id == stream_id).values(catalog_seq=seq)
        )

    def save(self, stream_id: int, before: RangeSet, after: RangeSet) -> None:
        """Make the ledger ``after``, where it was ``before``."""
        old, new = dict(before), dict(after)
        added = [f for f in new if f not in old]
        gone = [f for f in old if f not in new]
        for first, last in new.items():
            if first in old and old[first] != last:
                self._connection.execute(
                    update(ledger)
                    .where(and_(ledger.c.stream_id == stream_id, ledger.c.first == first))
                    .values(last=last)
                )
        if gone:
            self._connection.execute(
                delete(ledger).where(ledger.c.stream_id == stream_id, ledger.c.first.in_(gone))
            )
        if added:
            self._connection.execute(
                insert(ledger),
                [{"stream_id": stream_id, "first": f, "last": new[f]} for f in added],
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
