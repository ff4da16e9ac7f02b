"""The journal: everything that the gateway has to say, in order, until the cloud has it.

Invariants, each with tests in ``tests/contract/test_journal_*.py`` that are named after what must
not happen:

1. An entry, once appended, never changes; its number is never given to another entry.
2. When ``append`` or ``write`` returns, its entries survive ``kill -9`` and a power cut.
3. Every number that was given is kept, or lost for a reason that is written down, or gone: deleted
   when the cloud had it. It is one of the three, never two, never none.
4. A number, kept or lost, is settled only by the cloud's word (or because it can never be sent).
   That survives ``kill -9``; what a power cut undoes is sent again.
5. What the cloud lacks is deleted only by the overflow's policy, and only together with the record
   of its loss. Deletion else takes settled entries, the oldest first.
6. The newest catalogs, which together describe all devices, are always kept. No policy gives up a
   catalog that the cloud lacks, nor what became of a command.
7. Whatever a ``resume`` does not name is queued again if it is kept or lost; if it is gone, it is
   lost from then on, so that the cloud is told of it.
8. A number that was never given cannot be settled. If the cloud has one that was never sent from
   here, the file is an old copy, and is renewed as on another computer: a new stream, in which
   nothing is said again that the cloud has. What was given after the last boot that heard the
   cloud is the file's own and queued, whatever the cloud has under its numbers.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from common.clock import Clock
from common.ids import new_stream_id
from common.logs import events
from common.messages.batch import ClockQuality
from common.messages.uplink import Body, Catalog
from common.ranges import RangeSet
from edge_agent.store import renewal
from edge_agent.store.appends import Appends
from edge_agent.store.chunk import Chunk, read_chunk
from edge_agent.store.database import Damaged, Database, StorageError
from edge_agent.store.figures import Figures, figures, oldest_at
from edge_agent.store.shedding import EVER, Step, settled_before
from edge_agent.store.tables import (
    LAST,
    add_range,
    count_lost,
    get,
    load_ranges,
    lose_gone,
    next_number,
    put,
    store_ranges,
    used_bytes,
)
from edge_agent.store.tail import Added, Stamp, Tail, Transaction, encode_bodies

T = TypeVar("T")

LOOKS = 256
"""The journal's size is looked at so often while it grows by its quota, and at least each
LOOK_BYTES_LEAST."""

LOOK_BYTES_LEAST = 65_536


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long settled entries stay, how many bytes all may take, and what goes when they do not
    suffice. ``thin``: so many readings of a register become one. ``telegrams``: some exist."""

    days: int = 30
    size: int = 2_000_000_000
    overflow: Literal["drop_oldest", "drop_newest", "thin"] = "drop_oldest"
    thin: int = 10
    telegrams: bool = False


