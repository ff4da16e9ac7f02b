"""A part of the journal without a hole, as it is sent."""

import sqlite3
from collections import deque
from dataclasses import dataclass

from common.messages.batch import Entry, Lost
from edge_agent.store.tables import lost_within
from edge_agent.store.tail import COLUMNS, entry_of


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the journal without a hole: entries and lost ranges, together all of
    first..last, each list in order. Nothing at all: both are empty."""

    entries: list[Entry]
    lost: list[Lost]

    @property
    def first(self) -> int:
        """The lowest number; 0 when there is none."""
        ends = [one.seq for one in self.entries[:1]] + [one.first for one in self.lost[:1]]
        return min(ends, default=0)

    @property
    def last(self) -> int:
        """The highest number; 0 when there is none."""
        ends = [one.seq for one in self.entries[-1:]] + [one.last for one in self.lost[-1:]]
        return max(ends, default=0)


def read_chunk(
    connection: sqlite3.Connection, first: int, last: int, entries: int, size: int
) -> Chunk:
    """As ``Journal.read``: it ends where a number is neither kept nor lost."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM entry"  # noqa: S608
        " WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
        (first, last, entries),
    )
    lost = deque(lost_within(connection, first, last, entries))
    chunk = Chunk([], [])
    total = 0
    row = rows.fetchone()
    position = None
    while (row or lost) and len(chunk.entries) + len(chunk.lost) < entries:
        if lost and (row is None or lost[0][0] < row[0]):
            one, other, reason, _ = lost.popleft()
            one, other = max(one, first), min(other, last)
            if position not in (None, one) or total > size:
                break
            chunk.lost.append(Lost(one, other, reason))
            position = other + 1
            continue
        seq = row[0]
        total += len(row[5])
        if position not in (None, seq) or (position is not None and total > size):
            break
        chunk.entries.append(entry_of(row))
        position = seq + 1
        row = rows.fetchone()
    return chunk
