"""What was lost and why: numbers that are dealt with, but of which nothing is in the database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, delete, func, insert, select, update

from cloud.storage.tables import device, loss, reading, register, stream


@dataclass(frozen=True, slots=True)
class LossRow:
    """Entries first..last (None: all from first on) of a stream, measured between two times."""

    stream_id: int
    first: int
    last: int | None
    reason: str
    start_at: int
    end_at: int
    received_at: int

    def without(self, first: int, last: int) -> list["LossRow"]:
        """What is left of it without first..last."""
        left = []
        if self.first < first:
            left.append(replace(self, last=min(first - 1, self.last or first)))
        if self.last is None or self.last > last:
            left.append(replace(self, first=max(self.first, last + 1)))
        return left


class Losses:
    """Losses in the database. To be changed only while the gateway's row is locked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, rows: Sequence[LossRow]) -> None:
        """Store losses that overlap none of those that are there."""
        if rows:
            self._connection.execute(insert(loss), [asdict(row) for row in rows])
            lossy = sorted({row.stream_id for row in rows})
            self._connection.execute(
                update(stream).where(stream.c.id.in_(lossy)).values(lossy=True)
            )

    def within(self, stream_id: int, first: int, last: int | None) -> list[LossRow]:
        """The losses that overlap first..last (None: all from first on), in order."""
        query = select(loss).where(
            loss.c.stream_id == stream_id, loss.c.last.is_(None) | (loss.c.last >= first)
        )
        if last is not None:
            query = query.where(loss.c.first <= last)
        return [LossRow(*row) for row in self._connection.execute(query.order_by(loss.c.first))]

    def remove(self, row: LossRow) -> None:
        """It was not lost after all, or is lost in other parts."""
        self._connection.execute(
            delete(loss).where(loss.c.stream_id == row.stream_id, loss.c.first == row.first)
        )

    def newest_reading(self, gateway_id: int, before: int) -> int | None:
        """When the gateway's newest reading earlier than ``before`` was measured."""
        newest = (
            select(func.max(reading.c.at))
            .where(reading.c.register_id == register.c.id, reading.c.at < before)
            .correlate(register)
            .scalar_subquery()
        )
        query = (
            select(func.max(newest))
            .select_from(register)
            .join(device, device.c.id == register.c.device_id)
            .where(device.c.gateway_id == gateway_id)
        )
        found: int | None = self._connection.scalar(query)
        return found
