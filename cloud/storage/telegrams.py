"""Telegrams: what devices answered their gateways, as it came. One is known by its entry."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from sqlalchemy import Connection, exists, select

from cloud.storage.keyset import behind
from cloud.storage.message_tables import telegram
from cloud.storage.tables import device
from cloud.storage.upsert import insert_missing


class TelegramKey(NamedTuple):
    """When a telegram came to its gateway, and the entry that it is."""

    at: int
    stream_id: int
    seq: int


@dataclass(frozen=True, slots=True)
class TelegramRow:
    """A telegram of a gateway's ``device``; times in epoch milliseconds."""

    at: int
    stream_id: int
    seq: int
    gateway_id: int
    device: str
    protocol: str
    frame: bytes
    received_at: int


class Telegrams:
    """Telegrams in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, rows: Sequence[TelegramRow]) -> None:
        """Store what is not there yet."""
        insert_missing(self._connection, telegram, [asdict(row) for row in rows])

    def of(  # noqa: PLR0917
        self,
        gateway_id: int,
        device_key: str,
        start: int,
        end: int,
        limit: int,
        after: TelegramKey | None = None,
    ) -> list[TelegramRow]:
        """Those of a device from ``start`` to before ``end``, in order, behind ``after``."""
        columns = telegram.c
        query = (
            select(*(columns[name] for name in TelegramRow.__dataclass_fields__))
            .where(columns.gateway_id == gateway_id, columns.device == device_key)
            .where(columns.at >= start, columns.at < end)
            .order_by(columns.at, columns.stream_id, columns.seq)
        )
        rows = behind(
            after,
            (columns.at, columns.stream_id, columns.seq),
            limit,
            lambda which, most: self._connection.execute(query.where(which).limit(most)).all(),
            up=True,
        )
        return [TelegramRow(*row) for row in rows]

    def knows(self, gateway_id: int, device_key: str) -> bool:
        """Whether the gateway has, or had, such a device."""
        found = exists().where(device.c.gateway_id == gateway_id, device.c.key == device_key)
        return bool(self._connection.scalar(select(found)))
