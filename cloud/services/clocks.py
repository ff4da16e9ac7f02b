"""By which clock of the gateway the entries of a stream were dated."""

from itertools import pairwise

from cloud.domain.clocks import ClockSetting
from cloud.services.views import ClockSpanView
from cloud.storage.ledger import StreamRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import NotFound
from common.messages.batch import ClockQuality

MAX_SPANS = 1_000


def spans(store: Store, gateway_id: int, stream: str) -> list[ClockSpanView]:
    """By which clock the entries of a gateway's stream were dated, in order; the newest MAX_SPANS.

    Where nothing is known there is a hole. Raises NotFound.
    """
    with store.read() as uow:
        row = _stream(uow, gateway_id, stream)
        steps = uow.clocks.newest(row.id, MAX_SPANS)
    bounds = pairwise([*(first for first, _ in steps), row.committed.last() + 1])
    return [
        _view(first, end - 1, setting)
        for (first, end), (_, setting) in zip(bounds, steps, strict=True)
        if setting
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
