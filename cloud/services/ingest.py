"""What gateways said, into the database: one transaction for all that has arrived.

Invariants:
- an ack is made only of what the same transaction commits;
- the rows of all gateways concerned are locked first, in the order of their ids, so that two
  workers never both find an entry new;
- only entries that the ledger lacks are stored, seen by rules, and counted;
- a message that the database refuses is tried alone, then entry by entry, so that it harms nobody.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cloud.services import metrics
from cloud.services.books import StreamBook, StreamMemory
from cloud.services.commands import Publication
from cloud.services.identity import refusal
from cloud.services.journal import JournalWriter
from cloud.services.message_log import MessageLog
from cloud.services.parcels import (
    BadParcel,
    BatchParcel,
    HelloParcel,
    Parcel,
    Received,
    StatusParcel,
    by_stream,
    rejecting,
    split,
    unpack,
)
from cloud.services.presence import Presence
from cloud.services.rules import apply_rules
from cloud.storage.messages import message_numbers
from cloud.storage.unit_of_work import Store, UnitOfWork
from common import topics
from common.errors import Permanent
from common.logs import events
from common.messages.downlink import Ack, Rejection, Resume
from common.messages.envelope import encode
from common.ranges import RangeSet

__all__ = ["Ingest", "Outcome", "Publication", "Received", "ingest"]

REFUSED = (Permanent, ValueError, ArithmeticError)
"""What one message can do to a transaction; anything else is the database's trouble."""

CROWD_WITHIN_MS = 10_000
SPREAD_MS = 20
"""Gateways that come back within CROWD_WITHIN_MS of each other are asked to begin with what they
have kept within so long for each of them, at most LONGEST_SPREAD_MS."""

LONGEST_SPREAD_MS = 120_000

REASONS_BYTES = 400_000
"""Room for the reasons in one ack; a gateway takes messages up to 1 MiB."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to publish now that it is committed, and the commands that rules issued.

    ``wake`` says that dispatch has something to do.
    """

    publications: tuple[Publication, ...] = ()
    issued: tuple[str, ...] = ()
    wake: bool = False

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.publications + other.publications,
            self.issued + other.issued,
            self.wake or other.wake,
        )


