"""The log of messages: what a gateway sent, and what it says when it is taken apart today."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cloud.services.parcels import BadParcel, BatchParcel, OpenEntry, Parcel, Received, unpack
from cloud.storage.inventory import Numbered
from cloud.storage.messages import MessageKey, MessageRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common import topics
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Undecodable
from common.messages.envelope import inflate
from common.messages.uplink import Readings, Value
from common.reading import Quality, from_scaled

LATEST = 2**62
ENTRIES = 1_000
"""The most entries of a message that are shown."""

_QUALITIES = {int(one): one.name.lower() for one in Quality}

Names = Mapping[int, Numbered]
"""The registers of a stream by their numbers."""


def span_of(start: datetime | None, end: datetime | None) -> tuple[int, int]:
    """From when to before when (ms); None: it is open there."""
    return 0 if start is None else to_ms(start), LATEST if end is None else to_ms(end)


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as it was taken; ``first`` and ``last`` are the entries of a batch."""

    id: str
    received_at: datetime
    kind: str
    stream: str
    first: int | None
    last: int | None
    outcome: str
    size: int


@dataclass(frozen=True, slots=True)
class SaidView:
    """One value of a readings entry. ``device`` and ``register`` are empty when nothing names
    the number; then ``value`` is None too. ``quality`` is a name, or a code that has none."""

    no: int
    device: str
    register: str
    value: Decimal | None
    quality: str
    raw: int | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """A journal entry: readings measured at ``at``, or ``body``, JSON; or why it is neither."""

    seq: int
    at: datetime | None
    readings: tuple[SaidView, ...]
    body: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class OpenedView:
    """A message taken apart: ``entries`` of a batch, the first ENTRIES of ``count``; ``body`` of
    a hello; ``problem`` says why neither can be read."""

    message: MessageView
    count: int
    entries: tuple[EntryView, ...]
    body: str | None
    problem: str


def messages(
    store: Store,
    gateway_id: int,
    *,
    start_ms: int = 0,
    end_ms: int = LATEST,
    limit: int = 100,
    after: tuple[int, int] | None = None,
) -> list[MessageView]:
    """The messages of a gateway, newest first, behind the key ``after``. Raises NotFound."""
    with store.read() as uow:
        sender(uow, gateway_id)
        key = MessageKey(*after) if after else None
        rows = uow.messages.of(gateway_id, start_ms, end_ms, limit, key)
    return [_view(row) for row in rows]


def raw(store: Store, gateway_id: int, message_id: str) -> bytes:
    """A message's bytes as they came. Raises NotFound."""
    with store.read() as uow:
        return _find(uow, gateway_id, message_id)[1]


def opened(store: Store, gateway_id: int, message_id: str) -> OpenedView:
    """A message, taken apart by today's parser. Raises NotFound."""
    with store.read() as uow:
        row, payload = _find(uow, gateway_id, message_id)
        parcel = take_apart(sender(uow, gateway_id), row, payload)
        names = names_of(uow, gateway_id, row.stream)
    if isinstance(parcel, BatchParcel):
        entries = sorted(_entries(parcel, names), key=lambda one: one.seq)
        return OpenedView(
            _view(row), len(entries), tuple(entries[:ENTRIES]), None, parcel.quarantine
        )
    if isinstance(parcel, BadParcel):
        return OpenedView(_view(row), 0, (), None, parcel.reason)
    return OpenedView(_view(row), 0, (), _text(payload), "")


def message_id(key: MessageKey) -> str:
    """By which people and programs name a message."""
    return f"{key.at}-{key.no}"


def key_of(message_id: str) -> MessageKey:
    """The key that ``message_id`` wrote. Raises NotFound for anything else."""
    at, _, no = message_id.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) < 16 for part in (at, no)):
        raise NotFound(f"there is no message {message_id[:60]!r}")
    return MessageKey(int(at), int(no))


def take_apart(gateway: str, row: MessageRow, payload: bytes) -> Parcel:
    """What the message says; its times are judged as of when it came."""
    at = row.key.at
    return unpack(Received(topics.up(gateway, row.kind), payload, at), at)


def names_of(uow: UnitOfWork, gateway_id: int, stream: str) -> dict[int, Numbered]:
    """What the numbers of a gateway's stream name: registers, spoilt numbers left out."""
    rows = uow.ledger.streams([gateway_id], [stream])
    found = (one for row in rows for one in uow.inventory.numbered(row.id))
    return {one.no: one for one in found if not one.spoilt}


def _find(uow: UnitOfWork, gateway_id: int, message_id: str) -> tuple[MessageRow, bytes]:
    found = uow.messages.one(gateway_id, key_of(message_id))
    if found is None:
        raise NotFound(f"there is no message {message_id} of gateway {gateway_id}, or not any more")
    return found


def sender(uow: UnitOfWork, gateway_id: int) -> str:
    """The key of the gateway. Raises NotFound."""
    key = uow.messages.sender(gateway_id)
    if key is None:
        raise NotFound(f"there is no gateway {gateway_id}")
    return key


def _view(row: MessageRow) -> MessageView:
    return MessageView(
        message_id(row.key),
        to_datetime(row.key.at),
        row.kind,
        row.stream,
        row.first,
        row.last,
        row.outcome,
        row.size,
    )


def _entries(parcel: BatchParcel, names: Names) -> Iterator[EntryView]:
    for seq, body in parcel.batch.readings():
        yield _readings(seq, body, names)
    for entry in parcel.entries:
        if isinstance(entry.body, Readings):
            yield _readings(entry.seq, entry.body, names)
        else:
            yield _other(entry)


def _readings(seq: int, body: Readings, names: Names) -> EntryView:
    said = tuple(_said(value, names.get(value.no)) for value in body.r)
    return EntryView(seq, _moment(body.at), said, None, "")


def _moment(at: int) -> datetime | None:
    """None for what is no time of any calendar."""
    try:
        return to_datetime(at)
    except (OverflowError, ValueError, OSError):
        return None


def _said(value: Value, named: Numbered | None) -> SaidView:
    exact = None
    if named and value.value is not None:
        exact = from_scaled(value.value, named.decimals)
    return SaidView(
        value.no,
        named.device if named else "",
        named.register if named else "",
        exact,
        _QUALITIES.get(value.quality, str(value.quality)),
        value.raw,
    )


def _other(entry: OpenEntry) -> EntryView:
    return EntryView(entry.seq, None, (), entry.raw.decode("utf-8", "replace"), entry.reason)


def _text(payload: bytes) -> str | None:
    try:
        return inflate(payload).decode("utf-8", "replace")
    except Undecodable:
        return None
