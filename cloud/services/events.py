"""Events of gateways and devices; alarms are those that a person must look at."""

from cloud.services.views import EventView
from cloud.storage.overview import EventRow
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime, to_ms
from common.errors import NotFound

EventKey = tuple[int, int, int]
"""Of an event in a list: its time, stream and number."""


def alarms(store: Store, limit: int = 100, after: EventKey | None = None) -> list[EventView]:
    """The newest alarms that nobody has acknowledged, newest first; at most ``limit``.

    With ``after`` those that come after the alarm of that key.
    """
    with store.read() as uow:
        rows = uow.overview.events(limit, after=after, open_alarms=True)
    return [_view(row) for row in rows]


def recent(store: Store, limit: int = 100, after: EventKey | None = None) -> list[EventView]:
    """The newest events of any severity, newest first; at most ``limit``.

    With ``after`` those that come after the event of that key.
    """
    with store.read() as uow:
        rows = uow.overview.events(limit, after=after)
    return [_view(row) for row in rows]


def key_of(event: EventView) -> EventKey:
    """Where an event stands in a list."""
    return to_ms(event.at), event.stream_id, event.seq


def acknowledge(store: Store, stream_id: int, seq: int, by: str, now_ms: int) -> None:
    """Note that ``by`` has seen to an event; who was first stays. Raises NotFound."""
    with store.begin() as uow:
        if not uow.overview.event_exists(stream_id, seq):
            raise NotFound(f"there is no event {seq} of stream {stream_id}")
        uow.overview.acknowledge(stream_id, seq, by[:200], now_ms)


def _view(row: EventRow) -> EventView:
    appended_at, acknowledged_at = row.appended_at, row.acknowledged_at
    return EventView(
        stream_id=row.stream_id,
        seq=row.seq,
        gateway=row.gateway,
        device=row.device,
        at=to_datetime(row.at),
        appended_at=None if appended_at is None else to_datetime(appended_at),
        received_at=to_datetime(row.received_at),
        code=row.code,
        severity=row.severity,
        text=row.text,
        acknowledged_at=None if acknowledged_at is None else to_datetime(acknowledged_at),
        acknowledged_by=row.acknowledged_by,
    )
