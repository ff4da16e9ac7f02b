"""The log of messages: what gateways sent, as it came."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from cloud.storage.keyset import behind
from cloud.storage.message_tables import message
from cloud.storage.tables import gateway
from cloud.storage.upsert import insert_missing


class MessageKey(NamedTuple):
    """When a message was received, and its number among those of that instant."""

    at: int
    no: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """``first`` and ``last`` are the entries of a batch; ``outcome`` is what became of it."""

    at: int
    gateway_id: int
    kind: str
    stream: str
    first: int | None
    last: int | None
    outcome: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message of the log, without its bytes."""

    key: MessageKey
    kind: str
    stream: str
    first: int | None
    last: int | None
    outcome: str
    size: int


_SHOWN = (
    message.c.at,
    message.c.no,
    message.c.kind,
    message.c.stream,
    message.c.first,
    message.c.last,
    message.c.outcome,
    message.c.size,
)
_RANGE = 2**31


def message_numbers() -> Iterator[int]:
    """For all that one worker writes down. They begin anywhere: what two workers receive in one
    millisecond has two keys."""
    return (n % _RANGE for n in count(secrets.randbelow(_RANGE)))


class Messages:
    """Messages in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Sequence[NewMessage], numbers: Iterator[int]) -> None:
        """Write them down in one statement, or in several of about a megabyte.

        One that happens on another's key is not: what it brings is not to be refused for that.
        """
        rows = [
            {
                "at": one.at,
                "no": next(numbers),
                "gateway_id": one.gateway_id,
                "kind": one.kind,
                "stream": one.stream,
                "first": one.first,
                "last": one.last,
                "outcome": one.outcome,
                "size": len(one.payload),
                "payload": one.payload,
            }
            for one in new
        ]
        # The driver puts the rows into one statement until it has a megabyte (max_stmt_length),
        # and bytes as hex digits: no message makes one that the server would not take.
        insert_missing(self._connection, message, rows)

    def of(
        self, gateway_id: int, start: int, end: int, limit: int, after: MessageKey | None = None
    ) -> list[MessageRow]:
        """Those of a gateway from ``start`` to before ``end``, newest first, behind ``after``."""
        query = (
            select(*_SHOWN)
            .where(message.c.gateway_id == gateway_id)
            .where(message.c.at >= start, message.c.at < end)
            .order_by(message.c.at.desc(), message.c.no.desc())
        )
        rows = behind(
            after,
            (message.c.at, message.c.no),
            limit,
            lambda which, most: self._connection.execute(query.where(which).limit(most)).all(),
        )
        return [MessageRow(MessageKey(at, no), *rest) for at, no, *rest in rows]

    def one(self, gateway_id: int, key: MessageKey) -> tuple[MessageRow, bytes] | None:
        """A message of a gateway, with its bytes."""
        query = select(*_SHOWN, message.c.payload).where(
            message.c.at == key.at, message.c.no == key.no, message.c.gateway_id == gateway_id
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        at, no, *rest, payload = row
        return MessageRow(MessageKey(at, no), *rest), bytes(payload)

    def sender(self, gateway_id: int) -> str | None:
        """The key of a gateway."""
        query = select(gateway.c.key).where(gateway.c.id == gateway_id)
        return self._connection.scalar(query)

    def oldest(self) -> int | None:
        """When the oldest one was received."""
        found: int | None = self._connection.scalar(select(func.min(message.c.at)))
        return found
