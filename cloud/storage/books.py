"""The books as people ask for them: losses, rejected entries, messages in quarantine."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from cloud.storage.keyset import behind
from cloud.storage.losses import LossRow
from cloud.storage.tables import gateway, loss, quarantine, rejected, site, stream


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """Of a stream: when it was met and closed, and how much was rejected and lost of it."""

    created_at: int
    closed_at: int | None
    rejected: int
    lost: int


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """``body`` is the beginning of the entry, ``size`` its whole length in bytes."""

    stream_id: int
    stream: str
    seq: int
    reason: str
    body: bytes
    size: int
    received_at: int


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """``payload`` is the beginning of the message, ``size`` its whole length in bytes."""

    id: int
    topic: str
    reason: str
    size: int
    payload: bytes
    received_at: int


class Books:
    """Questions about what is not in the database, and why. Nothing here writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def facts(self, gateway_id: int) -> dict[int, StreamFacts]:
        """By stream id; an open end of a loss counts as nothing."""
        refused = (
            select(func.count())
            .where(rejected.c.stream_id == stream.c.id)
            .correlate(stream)
            .scalar_subquery()
        )
        lost = (
            select(func.coalesce(func.sum(loss.c.last - loss.c.first + 1), 0))
            .where(loss.c.stream_id == stream.c.id, loss.c.last.is_not(None))
            .correlate(stream)
            .scalar_subquery()
        )
        query = select(stream.c.id, stream.c.created_at, stream.c.closed_at, refused, lost)
        rows = self._connection.execute(query.where(stream.c.gateway_id == gateway_id))
        return {id_: StreamFacts(*facts[:2], *map(int, facts[2:])) for id_, *facts in rows}

    def losses(self, stream_id: int, limit: int, before: int | None = None) -> list[LossRow]:
        """The losses of a stream by number downwards; only what begins ``before`` a number."""
        query = select(loss).where(loss.c.stream_id == stream_id)
        if before is not None:
            query = query.where(loss.c.first < before)
        query = query.order_by(loss.c.first.desc()).limit(limit)
        return [LossRow(*row) for row in self._connection.execute(query)]

    def loss_spans(self, gateway_id: int, start: int, end: int) -> list[tuple[int, int]]:
        """Between which times something of the gateway was lost that overlaps start..end."""
        query = (
            select(loss.c.start_at, loss.c.end_at)
            .join(stream, stream.c.id == loss.c.stream_id)
            .where(stream.c.gateway_id == gateway_id)
            .where(loss.c.start_at < end, loss.c.end_at > start)
            .order_by(loss.c.start_at)
        )
        return [(row[0], row[1]) for row in self._connection.execute(query)]

    def timezone(self, gateway_id: int) -> str:
        """The IANA name of the zone of a gateway's site; the gateway exists."""
        query = select(site.c.timezone).join(gateway, gateway.c.site_id == site.c.id)
        return str(self._connection.scalar(query.where(gateway.c.id == gateway_id)))

    def rejections(
        self, gateway_id: int, limit: int, kept_bytes: int, after: tuple[int, int] | None = None
    ) -> list[RejectedRow]:
        """The rejected entries of a gateway, those of the newest stream first, by number downwards.

        ``after``: stream and number of one; only those that come after it.
        """
        streams = select(stream.c.id, stream.c.stream).where(stream.c.gateway_id == gateway_id)
        names = {row.id: row.stream for row in self._connection.execute(streams)}
        newest = (rejected.c.stream_id, rejected.c.seq)
        query = (
            select(
                rejected.c.stream_id,
                rejected.c.seq,
                rejected.c.reason,
                func.substr(rejected.c.body, 1, kept_bytes),
                func.length(rejected.c.body),
                rejected.c.received_at,
            )
            .where(rejected.c.stream_id.in_(names))
            .order_by(*(column.desc() for column in newest))
        )
        rows = behind(
            after,
            newest,
            limit,
            lambda which, most: self._connection.execute(query.where(which).limit(most)).all(),
        )
        return [RejectedRow(stream_id, names[stream_id], *rest) for stream_id, *rest in rows]

    def quarantined(self, limit: int, before: int | None = None) -> list[QuarantineRow]:
        """The messages that were put aside last, newest first; only ``before`` an id."""
        query = (
            select(
                quarantine.c.id,
                quarantine.c.topic,
                quarantine.c.reason,
                quarantine.c.size,
                quarantine.c.payload,
                quarantine.c.received_at,
            )
            .order_by(quarantine.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(quarantine.c.id < before)
        return [QuarantineRow(*row) for row in self._connection.execute(query)]
