"""A gateway's journal on its way into the database, inside one transaction."""

from functools import cached_property
from itertools import chain, repeat

import msgspec
from msgspec.structs import astuple

from cloud.domain.consumption import HOUR_MS
from cloud.domain.entries import plausible, why_impossible
from cloud.domain.retention import SURELY_KEPT_MS, why_older
from cloud.services import commands
from cloud.services.ahead import AheadWriter
from cloud.services.books import StreamBook
from cloud.services.losses import LossWriter
from cloud.services.old_streams import DAMAGED, Shelf
from cloud.services.parcels import BatchParcel, OpenEntry, coming_numbers, open_entry
from cloud.services.rules import Sightings
from cloud.services.telegrams import telegram_row
from cloud.storage.events import EventRow
from cloud.storage.ledger import RejectedRow
from cloud.storage.readings import ReadingRow
from cloud.storage.telegrams import TelegramRow
from cloud.storage.unit_of_work import UnitOfWork
from common.errors import Undecodable
from common.messages.batch import Batch
from common.messages.downlink import Rejection
from common.messages.envelope import encode
from common.messages.uplink import (
    Catalog,
    CommandReport,
    Event,
    Readings,
    Salvaged,
    Telegram,
    Value,
)

REJECTED_CODE = "entry-rejected"
SECOND = "another reading of the same millisecond came first, and stays"
MAX_SALVAGES = 8
"""How often what a file held may have been salvaged into the next one, which was damaged too."""

_encoder = msgspec.json.Encoder()


