"""By which clock of the gateway the entries of a stream were dated."""

from cloud.domain.clocks import ClockSetting
from cloud.services.views import ClockSpanView
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import NotFound
from common.messages.batch import ClockQuality


def spans(
    store: Store, gateway_id: int, stream: str, limit: int = 100, before: int | None = None
) -> list[ClockSpanView]:
    """By which clock the entries of a gateway's stream were dated, newest first.

    At most ``limit``; with ``before`` only what begins before that number. Where nothing is known
    there is a hole. Raises NotFound.
    """
    with store.read() as uow:
        row = _stream(uow, gateway_id, stream)
        found = uow.clocks.spans(row.id, limit, before)
    newest = row.committed.last()
    return [
        _view(one.first, newest if one.end is None else one.end - 1, one.setting) for one in found
    ]


def of_entry(store: Store, gateway_id: int, stream: str, seq: int) -> ClockSpanView:
    """The span of entry ``seq``. Raises NotFound when it has not come, or nothing is known."""
    with store.read() as uow:
        row = _stream(uow, gateway_id, stream)
        if seq not in row.committed or uow.losses.within(row.id, seq, seq):
            raise NotFound(f"entry {seq} of stream {stream} has not come")
        steps = uow.clocks.around(row.id, seq + 1, None)
    if not steps or steps[0][0] > seq or steps[0][1] is None:
        raise NotFound(f"by which clock entry {seq} of stream {stream} was dated is not known")
    end = steps[1][0] - 1 if len(steps) > 1 else row.committed.last()
    return _view(steps[0][0], end, steps[0][1])


def _stream(uow: UnitOfWork, gateway_id: int, stream: str) -> StreamRow:
    rows = uow.ledger.streams([gateway_id], [stream])
    if not rows:
        raise NotFound(f"gateway {gateway_id} has no stream {stream}")
    return rows[0]


def _view(first: int, last: int, setting: ClockSetting) -> ClockSpanView:
    known = {one.value: one.name.lower() for one in ClockQuality}
    quality = known.get(setting.quality, str(setting.quality))
    return ClockSpanView(first, last, setting.boot, setting.ahead_ms, quality)
