"""A gateway's journal on its way into the database, inside one transaction."""

from dataclasses import dataclass, field

import msgspec

from cloud.domain.entries import plausible
from cloud.services import commands
from cloud.services.parcels import BatchParcel, OpenEntry
from cloud.services.rules import MAX_AGE_MS, Seen
from cloud.storage.events import EventRow
from cloud.storage.inventory import Numbered
from cloud.storage.ledger import RejectedRow, StreamRow
from cloud.storage.readings import ReadingRow
from cloud.storage.unit_of_work import UnitOfWork
from common.errors import Undecodable
from common.messages.downlink import Rejection
from common.messages.uplink import Catalog, CommandReport, Event, Readings
from common.ranges import RangeSet
from common.reading import Quality
from common.rules import RegisterRef

REJECTED_CODE = "entry-rejected"
_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class StreamBook:
    """A stream while its gateway is locked. ``committed`` grows as batches are taken."""

    row: StreamRow
    gateway: str
    numbers: dict[int, Numbered]
    committed: RangeSet = field(init=False)
    catalog_seq: int = field(init=False)

    def __post_init__(self) -> None:
        self.committed = self.row.committed.copy()
        self.catalog_seq = self.row.catalog_seq

    def may_fill_gap_before(self, seq: int) -> bool:
        """Whether the gateway may still hold entries before ``seq`` that are not committed."""
        first = max(1, self.row.first_kept)
        return seq > first and bool(self.committed.missing(first, seq - 1))

    @property
    def has_gap(self) -> bool:
        """Whether something is missing that the gateway may still hold."""
        return self.may_fill_gap_before(self.committed.last())


class JournalWriter:
    """Takes batches, then writes what they hold with as few statements as possible."""

    def __init__(self, uow: UnitOfWork, now_ms: int) -> None:
        self._uow = uow
        self._now_ms = now_ms
        self._readings: list[ReadingRow] = []
        self._events: list[EventRow] = []
        self._rejected: list[RejectedRow] = []
        self.seen: list[Seen] = []
        self.committed = 0
        self.duplicates = 0

    @property
    def readings(self) -> int:
        """How many readings there were to store."""
        return len(self._readings)

    @property
    def rejected(self) -> int:
        """How many entries were rejected."""
        return len(self._rejected)

    def take(self, book: StreamBook, batch: BatchParcel) -> list[Rejection] | None:
        """Take the entries that are new; returns the rejected ones, old and new.

        None, and nothing is taken, when a catalog that the gateway may still have is lacking.
        """
        new = [entry for entry in batch.entries if entry.seq not in book.committed]
        if self._lacks_catalog(book, batch, new):
            return None
        rejections: list[tuple[int, str]] = []
        if len(new) < len(batch.entries):
            self.duplicates += len(batch.entries) - len(new)
            rejections = self._uow.ledger.rejections(book.row.id, batch.first, batch.last)
            rejections += [
                (row.seq, row.reason)
                for row in self._rejected
                if row.stream_id == book.row.id and batch.first <= row.seq <= batch.last
            ]
        for entry in new:
            try:
                self._take_entry(book, entry)
            except Undecodable as error:
                reason = str(error)[:2000]
                self._reject(book, entry, reason)
                rejections.append((entry.seq, reason))
        book.committed.add(batch.first, batch.last)
        self.committed += len(new)
        return [Rejection(seq, reason) for seq, reason in sorted(rejections)]

    def write(self, books: list[StreamBook]) -> None:
        """Write everything taken, and the ledgers of ``books``."""
        uow = self._uow
        if self._readings:
            uow.readings.add(self._readings, self._now_ms)
        uow.events.add(self._events)
        uow.ledger.reject(self._rejected)
        for book in books:
            if book.committed != book.row.committed:
                uow.ledger.save(book.row.id, book.row.committed, book.committed)
            if book.catalog_seq != book.row.catalog_seq:
                uow.ledger.catalog_taken(book.row.id, book.catalog_seq)

    def _lacks_catalog(self, book: StreamBook, batch: BatchParcel, new: list[OpenEntry]) -> bool:
        if not book.may_fill_gap_before(batch.first):
            return False
        coming: set[int] = set()
        for entry in new:
            match entry.body:
                case Catalog():
                    coming |= {r.no for device in entry.body.devices for r in device.registers}
                case Readings():
                    numbers = {value.no for value in entry.body.r}
                    if numbers - coming - book.numbers.keys():
                        return True
        return False

    def _take_entry(self, book: StreamBook, entry: OpenEntry) -> None:
        match entry.body:
            case Readings():
                self._take_readings(book, entry.body)
            case Catalog():
                self._take_catalog(book, entry.seq, entry.body)
            case Event():
                self._take_event(book, entry.seq, entry.body)
            case CommandReport():
                at = entry.body.at if plausible(entry.body.at, self._now_ms) else self._now_ms
                commands.record_result(self._uow, book.row.gateway_id, entry.body, at)
            case None:
                raise Undecodable(entry.reason)

    def _take_readings(self, book: StreamBook, body: Readings) -> None:
        unknown = [value.no for value in body.r if value.no not in book.numbers]
        if unknown:
            raise Undecodable(f"no catalog says what register number {unknown[0]} is")
        young = body.at >= self._now_ms - MAX_AGE_MS
        for value in body.r:
            register = book.numbers[value.no]
            self._readings.append(
                ReadingRow(register.register_id, body.at, value.value, value.quality, value.raw)
            )
            if young and value.value is not None and value.quality == Quality.GOOD:
                self.seen.append(
                    Seen(
                        RegisterRef(book.gateway, register.device, register.register),
                        register.kind,
                        register.decimals,
                        body.at,
                        value.value,
                    )
                )

    def _take_catalog(self, book: StreamBook, seq: int, body: Catalog) -> None:
        for device in body.devices:
            for item in device.registers:
                register = item.register
                known = book.numbers.get(item.no)
                identity = (device.key, register.key, register.kind.value, register.decimals)
                if known and known.identity != identity:
                    raise Undecodable(f"number {item.no} names another register already")
        row = book.row
        newest = seq > book.catalog_seq and self._uow.ledger.newest_stream(row.gateway_id) == row.id
        found = self._uow.inventory.take_catalog(
            row.gateway_id, row.id, body.devices, frozenset(book.numbers), newest=newest
        )
        book.numbers.update((register.no, register) for register in found)
        book.catalog_seq = max(book.catalog_seq, seq)

    def _take_event(self, book: StreamBook, seq: int, body: Event) -> None:
        data: dict[str, str | int | None] = dict(body.data)
        at = body.at
        if not plausible(at, self._now_ms):
            data["said_at"] = at
            at = self._now_ms
        event = Event(at, body.code, body.severity, body.text, body.device, data)
        self._add_event(book, seq, event)

    def _reject(self, book: StreamBook, entry: OpenEntry, reason: str) -> None:
        self._rejected.append(RejectedRow(book.row.id, entry.seq, reason, entry.raw, self._now_ms))
        text = f"entry {entry.seq} can never be stored: {reason}"[:2000]
        self._add_event(book, entry.seq, Event(self._now_ms, REJECTED_CODE, "alarm", text))

    def _add_event(self, book: StreamBook, seq: int, event: Event) -> None:
        self._events.append(
            EventRow(
                stream_id=book.row.id,
                seq=seq,
                gateway_id=book.row.gateway_id,
                device=event.device,
                at=event.at,
                received_at=self._now_ms,
                code=event.code,
                severity=event.severity,
                text=event.text,
                data=_encoder.encode(event.data).decode(),
            )
        )
