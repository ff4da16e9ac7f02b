"""Telegrams: what devices answered their gateways, kept for a time, to be decoded again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cloud.services.messages import LATEST, sender
from cloud.storage.ledger import StreamRow
from cloud.storage.telegrams import TelegramKey, TelegramRow
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime
from common.errors import NotFound
from common.messages.uplink import Telegram

AT_ONCE = 1_000
"""That are fetched in one short transaction."""


@dataclass(frozen=True, slots=True)
class TelegramView:
    """A frame as it came; ``at`` is the time of the readings that were made of it."""

    key: TelegramKey
    at: datetime
    protocol: str
    frame: str
    received_at: datetime


def telegram_row(stream: StreamRow, seq: int, body: Telegram, now_ms: int) -> TelegramRow:
    """The row for entry ``seq`` of a gateway's stream."""
    return TelegramRow(
        at=body.at,
        stream_id=stream.id,
        seq=seq,
        gateway_id=stream.gateway_id,
        device=body.device,
        protocol=body.protocol,
        frame=body.frame,
        received_at=now_ms,
    )


def telegrams(
    store: Store,
    gateway_id: int,
    device: str,
    *,
    start_ms: int = 0,
    end_ms: int = LATEST,
    limit: int = AT_ONCE,
    after: tuple[int, int, int] | None = None,
) -> list[TelegramView]:
    """The telegrams of a gateway's device from ``start_ms`` to before ``end_ms``, in order of time,
    behind the key ``after``. Raises NotFound."""
    key = TelegramKey(*after) if after else None
    with store.read() as uow:
        sender(uow, gateway_id)
        rows = uow.telegrams.of(gateway_id, device, start_ms, end_ms, limit, key)
        if not rows and after is None and not uow.telegrams.knows(gateway_id, device):
            raise NotFound(f"gateway {gateway_id} has no device {device}")
    return [_view(row) for row in rows]


def all_telegrams(
    store: Store, gateway_id: int, device: str, start_ms: int = 0, end_ms: int = LATEST
) -> Iterator[TelegramView]:
    """As ``telegrams``, however many, a part at a time."""
    after: TelegramKey | None = None
    while found := telegrams(
        store, gateway_id, device, start_ms=start_ms, end_ms=end_ms, after=after
    ):
        yield from found
        after = found[-1].key


def _view(row: TelegramRow) -> TelegramView:
    return TelegramView(
        TelegramKey(row.at, row.stream_id, row.seq),
        to_datetime(row.at),
        row.protocol,
        row.frame.hex(),
        to_datetime(row.received_at),
    )
