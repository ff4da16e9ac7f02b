"""Events: what happened on gateways and devices. The identity of one is (stream, seq)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select

from cloud.storage.tables import event
from cloud.storage.upsert import insert_missing


@dataclass(frozen=True, slots=True)
class EventRow:
    """``data`` is a JSON object; ``device`` is empty for the gateway itself.

    ``at`` is when it happened, ``appended_at`` when the gateway wrote it down, by its own clock."""

    stream_id: int
    seq: int
    gateway_id: int
    device: str
    at: int
    received_at: int
    code: str
    severity: str
    text: str
    data: str = "{}"
    appended_at: int | None = None


class Events:
    """Events in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, rows: Sequence[EventRow]) -> None:
        """Store what is not there yet."""
        insert_missing(self._connection, event, [asdict(row) for row in rows])

    def own_number(self, stream_id: int) -> int:
        """The next number for an event of the cloud's own about a stream: below 0."""
        query = select(func.min(event.c.seq)).where(event.c.stream_id == stream_id)
        return min(self._connection.scalar(query) or 0, 0) - 1

    def told_since(self, stream_id: int, code: str, at: int) -> bool:
        """Whether the cloud itself has told this of a stream since ``at``."""
        query = (
            select(event.c.seq)
            .where(event.c.stream_id == stream_id, event.c.seq < 0)
            .where(event.c.code == code, event.c.at >= at)
            .limit(1)
        )
        return self._connection.scalar(query) is not None
