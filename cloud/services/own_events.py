"""Events of the cloud's own: what no gateway says, but what is noticed of one here."""

import msgspec

from cloud.storage.events import EventRow
from cloud.storage.unit_of_work import UnitOfWork
from common.logs import events
from common.messages.uplink import Event

MAX_TEXT = 2000


def tell(uow: UnitOfWork, gateway_id: int, stream_id: int, event: Event) -> None:
    """Store ``event`` about a gateway's stream. Its number is below 0: the stream's are from 1.

    The gateway's row must be locked, since the number is the next that is free.
    """
    (events.info if event.severity == "info" else events.warning)("%s", event.text[:MAX_TEXT])
    row = EventRow(
        stream_id=stream_id,
        seq=uow.events.own_number(stream_id),
        gateway_id=gateway_id,
        device=event.device,
        at=event.at,
        received_at=event.at,
        code=event.code,
        severity=event.severity,
        text=event.text[:MAX_TEXT],
        data=msgspec.json.encode(event.data).decode(),
    )
    uow.events.add([row])
