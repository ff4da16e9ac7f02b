"""Takes what can be read out of a damaged data file, and queues it in the journal.

Where SQLite cannot read on, it is asked for one number after the other until it can again: a page
that is damaged costs the entries on it, and no others. Entries that were settled there are left
out, as far as the file still knows it; what the cloud has all the same, it takes once. What was
appended before the time was known is dated by the file's own fixes, as it was to be sent.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from common.errors import Permanent, Undecodable
from common.messages.batch import Entry
from common.messages.uplink import Salvaged, decode_body
from common.ranges import RangeSet
from edge_agent.store.clock_fixes import fixes_by_boot
from edge_agent.store.database import read_only
from edge_agent.store.journal import Journal
from edge_agent.store.rebase import Fix, rebase
from edge_agent.store.tables import LAST, get, load_ranges
from edge_agent.store.tail import COLUMNS, Row, Transaction, entry_of

PATIENCE = 10_000
"""So many numbers that cannot be read are tried one by one."""

AT_ONCE = 500
"""Entries that are read, and queued, at a time."""

FROM = f"SELECT {COLUMNS} FROM entry WHERE seq BETWEEN ? AND ?"  # noqa: S608

SALVAGED = b'{"k":"salvaged",'


class NothingToSalvage(Permanent):
    """The file does not tell whose entries it holds, or is no data file at all."""


@dataclass(slots=True)
class Haul:
    """Of ``stream``: so many entries were ``queued``; so many were ``known``, since they had been
    salvaged before; ``unread`` are the numbers between the others that cannot be read."""

    stream: str
    queued: int = 0
    known: int = 0
    unread: RangeSet = field(default_factory=RangeSet)


class Wreck:
    """A damaged file, read as far as that goes. Raises NothingToSalvage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unread = RangeSet()
        try:
            with closing(read_only(path)) as connection:
                stream = get(connection, "stream")
        except sqlite3.Error as error:
            raise NothingToSalvage(f"{path}: its stream cannot be read: {error}") from error
        if stream is None:
            raise NothingToSalvage(f"{path}: holds no journal")
        self.stream = stream

    def entries(self) -> Iterator[list[Entry]]:
        """All entries that can be read and were not settled, in order, as they were to be sent."""
        with closing(read_only(self.path)) as connection:
            try:
                settled = load_ranges(connection, "settled")
            except sqlite3.Error:
                settled = RangeSet()
            fixes = _fixes(connection)
            for first, last in settled.missing(1, LAST):
                for rows in self._range(connection, first, last):
                    entries = map(entry_of, rows)
                    yield [rebase(entry, fixes.get(entry.boot)) for entry in entries]

    def _range(self, connection: sqlite3.Connection, first: int, last: int) -> Iterator[list[Row]]:
        """first..last, as far as it can be read."""
        while first <= last:
            found: list[Row] = []
            whole = True
            try:
                for row in connection.execute(f"{FROM} ORDER BY seq", (first, last)):
                    found.append(row)
                    if len(found) == AT_ONCE:
                        yield found
                        first = row[0] + 1
                        found = []
            except sqlite3.Error:
                whole = False
            if found:
                yield found
                first = found[-1][0] + 1
            if whole:
                return
            try:
                # What follows the last row was looked for before that row was given.
                row = connection.execute(f"{FROM} ORDER BY seq LIMIT 1", (first, last)).fetchone()
            except sqlite3.Error:
                after = _next_readable(connection, first + 1, last)
                if after <= LAST:
                    self.unread.add(first, after - 1)
                first = after
            else:
                if row is None:
                    return
                yield [row]
                first = row[0] + 1


def _fixes(connection: sqlite3.Connection) -> dict[int, Fix]:
    """Without those that cannot be read, entries go as they are."""
    try:
        return fixes_by_boot(connection)
    except (sqlite3.Error, ValueError):
        return {}


def _next_readable(connection: sqlite3.Connection, first: int, last: int) -> int:
    """The lowest number from ``first`` on at which the file can be read again; else last + 1.

    Step by step, which misses nothing; after so many in vain, in ever greater steps.
    """
    tried, step = 0, 1
    while first <= last:
        try:
            connection.execute(
                "SELECT seq FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1", (first,)
            ).fetchone()
        except sqlite3.Error:
            tried += 1
            step = step * 2 if tried > PATIENCE else 1
            first += step
        else:
            return first
    return last + 1


async def salvage(journal: Journal, path: Path) -> Haul:
    """Queue what ``path`` still holds, each entry once however often this is called.

    Raises NothingToSalvage, and StorageError when the journal cannot be written.
    """
    wreck = await asyncio.to_thread(Wreck, path)
    haul = Haul(wreck.stream)
    if wreck.stream == journal.stream:
        raise NothingToSalvage(f"{path}: is a copy of the journal that is in use")
    entries = wreck.entries()
    while some := await asyncio.to_thread(next, entries, None):
        queued = await journal.write(partial(_queue, stream=wreck.stream, entries=some))
        haul.queued += queued
        haul.known += len(some) - queued
    haul.unread = wreck.unread
    return haul


def _queue(transaction: Transaction, stream: str, entries: list[Entry]) -> int:
    """Append those that were not salvaged before; returns how many."""
    connection = transaction.connection
    known = RangeSet(
        connection.execute("SELECT first, last FROM salvaged WHERE stream = ?", (stream,))
    )
    new = [one for one in entries if one.seq not in known and _is_whole(one.body)]
    bodies = [_as_salvaged(transaction.at, stream, one.seq, bytes(one.body)) for one in new]
    if bodies:
        transaction.append(*bodies)
    for one in new:
        known.add(one.seq, one.seq)
    connection.execute("DELETE FROM salvaged WHERE stream = ?", (stream,))
    connection.executemany(
        "INSERT INTO salvaged (stream, first, last) VALUES (?, ?, ?)",
        [(stream, first, last) for first, last in known],
    )
    return len(new)


def _is_whole(body: msgspec.Raw) -> bool:
    try:
        decode_body(body)
    except Undecodable:
        return False
    return True


def _as_salvaged(at: int, stream: str, seq: int, body: bytes) -> Salvaged:
    """What had been salvaged itself keeps its first name."""
    if body.startswith(SALVAGED):
        return msgspec.json.decode(body, type=Salvaged)
    return Salvaged(at, stream, seq, msgspec.Raw(body))