class JournalWriter:
    """Takes batches, then writes what they hold with as few statements as possible."""

    def __init__(self, uow: UnitOfWork, now_ms: int) -> None:
        self._uow = uow
        self._now_ms = now_ms
        self._readings: list[ReadingRow] = []
        self._measured: list[tuple[StreamBook, Batch]] = []
        self._events: list[EventRow] = []
        self._rejected: list[RejectedRow] = []
        self._reports: list[commands.Told] = []
        self._losses = LossWriter(uow, now_ms)
        self._ahead = AheadWriter(uow, now_ms)
        self._floor: int | None = None
        self._told_older: set[int] = set()
        self.shelf = Shelf(uow, self._losses, now_ms)
        self.sightings = Sightings(uow, now_ms)
        self.telegrams: list[TelegramRow] = []
        self.committed = 0
        self.duplicates = 0

    @property
    def readings(self) -> int:
        """How many readings there were to store."""
        return len(self._readings)

    @property
    def rejected(self) -> int:
        """How many entries were rejected, wholly or in part."""
        return len(self._rejected)

    @property
    def lost(self) -> int:
        """How many entries were newly said to be lost."""
        return self._losses.lost

    def take(self, book: StreamBook, batch: BatchParcel) -> list[Rejection] | None:
        """Take the entries that are new; returns the rejected ones, old and new.

        None, and nothing is taken, when a catalog that the gateway may still have is lacking.
        """
        entries, readings, new = batch.entries, batch.batch, batch.count
        lost = self._losses.among(book, batch.first, batch.last)
        if book.committed.missing(batch.first, batch.last) != [(batch.first, batch.last)]:

            def is_new(seq: int) -> bool:
                return seq not in book.committed or seq in lost

            readings = readings.only(is_new)
            entries = tuple(entry for entry in entries if is_new(entry.seq))
            new = len(entries) + len(readings.seqs)
        used = set(readings.no)
        coming = coming_numbers(entries)
        if coming or not used <= book.numbers.keys():
            book.refresh(self._uow)
            if used - book.numbers.keys() - coming and book.may_ask_for_catalog_of(batch):
                return None
        if self.shelf.lacks_catalog(book, entries) and book.may_ask_for_catalog_of(batch):
            return None
        rejections: list[tuple[int, str]] = []
        if new < batch.count:
            self.duplicates += batch.count - new
            if book.row.id in self._with_rejections:
                rejections = self._uow.ledger.rejections(book.row.id, batch.first, batch.last)
            rejections += [
                (row.seq, row.reason)
                for row in self._rejected
                if row.stream_id == book.row.id and batch.first <= row.seq <= batch.last
            ]
        for entry in entries:
            try:
                reason = self._take_entry(book, entry)
            except Undecodable as error:
                reason = str(error)[:2000]
                self._tell_rejected(book, entry.seq, f"can never be stored: {reason}")
            if reason:
                self._reject(book, entry.seq, entry.raw, reason)
                rejections.append((entry.seq, reason))
        rejections += self._take_readings(book, readings, used)
        for seq in (*(entry.seq for entry in entries), *readings.seqs) if lost else ():
            self._losses.give_back(book, seq)
        book.clocks.take(self._uow, batch, book.committed)
        self._losses.take(book, batch.batch)
        book.committed.add(batch.first, batch.last)
        self.committed += new
        return [Rejection(seq, reason) for seq, reason in sorted(rejections)]

    @cached_property
    def _with_rejections(self) -> frozenset[int]:
        """The streams of which something was rejected before: asked once, not by each duplicate."""
        return self._uow.ledger.with_rejections()

    def write(self) -> None:
        """Write everything taken, and the ledgers."""
        uow = self._uow
        if self._readings:
            self._reject_second(frozenset(uow.readings.add(self._readings, self._now_ms)))
            uow.rollups.add_marks({(row[0], row[1] - row[1] % HOUR_MS) for row in self._readings})
        commands.record_results(uow, self._reports)
        uow.events.add(self._events)
        uow.ledger.reject(self._rejected)
        self._losses.write()
        self._ahead.write()
        changed = (
            (book.row, book.committed)
            for book in self.shelf.books.values()
            if book.committed != book.row.committed
        )
        uow.ledger.save(changed, self._now_ms)
        for book in self.shelf.books.values():
            if book.catalog_seq != book.row.catalog_seq:
                uow.ledger.catalog_taken(book.row.id, book.catalog_seq)

    def _take_entry(self, book: StreamBook, entry: OpenEntry, depth: int = 0) -> str:
        """Why a part of the entry was left out; raises Undecodable when nothing can be taken."""
        match entry.body:
            case Catalog():
                return self._take_catalog(book, entry, entry.body)
            case Event():
                self._take_event(book, entry, entry.body)
                if entry.body.code == DAMAGED:
                    self.shelf.damaged(book, entry.body)
            case CommandReport():
                at = entry.body.at if plausible(entry.body.at, self._now_ms) else self._now_ms
                self._reports.append(commands.Told(book.row.gateway_id, entry.body, at))
            case Readings():
                return self._take_reading(book, entry.seq, entry.body)
            case Telegram():
                self.telegrams.append(telegram_row(book.row, entry.seq, entry.body, self._now_ms))
            case Salvaged():
                return self._take_salvaged(book, entry.body, depth)
            case _:
                raise Undecodable(entry.reason)
        return ""

    def _take_salvaged(self, book: StreamBook, body: Salvaged, depth: int) -> str:
        """Take an entry of another stream of the gateway, unless that has come already."""
        if depth >= MAX_SALVAGES:
            raise Undecodable(f"salvaged more than {MAX_SALVAGES} times")
        old, seq = self.shelf.ended(book, body.stream), body.seq
        if seq in old.committed and seq not in self._losses.among(old, seq, seq):
            return ""
        old.refresh(self._uow)
        inner = open_entry(seq, bytes(body.body), self._now_ms)
        reason = self._take_entry(old, inner, depth + 1)
        # The entry has its own stamp no more: that of the new journal is of the salvage.
        old.clocks.put(self._uow, seq, seq, None, old.committed)
        old.committed.add(seq, seq)
        self._losses.give_back(old, seq)
        return reason

    def _take_readings(
        self, book: StreamBook, batch: Batch, used: set[int]
    ) -> list[tuple[int, str]]:
        """Take what can be taken; returns number and reason of each entry that is left out,
        wholly or in part."""
        times = sorted({min(batch.at), max(batch.at)}) if batch.at else []
        named = all(_names(book, no) for no in used)
        possible = all(plausible(at, self._now_ms) for at in times)
        if named and possible and not any(map(self._is_older, times)):
            self._add_readings(book, batch)
            return []
        rejections = []
        for seq, body in batch.readings():
            try:
                reason = self._take_reading(book, seq, body)
            except Undecodable as error:
                reason = str(error)
                self._tell_rejected(book, seq, f"can never be stored: {reason}")
            if reason:
                self._reject(book, seq, encode(body), reason)
                rejections.append((seq, reason))
        return rejections

    def _take_reading(self, book: StreamBook, seq: int, body: Readings) -> str:
        """As ``_take_entry``, for readings by themselves."""
        if not plausible(body.at, self._now_ms):
            raise Undecodable(why_impossible(body.at, self._now_ms))
        if self._is_older(body.at):
            return self._why_older(book, seq, body.at)
        nameless = sorted({value.no for value in body.r if not _names(book, value.no)})
        reason = "; ".join(_why_nameless(book, no) for no in nameless)[:2000]
        good = [value for value in body.r if value.no not in nameless]
        if nameless and not good:
            raise Undecodable(reason)
        self._add_readings(book, _one(book.row.stream, seq, body.at, good))
        return reason

    def _is_older(self, at: int) -> bool:
        """Whether it is too late for a reading; whoever comes as late as that waits until nobody
        moves the floor, and then nobody does before the end of the transaction."""
        if at >= self._now_ms - SURELY_KEPT_MS:
            return False
        if self._floor is None:
            self._floor = self._uow.kept.hold().floor
        return at < self._floor

    def _why_older(self, book: StreamBook, seq: int, at: int) -> str:
        """The reason; told once a stream, since a whole journal may have come too late."""
        reason = why_older(at, self._floor or 0)
        if book.row.id not in self._told_older:
            self._told_older.add(book.row.id)
            self._tell_rejected(book, seq, f"and maybe others are too late: {reason}")
        return reason

    def _add_readings(self, book: StreamBook, batch: Batch) -> None:
        """All values of ``batch``, whose numbers all name a register."""
        self._measured.append((book, batch))
        registers = {no: book.numbers[no].register_id for no in set(batch.no)}
        at = list(chain.from_iterable(map(repeat, batch.at, batch.n)))
        ids = map(registers.__getitem__, batch.no)
        self._readings += zip(ids, at, batch.value, batch.quality, batch.raw, strict=True)
        self._ahead.note(book, max(batch.at, default=0))
        self.sightings.note(book.gateway, batch, book.numbers)

    def _take_catalog(self, book: StreamBook, entry: OpenEntry, body: Catalog) -> str:
        """Take the registers that can be taken. A number that comes to mean two means none."""
        row, seq = book.row, entry.seq
        reasons = [one.reason for one in entry.refused]
        staying = set()
        for one in entry.refused:
            known = book.numbers.get(one.no)
            if known and known.identity == one.identity:
                staying.add(known.register_id)
            elif known:
                book.numbers[one.no] = self._uow.inventory.spoil(row.id, one.no)
        devices = []
        for device in body.devices:
            good = []
            for item in device.registers:
                register = item.register
                known = book.numbers.get(item.no)
                identity = (device.key, register.key, register.kind.value, register.decimals)
                if known is None or known.identity == identity:
                    good.append(item)
                    continue
                reasons.append(f"number {item.no} names another register already")
                book.numbers[item.no] = self._uow.inventory.spoil(row.id, item.no)
            devices.append(msgspec.structs.replace(device, registers=good))
        newest = seq > book.catalog_seq and self._uow.ledger.newest_stream(row.gateway_id) == row.id
        found = self._uow.inventory.take_catalog(
            row.gateway_id,
            row.id,
            devices,
            frozenset(book.numbers),
            newest=newest,
            staying=frozenset(staying),
            others=frozenset(body.others),
            at=body.at if plausible(body.at, self._now_ms) else self._now_ms,
        )
        book.numbers.update((register.no, register) for register in found)
        book.catalog_seq = max(book.catalog_seq, seq)
        reason = "; ".join(reasons)[:2000]
        if reason:
            self._tell_rejected(book, seq, f"defines registers that cannot be taken: {reason}")
        return reason

    def _take_event(self, book: StreamBook, entry: OpenEntry, body: Event) -> None:
        data: dict[str, str | int | None] = dict(body.data)
        at = body.at
        if not plausible(at, self._now_ms):
            data["said_at"] = at
            at = self._now_ms
        event = Event(at, body.code, body.severity, body.text, body.device, data)
        said_at = entry.appended_at
        appended_at = said_at if said_at and plausible(said_at, self._now_ms) else None
        self._add_event(book, entry.seq, event, appended_at)

    def _reject_second(self, rows: frozenset[ReadingRow]) -> None:
        """The entries of readings for whose instant their register has another one already."""
        for book, batch in self._measured if rows else ():
            for seq, body in batch.readings():
                second = [
                    one
                    for one in body.r
                    if (book.numbers[one.no].register_id, body.at, *astuple(one)[1:]) in rows
                ]
                if second:
                    names = sorted(book.numbers[one.no].register for one in second)
                    reason = f"{', '.join(names)[:1900]}: {SECOND}"
                    self._reject(book, seq, encode(Readings(body.at, second)), reason)

    def _reject(self, book: StreamBook, seq: int, body: bytes, reason: str) -> None:
        self._rejected.append(RejectedRow(book.row.id, seq, reason, body, self._now_ms))

    def _tell_rejected(self, book: StreamBook, seq: int, text: str) -> None:
        text = f"entry {seq} {text}"[:2000]
        self._add_event(book, seq, Event(self._now_ms, REJECTED_CODE, "alarm", text))

    def _add_event(
        self, book: StreamBook, seq: int, event: Event, appended_at: int | None = None
    ) -> None:
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
                appended_at=appended_at,
            )
        )


def _one(stream: str, seq: int, at: int, values: list[Value]) -> Batch:
    """A batch of one entry with these values."""
    return Batch(
        stream,
        seq,
        seq,
        [seq],
        [at],
        [0],
        [len(values)],
        [value.no for value in values],
        [value.value for value in values],
        [value.quality for value in values],
        [value.raw for value in values],
    )


def _names(book: StreamBook, no: int) -> bool:
    """Whether the number names a register."""
    known = book.numbers.get(no)
    return known is not None and not known.spoilt


def _why_nameless(book: StreamBook, no: int) -> str:
    if no in book.numbers:
        return f"number {no} was said to name two registers"
    return f"no catalog says what register number {no} is"