class Ingest:
    """Takes messages in. One instance a thread; it remembers what changes seldom."""

    def __init__(
        self,
        store: Store,
        *,
        register_gateways: bool = True,
        keep_messages: bool = True,
        keep_telegrams: bool = True,
    ) -> None:
        self._store = store
        self._keep_messages = keep_messages
        self._keep_telegrams = keep_telegrams
        self._register_gateways = register_gateways
        self._message_numbers = message_numbers()
        self._generation = -1
        self._gateways: dict[str, int] = {}
        self._streams: dict[int, StreamMemory] = {}
        self._hellos: deque[int] = deque()

    def take(self, messages: Sequence[Received], now_ms: int) -> Outcome:
        """``store`` what ``messages`` say."""
        return self.store([unpack(message, now_ms) for message in messages], now_ms)

    def store(self, parcels: Sequence[Parcel], now_ms: int) -> Outcome:
        """Store what gateways said; returns after the commit.

        Raises Retryable when the database is away: then nothing is acknowledged, and the same
        parcels may be given again.
        """
        self._hellos.extend(now_ms for parcel in parcels if isinstance(parcel, HelloParcel))
        while self._hellos and self._hellos[0] < now_ms - CROWD_WITHIN_MS:
            self._hellos.popleft()
        return self._store_all(parcels, now_ms)

    @property
    def _spread_ms(self) -> int:
        """Over how long the gateways that came of late shall spread what they have kept."""
        return min(max(0, len(self._hellos) - 1) * SPREAD_MS, LONGEST_SPREAD_MS)

    def _store_all(self, parcels: Sequence[Parcel], now_ms: int) -> Outcome:
        if not parcels:
            return Outcome()
        try:
            return self._commit(parcels, now_ms)
        except REFUSED as error:
            if len(parcels) > 1:
                events.warning("a group of messages was refused, now one by one: %s", error)
                parts = (self._store_all([parcel], now_ms) for parcel in parcels)
                return sum(parts, Outcome())
            return self._store_refused(parcels[0], str(error) or repr(error), now_ms)

    def _store_refused(self, parcel: Parcel, reason: str, now_ms: int) -> Outcome:
        """The one message that the database refuses: what can be saved of it."""
        if isinstance(parcel, BadParcel):
            events.error("a message on %s is lost: %s", parcel.source.topic[:300], reason)
            metrics.messages_dropped.inc()
            return Outcome()
        if not isinstance(parcel, BatchParcel):
            return self._store_all([BadParcel(parcel.source, reason)], now_ms)
        apart = split(parcel)
        if len(apart) == 1:
            return self._commit([rejecting(parcel, reason)], now_ms)
        parts = sum((self._store_all([one], now_ms) for one in apart), Outcome())
        # Taken again as a whole, all of it is a duplicate, and gets one ack that names it.
        whole = self._commit([parcel], now_ms)
        return whole + Outcome(issued=parts.issued, wake=parts.wake)

    def _commit(self, parcels: Sequence[Parcel], now_ms: int) -> Outcome:
        group = self._store.run(lambda uow: self._take_group(uow, parcels, now_ms))
        writer = group.writer
        books = writer.shelf.books
        self._streams.update({id_: book.remembered() for id_, book in books.items()})
        metrics.entries_committed.inc(writer.committed)
        metrics.entries_duplicate.inc(writer.duplicates)
        metrics.readings_stored.inc(writer.readings)
        metrics.entries_rejected.inc(writer.rejected)
        metrics.entries_lost.inc(writer.lost)
        metrics.messages_quarantined.inc(group.quarantined)
        metrics.commands_issued.inc(len(group.issued))
        return Outcome(
            tuple(group.publications), tuple(group.issued), bool(group.issued) or group.wake
        )

    def _take_group(self, uow: UnitOfWork, parcels: Sequence[Parcel], now_ms: int) -> "_Group":
        if uow.generation != self._generation:
            self._gateways, self._streams = {}, {}
            self._generation = uow.generation
        presence = Presence(uow, now_ms, self._gateways, register=self._register_gateways)
        known, strangers = presence.admit(parcels)
        group = _Group(JournalWriter(uow, now_ms), now_ms, self._spread_ms)
        for bad in strangers:
            group.quarantined += 1
            events.warning("%s: quarantined: %s", bad.source.topic[:300], bad.reason)
            uow.quarantine.add(
                bad.source.topic, bad.source.payload, bad.reason, bad.source.received_at_ms
            )
        if known:
            self._take_known(uow, presence, known, group, now_ms)
        return group

    def _take_known(
        self,
        uow: UnitOfWork,
        presence: Presence,
        parcels: Sequence[BatchParcel | HelloParcel | StatusParcel],
        group: "_Group",
        now_ms: int,
    ) -> None:
        gateways = presence.lock(parcels)
        names = {p.stream for p in parcels if isinstance(p, BatchParcel)}
        names |= {p.hello.stream for p in parcels if isinstance(p, HelloParcel)}
        names |= {p.status.stream for p in parcels if isinstance(p, StatusParcel)}
        rows = uow.ledger.streams([g.id for g in gateways.values()], sorted(names)) if names else []
        streams = {(row.gateway_id, row.stream): row for row in rows}
        for hello in (p for p in parcels if isinstance(p, HelloParcel)):
            gateway = gateways[hello.gateway]
            if why := refusal(uow, gateway, hello.hello, now_ms):
                group.refuse(hello, why)
                group.log.hello(gateway.id, hello, "refused")
                continue
            group.log.hello(gateway.id, hello, "taken")
            key = (gateway.id, hello.hello.stream)
            streams[key] = presence.greet(gateway, hello.hello, streams.get(key))
            group.resume(
                hello.gateway, hello.hello.stream, streams[key].committed, hello.hello.machine
            )
            group.wake |= uow.commands.hurry(gateway.id, now_ms)
        books: dict[tuple[int, str], StreamBook] = {}
        for batch in sorted((p for p in parcels if isinstance(p, BatchParcel)), key=by_stream):
            key = (gateways[batch.gateway].id, batch.stream)
            row = streams.get(key)
            if row is None:
                streams[key] = uow.ledger.add_stream(*key, now_ms)
                group.unheard.add(key)
            elif key not in books and key not in group.unheard:
                books[key] = group.writer.shelf.open(row, batch.gateway, self._streams.get(row.id))
            outcome = group.take(uow, books.get(key), batch)
            group.log.batch(key[0], batch, outcome)
        for book in books.values():
            # Met for the first time since the database was connected to or restored from a
            # backup: then the gateway may hold what is missing, and must be asked.
            if book.is_new_here and book.has_gap:
                group.resume(book.gateway, book.row.stream, book.committed)
        group.writer.write()
        if self._keep_messages:
            uow.messages.add(group.log.messages, self._message_numbers)
        if self._keep_telegrams:
            uow.telegrams.add(group.writer.telegrams)
        for status in (p for p in parcels if isinstance(p, StatusParcel)):
            gateway = gateways[status.gateway]
            known = streams.get((gateway.id, status.status.stream))
            presence.note_status(gateway, status.status, known)
        presence.note_seen([p for p in parcels if p not in group.refused], gateways)
        group.issued = apply_rules(uow, group.writer.sightings, now_ms)


