"""The journal's end, where its numbers are given. Everything here runs in the writing thread."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
from msgspec import Raw

from common.messages.batch import ClockQuality, Entry
from common.messages.uplink import Body, Catalog
from edge_agent.store.tables import is_in, lose, next_number

READINGS = b'{"k":"readings",'
"""So begins the body of an entry that holds readings."""

TELEGRAM = b'{"k":"telegram",'

MEASURED = (READINGS, TELEGRAM)
"""What is not taken any more when the journal is full."""

DROP_NEWEST = "quota: drop_newest"

AT_ONCE = (64, 16, 4, 1)
"""Rows in one statement. One step of SQLite's each, and one time that Python's lock is given away:
to the event loop, which keeps it for as long as it has something to do."""

_INSERTS = {
    count: f"INSERT INTO entry VALUES {', '.join(['(?, ?, ?, ?, ?, ?)'] * count)}"  # noqa: S608
    for count in AT_ONCE
}

_encoder = msgspec.json.Encoder()


class Stamp(NamedTuple):
    """When something is appended: by the wall clock and what that is worth, and by ``boot``'s
    monotonic clock. Both times in milliseconds."""

    at: int
    boot: int
    mono: int
    clock: ClockQuality


Row = tuple[int, int, int, int, int, bytes]
"""An entry as the table has it: its number, its stamp, its body."""

COLUMNS = "seq, at, boot, mono, clock, body"
"""The columns of a Row."""


def entry_of(row: Row) -> Entry:
    """The entry of a row."""
    seq, at, boot, mono, clock, body = row
    return Entry(seq, Raw(body), at, boot, mono, clock)


class Added(NamedTuple):
    """What was appended: the numbers first..last, and the rows that are kept of them."""

    first: int
    last: int
    rows: list[Row]

    @property
    def entries(self) -> list[Entry]:
        """What is kept."""
        return [entry_of(row) for row in self.rows]

    @property
    def size(self) -> int:
        """How many bytes the bodies have."""
        return sum(len(row[5]) for row in self.rows)


def encode_bodies(bodies: Sequence[Body]) -> list[bytes]:
    return [_encoder.encode(body) for body in bodies]


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write entries."""
    done = 0
    for count in AT_ONCE:
        while len(rows) - done >= count:
            some = rows[done : done + count]
            connection.execute(_INSERTS[count], list(chain.from_iterable(some)))
            done += count


class Tail:
    """Gives numbers, and holds entries until they are written together. The database's ``pending``.

    ``full``: no more readings and telegrams are kept; their numbers are given and lost.
    """

    def __init__(self) -> None:
        self.full = False
        self._next: int | None = None
        self._rows: list[Row] = []
        self._lost: list[tuple[int, int]] = []

    def add(self, connection: sqlite3.Connection, stamp: Stamp, bodies: Sequence[bytes]) -> Added:
        """Give the bodies numbers. They are written by the next ``flush``."""
        if self._next is None:
            self._next = next_number(connection)
        first = self._next
        self._next = end = first + len(bodies)
        numbered = list(enumerate(bodies, first))
        if self.full:
            self._lost += [(seq, stamp.at) for seq, body in numbered if body.startswith(MEASURED)]
            numbered = [(seq, body) for seq, body in numbered if not body.startswith(MEASURED)]
        at, boot, mono, clock = stamp
        rows: list[Row] = [(seq, at, boot, mono, clock, body) for seq, body in numbered]
        self._rows += rows
        return Added(first, end - 1, rows)

    def flush(self, connection: sqlite3.Connection) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            insert(connection, rows)
        if self._lost:
            lost, self._lost = self._lost, []
            for seq, at in lost:
                lose(connection, seq, seq, DROP_NEWEST, at)

    def forget(self) -> None:
        self._next = None
        self._rows.clear()
        self._lost.clear()


class Transaction:
    """What a write function works with. Valid until that function returns.

    ``urgent`` may be set to False when what is appended can wait a little for what follows it.
    """

    def __init__(self, connection: sqlite3.Connection, stamp: Stamp, tail: Tail) -> None:
        self.connection = connection
        self.stamp = stamp
        self.at = stamp.at
        self.added: Added | None = None
        self.urgent = True
        self.catalogs: list[int] = []
        self._tail = tail

    def append(self, *bodies: Body) -> tuple[int, int]:
        """Append one entry for each body (at least one); returns the first and last number."""
        added = self._tail.add(self.connection, self.stamp, encode_bodies(bodies))
        self._tail.flush(self.connection)
        for seq, body in enumerate(bodies, added.first):
            if isinstance(body, Catalog):
                self.connection.execute("INSERT INTO catalog (seq) VALUES (?)", (seq,))
                self.catalogs.append(seq)
        if self.added:
            self.added = Added(self.added.first, added.last, self.added.rows + added.rows)
        else:
            self.added = added
        return added.first, added.last

    def is_settled(self, seq: int) -> bool:
        """Whether the cloud has dealt with the entry."""
        return is_in(self.connection, "settled", seq)
