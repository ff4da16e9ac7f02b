"""The journal: everything that the gateway has to say, in order, until the cloud has it.

Invariants, each with its test in ``tests/contract/test_journal_*.py``:

1. An entry, once appended, never changes; its number is never given to another entry.
2. When ``append`` or ``write`` returns, its entries survive ``kill -9`` and a power cut.
3. The entries kept are contiguous: all of ``first_kept`` .. ``next_seq - 1``, without a hole.
4. An entry is settled only by the cloud's word (or because it can never be sent). That
   survives ``kill -9``; what a power cut undoes is sent again.
5. An unsettled entry is never deleted. Deletion takes the oldest settled ones, and only those.
6. The newest catalogs, which together describe all devices, are always kept.
7. Whatever a ``resume`` does not name is queued again, if it is still kept.
8. A number that was never given cannot be settled; if the cloud says that it has such a number,
   the file is an old copy, and the journal takes a new identity and queues all that it keeps.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from common.clock import Clock
from common.ids import new_stream_id
from common.logs import events
from common.messages.batch import ClockQuality, Entry
from common.messages.uplink import Body, Catalog
from common.ranges import RangeSet
from edge_agent.store.database import Damaged, Database, StorageError

T = TypeVar("T")

PRUNED_AT_ONCE = 5000
"""Entries deleted in one transaction, so that nobody waits long for it."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something is appended: by the wall clock and what that is worth, and by ``boot``'s
    monotonic clock. Both times in milliseconds."""

    at: int
    boot: int
    mono: int
    clock: ClockQuality


class Transaction:
    """What a write function works with. Valid until that function returns.

    ``urgent`` may be set to False when what is appended can wait a little for what follows it.
    """

    def __init__(self, connection: sqlite3.Connection, stamp: Stamp) -> None:
        self.connection = connection
        self.stamp = stamp
        self.at = stamp.at
        self.entries: list[Entry] = []
        self.urgent = True
        self.catalogs: list[int] = []

    def append(self, *bodies: Body) -> tuple[int, int]:
        """Append one entry for each body (at least one); returns the first and last number."""
        first = 0
        stamp = (self.stamp.at, self.stamp.boot, self.stamp.mono, int(self.stamp.clock))
        for body in bodies:
            encoded = _encoder.encode(body)
            seq = self.connection.execute(
                "INSERT INTO entry (at, boot, mono, clock, body) VALUES (?, ?, ?, ?, ?)",
                (*stamp, encoded),
            ).lastrowid
            assert seq is not None  # noqa: S101  (an INSERT always has one)
            if isinstance(body, Catalog):
                self.connection.execute("INSERT INTO catalog (seq) VALUES (?)", (seq,))
                self.catalogs.append(seq)
            self.entries.append(Entry(seq, msgspec.Raw(encoded), *stamp))
            first = first or seq
        return first, self.entries[-1].seq

    def is_settled(self, seq: int) -> bool:
        """Whether the cloud has dealt with the entry."""
        return _settled_up_to(self.connection, seq) is not None


class Journal:
    """One stream of entries in a ``Database``. Open it with ``Journal.open``.

    ``on_appended`` is called in the event loop after each commit, with the new entries and
    whether they are urgent. ``quality`` says what the clock is worth.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._settled = RangeSet()
        self._catalogs: list[int] = []
        self._rejected = 0
        self.stream = ""
        self.boot = 0
        self.first_kept = 1
        self.next_seq = 1
        self.on_appended: Callable[[list[Entry], bool], None] | None = None
        self.quality: Callable[[], ClockQuality] = lambda: ClockQuality.FREE

    @classmethod
    async def open(cls, database: Database, clock: Clock) -> "Journal":
        """The journal in the file; born there if it is new. Counts one more boot.

        On a full disk the boot is counted in memory only. Raises StorageError when the file
        cannot be read, or is new and cannot be written.
        """
        journal = cls(database, clock)
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
            transaction = Transaction(connection, stamp)
            transactions.append(transaction)
            return work(transaction)

        def done(result: T) -> None:
            self._appended(transactions[0])
            if then:
                then(result)

        return self._database.write(run, done)

    def _stamp(self) -> Stamp:
        mono = round(self._clock.monotonic() * 1000)
        return Stamp(self._clock.now_ms(), self.boot, mono, self.quality())

    def append(self, *bodies: Body) -> "asyncio.Future[tuple[int, int]]":
        """Append one entry for each body; returns the first and last number. As ``write``."""
        return self.write(lambda transaction: transaction.append(*bodies))

    def _appended(self, transaction: Transaction) -> None:
        if transaction.entries:
            self.next_seq = transaction.entries[-1].seq + 1
            self._catalogs += transaction.catalogs
            if self.on_appended:
                self.on_appended(transaction.entries, transaction.urgent)

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
            _settle(connection, first, last)
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

        return self._database.write(run, then, lazy=True)

    async def resume(self, stream: str, committed: Iterable[tuple[int, int]]) -> bool:
        """Exactly these ranges are settled, and all else that is kept is queued again.

        False when it is about another stream, or when this journal had to take a new identity
        (invariant 8): say hello again then.
        """
        ranges = RangeSet(committed)

        def run(connection: sqlite3.Connection) -> str | None:
            if stream != self.stream:
                return None
            overtaken = ranges.last() >= self.next_seq
            kept = RangeSet() if overtaken else ranges
            connection.execute("DELETE FROM settled")
            connection.executemany("INSERT INTO settled (first, last) VALUES (?, ?)", list(kept))
            if overtaken:
                _put(connection, "stream", new_stream_id())
            return _get(connection, "stream")

        def then(now: str | None) -> None:
            if now is None:
                return
            self._settled = ranges.copy() if now == stream else RangeSet()
            if now != stream:
                events.warning("journal: the cloud has more than this file: new stream %s", now)
                self.stream = now

        return await self._database.write(run, then) == stream

    # What is there

    def unsettled(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges within first..last that are kept and not settled, in order."""
        return self._settled.missing(max(first, self.first_kept), min(last, self.next_seq - 1))

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

    async def oldest_at(self) -> int | None:
        """When the oldest entry that the cloud lacks was appended, if that is known."""
        ranges = self.unsettled(1, self.next_seq - 1)
        if not ranges:
            return None
        row = await self._database.write(
            lambda connection: connection.execute(
                "SELECT at FROM dated WHERE seq = ?", (ranges[0][0],)
            ).fetchone(),
            lazy=True,
        )
        return row[0] if row else None

    async def read(self, first: int, last: int, entries: int, size: int) -> list[Entry]:
        """The entries from ``first`` on, not beyond ``last``: at most ``entries`` of them.

        They stay below ``size`` bytes together, but one is given whatever its size.
        """

        def run(connection: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            total = 0
            rows = connection.execute(
                "SELECT seq, body, at, boot, mono, clock FROM entry"
                " WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
                (first, last, entries),
            )
            for seq, body, *stamp in rows:
                total += len(body)
                if found and total > size:
                    break
                found.append(Entry(seq, msgspec.Raw(body), *stamp))
            return found

        return await self._database.write(run, lazy=True)

    # Growing old

    async def prune(self, before_ms: int) -> int:
        """Delete settled entries that were appended before ``before_ms``; returns how many.

        When the newest catalogs would go, they are first appended again (invariants 3 and 6).
        """
        deleted = 0
        while some := await self.write(partial(_prune, before_ms=before_ms), self._pruned):
            deleted += some[1] - some[0]
        return deleted

    def _pruned(self, deleted: tuple[int, int] | None) -> None:
        if deleted:
            self.first_kept = deleted[1]
            self._catalogs = [seq for seq in self._catalogs if seq >= self.first_kept]

    def _load(self, connection: sqlite3.Connection) -> None:
        stream = _get(connection, "stream")
        if stream is None:
            stream = new_stream_id()
            _put(connection, "stream", stream)
        self.stream = stream
        self.boot = int(_get(connection, "boot") or 0) + 1
        for first, last in connection.execute("SELECT first, last FROM settled"):
            self._settled.add(first, last)
        self._catalogs = [seq for (seq,) in connection.execute("SELECT seq FROM catalog")]
        (self._rejected,) = connection.execute("SELECT count(*) FROM rejected").fetchone()
        given = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entry'")
        self.next_seq = (given.fetchone() or (0,))[0] + 1
        (first,) = connection.execute("SELECT min(seq) FROM entry").fetchone()
        self.first_kept = self.next_seq if first is None else first

    def _count_boot(self, connection: sqlite3.Connection) -> None:
        _put(connection, "boot", str(self.boot))


def _prune(transaction: Transaction, before_ms: int) -> tuple[int, int] | None:
    """Delete the oldest entries if they may go: (first of them, first kept); None if none may.

    What may go is looked up here, in the transaction: a resume may have come just before.
    """
    connection = transaction.connection
    (first,) = connection.execute("SELECT min(seq) FROM entry").fetchone()
    settled = _settled_up_to(connection, first)
    if settled is None:
        return None
    bound = min(settled + 1, first + PRUNED_AT_ONCE)
    (young,) = connection.execute(
        "SELECT min(seq) FROM dated WHERE seq >= ? AND seq < ? AND coalesce(at, ?) >= ?",
        (first, bound, before_ms, before_ms),
    ).fetchone()
    bound = bound if young is None else young
    if bound == first:
        return None
    newest = latest_catalogs(connection)
    if newest and newest[0][0] < bound:
        transaction.append(*(catalog for _, catalog in newest))
    for table in ("entry", "catalog", "rejected"):
        connection.execute(f"DELETE FROM {table} WHERE seq < ?", (bound,))  # noqa: S608
    return first, bound


def latest_catalogs(connection: sqlite3.Connection) -> list[tuple[int, Catalog]]:
    """The newest catalogs that together describe all devices, in order, with their numbers."""
    found: list[tuple[int, Catalog]] = []
    described: set[str] = set()
    rows = connection.execute(
        "SELECT seq, body FROM entry WHERE seq IN (SELECT seq FROM catalog) ORDER BY seq DESC"
    )
    for seq, body in rows:
        catalog = msgspec.json.decode(body, type=Catalog)
        own = {device.key for device in catalog.devices}
        if found and not own <= set(found[-1][1].others) - described:
            break
        found.insert(0, (seq, catalog))
        described |= own
        if described.issuperset(found[-1][1].others):
            break
    return found


def _settled_up_to(connection: sqlite3.Connection, seq: int) -> int | None:
    """The end of the settled range in which ``seq`` is; None when it is not settled."""
    row = connection.execute(
        "SELECT last FROM settled WHERE first <= ? AND last >= ?", (seq, seq)
    ).fetchone()
    return int(row[0]) if row else None


def _settle(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Merge first..last into the ranges in the table."""
    touching = (last + 1, first - 1)
    low, high = connection.execute(
        "SELECT min(first), max(last) FROM settled WHERE first <= ? AND last >= ?", touching
    ).fetchone()
    connection.execute("DELETE FROM settled WHERE first <= ? AND last >= ?", touching)
    connection.execute(
        "INSERT INTO settled (first, last) VALUES (?, ?)",
        (min(first, low or first), max(last, high or last)),
    )


def _get(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def _put(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