class _Group:
    """What one transaction leaves behind. Begun anew when the transaction is tried again."""

    def __init__(self, writer: JournalWriter, now_ms: int, spread_ms: int) -> None:
        self.writer = writer
        self._now_ms = now_ms
        self._spread_ms = spread_ms
        self.publications: list[Publication] = []
        self.issued: list[str] = []
        self.unheard: set[tuple[int, str]] = set()
        self.quarantined = 0
        self.wake = False
        self.refused: list[HelloParcel] = []
        self.log = MessageLog()
        self._resumed: set[tuple[str, str]] = set()

    def take(self, uow: UnitOfWork, book: StreamBook | None, batch: BatchParcel) -> str:
        """Take a batch, and answer with an ack; or with a resume, when that must come first.

        Returns what became of the batch.
        """
        if book is None:
            self.resume(batch.gateway, batch.stream, RangeSet())
            return "not taken"
        before = self.writer.committed
        rejections = self.writer.take(book, batch)
        if rejections is None:
            self.resume(batch.gateway, batch.stream, book.committed)
            return "not taken"
        if batch.quarantine:
            self.quarantined += 1
            source = batch.source
            uow.quarantine.add(
                source.topic, source.payload, batch.quarantine, source.received_at_ms
            )
        room = REASONS_BYTES // max(1, len(rejections))
        named = [Rejection(one.seq, one.reason[: min(200, room // 8)]) for one in rejections]
        ack = Ack(batch.stream, batch.first, batch.last, named)
        self.publications.append(Publication(topics.down(batch.gateway, "ack"), encode(ack)))
        if rejections:
            return f"rejected {len(rejections)}"
        return "stored" if self.writer.committed > before or not batch.count else "duplicate"

    def resume(self, gateway: str, stream: str, committed: RangeSet, machine: str = "") -> None:
        """Tell the gateway once what is committed."""
        if (gateway, stream) not in self._resumed:
            self._resumed.add((gateway, stream))
            message = Resume(stream, list(committed), self._now_ms, self._spread_ms, machine)
            self._tell(gateway, message)

    def refuse(self, parcel: HelloParcel, why: str) -> None:
        """Tell the computer that said hello that it may not send."""
        self.refused.append(parcel)
        hello = parcel.hello
        self._tell(
            parcel.gateway,
            Resume(hello.stream, [], self._now_ms, machine=hello.machine, refused=why),
        )

    def _tell(self, gateway: str, message: Resume) -> None:
        self.publications.append(Publication(topics.down(gateway, "resume"), encode(message)))


def ingest(store: Store, messages: Sequence[Received], now_ms: int) -> Outcome:
    """``Ingest.take`` of somebody who comes only once."""
    return Ingest(store).take(messages, now_ms)