class Journal:
    """One stream of entries in a ``Database``. Open it with ``Journal.open``.

    ``on_appended`` is called in the event loop after each commit, with what is new and
    whether that is urgent; ``on_lost`` when numbers were given to readings that are not kept.
    ``grown`` is set when it is time for ``Retention.make_room``. ``entries`` are kept, ``lost``
    numbers are given up. ``quality`` says what the clock is worth.
    """

    def __init__(self, database: Database, clock: Clock, keeping: Keeping | None = None) -> None:
        self.keeping = keeping or Keeping()
        self.tail = Tail()
        self.grown = asyncio.Event()
        self._database = database
        self._database.pending = self.tail
        self._clock = clock
        self._look_bytes = max(LOOK_BYTES_LEAST, self.keeping.size // LOOKS)
        self._grown_bytes = 0
        self._settled = RangeSet()
        self._catalogs: list[int] = []
        self._rejected = 0
        self.stream = ""
        self.boot = 0
        self.next_seq = 1
        self.entries = 0
        self.lost = 0
        self.overflowing = False
        self._first_entry = 1
        self._own_from = 1
        self._heard = False
        self._renewing = False
        self.on_appended: Callable[[Added, bool], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.quality: Callable[[], ClockQuality] = lambda: ClockQuality.FREE

    @classmethod
    async def open(
        cls, database: Database, clock: Clock, keeping: Keeping | None = None
    ) -> "Journal":
        """The journal in the file; born there if it is new. Counts one more boot.

        On a full disk the boot is counted in memory only. Raises StorageError when the file
        cannot be read, or is new and cannot be written.
        """
        journal = cls(database, clock, keeping)
        await database.write(journal._load, lazy=True)
        try:
            await database.write(journal._count_boot)
        except Damaged:
            raise
        except StorageError as error:
            events.error("journal: boot %d is not written down: %s", journal.boot, error)
        return journal

    # Appending

    def write(
        self, work: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> "asyncio.Future[T]":
        """Run ``work`` in one transaction: entries and other state are kept together or not at all.

        Raises what ``work`` raises, or StorageError; then nothing is kept. ``then`` is as in
        ``Database.write``.
        """
        transactions: list[Transaction] = []
        stamp = self._stamp()

        def run(connection: sqlite3.Connection) -> T:
            transaction = Transaction(connection, stamp, self.tail)
            transactions.append(transaction)
            return work(transaction)

        def done(result: T) -> None:
            transaction = transactions[0]
            if transaction.added:
                self._catalogs += transaction.catalogs
                self._added(transaction.added, transaction.urgent)
            if then:
                then(result)

        return self._database.write(run, done)

    def append(self, *bodies: Body) -> "asyncio.Future[tuple[int, int]]":
        """Append one entry for each body; returns the first and last number. As ``write``.

        What is appended in one turn of the event loop, with nothing else written between, has one
        stamp.
        """
        for body in bodies:
            if isinstance(body, Catalog):
                return self.write(lambda transaction: transaction.append(*bodies))
        encoded = encode_bodies(bodies)
        with self._database.gate:
            last = self._database.last
            if isinstance(last, Appends):
                return last.add(encoded)
            appends = Appends(self.tail, self._stamp(), self._added)
            future = appends.add(encoded)
            self._database.put(appends)
            return future

    def _stamp(self) -> Stamp:
        mono = round(self._clock.monotonic() * 1000)
        return Stamp(self._clock.now_ms(), self.boot, mono, self.quality())

    def _added(self, added: Added, urgent: bool = True) -> None:
        self.next_seq = added.last + 1
        lost = added.last - added.first + 1 - len(added.rows)
        self.entries += len(added.rows)
        self.lost += lost
        self._grown_bytes += added.size
        if self._grown_bytes >= self._look_bytes:
            self._grown_bytes = 0
            self.grown.set()
        if added.rows and self.on_appended:
            self.on_appended(added, urgent)
        if lost and self.on_lost:
            self.on_lost()

    # Settling

    def settle(
        self, stream: str, first: int, last: int, rejected: Sequence[tuple[int, str]] = ()
    ) -> "asyncio.Future[bool]":
        """The entries first..last are dealt with; those in ``rejected`` can never be stored.

        Lazy: what a power cut undoes, the next resume says again.

        False when it is not about entries of this stream that exist: then nothing changes.
        """
        added: list[int] = []

        def run(connection: sqlite3.Connection) -> bool:
            if stream != self.stream or not 1 <= first <= last < self.next_seq:
                return False
            add_range(connection, "settled", first, last)
            before = connection.total_changes
            connection.executemany(
                "INSERT INTO rejected (seq, reason) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(seq, reason) for seq, reason in rejected if first <= seq <= last],
            )
            added.append(connection.total_changes - before)
            return True

        def then(known: bool) -> None:
            if known:
                self._settled.add(first, last)
                self._rejected += added[0]
                if self.overflowing:
                    self.grown.set()

        return self._database.write(run, then, lazy=True)

    async def resume(self, stream: str, committed: Iterable[tuple[int, int]]) -> bool:
        """Exactly these ranges are settled, and all else that is kept or lost is queued again.
        What is gone is lost from now on.

        False when it is about another stream, or when this journal had to be renewed
        (invariant 8): say hello again then.
        """
        await self._end_renewal()
        ranges = RangeSet(committed)
        at = self._clock.now_ms()
        reason = f"deleted after it was committed (kept {self.keeping.days} days)"
        lost = 0

        def run(connection: sqlite3.Connection) -> str | None:
            nonlocal lost
            if stream != self.stream:
                return None
            overtaken = ranges.last() >= (self.next_seq if self._heard else self._own_from)
            if overtaken:
                ranges.remove(self._own_from, LAST)
            store_ranges(connection, "settled", ranges)
            lost = lose_gone(connection, ranges, reason, at)
            put(connection, "own_from", None)
            return renewal.begin(connection, ranges) if overtaken else stream

        def then(now: str | None) -> None:
            if now is None:
                return
            self.lost += lost
            self._heard = True
            self._settled = ranges
            if now != stream:
                events.warning("journal: the cloud has more than this file: new stream %s", now)
                self.stream, self._renewing = now, True

        now = await self._database.write(run, then)
        await self._end_renewal()
        return now == stream

    async def renew(self, machine: str) -> None:
        """Go on as a new stream on ``machine``, without what is settled."""
        known = self._settled.copy()

        def run(connection: sqlite3.Connection) -> str:
            put(connection, "machine", machine)
            return renewal.begin(connection, known)

        def then(stream: str) -> None:
            self.stream, self._renewing = stream, True
            self._settled = known

        await self._database.write(run, then)
        await self._end_renewal()

    async def _end_renewal(self) -> None:
        """Have done with one that is under way, here or since before a crash."""
        if not self._renewing:
            return
        position: int | None = 1
        while position is not None:
            way = partial(settled_before, position=position, before_ms=EVER)
            step = await self.shed(way)
            position = step.next if step else None
        at = self._clock.now_ms()

        def then(lost: int) -> None:
            self.lost += lost
            self._settled, self._renewing = RangeSet(), False

        await self._database.write(lambda one: renewal.end(one, at), then)

    # What is there

    @property
    def first_kept(self) -> int:
        """The lowest number that is kept, or whose loss the cloud does not know yet."""
        return min(
            [self._first_entry] + [first for first, _ in self.unsettled(1, self.next_seq)[:1]]
        )

    def unsettled(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges within first..last that are kept or lost, and not settled, in order."""
        return self._settled.missing(max(first, 1), min(last, self.next_seq - 1))

    def unsettled_catalogs(self) -> list[int]:
        """The catalog entries that the cloud lacks, in order."""
        return [seq for seq in self._catalogs if seq not in self._settled]

    def queued(self) -> int:
        """How many entries the cloud lacks."""
        return sum(last - first + 1 for first, last in self.unsettled(1, self.next_seq - 1))

    @property
    def rejected(self) -> int:
        """How many entries could never be stored by the cloud."""
        return self._rejected

    def size(self) -> int:
        """Bytes on disk."""
        return self._database.size()

    async def used(self) -> int:
        """Bytes of the file that are in use."""
        return await self._database.write(used_bytes, lazy=True)

    async def figures(self) -> Figures:
        """How full it is."""
        path, quota = self._database.path, self.keeping.size
        return await self._database.write(lambda one: figures(one, quota, path), lazy=True)

    async def oldest_at(self) -> int | None:
        """When the oldest entry that the cloud lacks was appended, if that is known."""
        ranges = self.unsettled(1, self.next_seq - 1)
        return await self._database.write(lambda one: oldest_at(one, ranges), lazy=True)

    async def read(self, first: int, last: int, entries: int, size: int) -> Chunk:
        """What is kept and lost from ``first`` on, not beyond ``last``: at most ``entries`` of it.

        Entries stay below ``size`` bytes together, but one is given whatever its size.
        """
        return await self._database.write(
            lambda connection: read_chunk(connection, first, last, entries, size), lazy=True
        )

    # Growing old

    async def shed(self, way: Callable[[Transaction], Step | None]) -> Step | None:
        """Let entries go, as ``way`` does. For ``Retention``."""

        def run(transaction: Transaction) -> tuple[Step, int | None, list[int]] | None:
            step = way(transaction)
            if step is None:
                return None
            one = transaction.connection
            (first,) = one.execute("SELECT min(seq) FROM entry").fetchone()
            return step, first, [seq for (seq,) in one.execute("SELECT seq FROM catalog")]

        def then(done: tuple[Step, int | None, list[int]] | None) -> None:
            if done:
                step, first, self._catalogs = done
                self._first_entry = self.next_seq if first is None else first
                self.entries -= step.deleted
                self.lost += step.lost
                self.overflowing |= step.overflows

        done = await self.write(run, then)
        return done[0] if done else None

    def _load(self, connection: sqlite3.Connection) -> None:
        stream = get(connection, "stream")
        if stream is None:
            stream = new_stream_id()
            put(connection, "stream", stream)
        self.stream = stream
        self._renewing = renewal.is_under_way(connection)
        self.boot = int(get(connection, "boot") or 0) + 1
        self._settled = load_ranges(connection, "settled")
        self._catalogs = [seq for (seq,) in connection.execute("SELECT seq FROM catalog")]
        (self._rejected,) = connection.execute("SELECT count(*) FROM rejected").fetchone()
        self.overflowing = get(connection, "overflow") is not None
        self.next_seq = next_number(connection)
        self._own_from = int(get(connection, "own_from") or self.next_seq)
        self.lost = count_lost(connection)
        self.entries = self.next_seq - 1 - self.lost - load_ranges(connection, "gone").count()
        (first,) = connection.execute("SELECT min(seq) FROM entry").fetchone()
        self._first_entry = self.next_seq if first is None else first

    def _count_boot(self, connection: sqlite3.Connection) -> None:
        put(connection, "boot", str(self.boot))
        put(connection, "own_from", str(self._own_from))
