"""What the journal keeps beside its entries: ranges of numbers, and a few words."""

import sqlite3
from collections.abc import Iterable
from typing import Literal

import msgspec

from common.messages.uplink import Catalog
from common.ranges import RangeSet

Ranges = Literal["settled", "gone"]

LAST = 2**62
"""No entry has a greater number."""


def next_number(connection: sqlite3.Connection) -> int:
    """One more than the greatest number that was ever given: it is kept, lost, or gone."""
    ends = (
        "SELECT max(seq) FROM entry",
        "SELECT last FROM (SELECT last FROM lost ORDER BY first DESC LIMIT 1)",
        "SELECT last FROM (SELECT last FROM gone ORDER BY first DESC LIMIT 1)",
    )
    rows = [connection.execute(end).fetchone() for end in ends]
    return max(row[0] or 0 if row else 0 for row in rows) + 1


def load_ranges(connection: sqlite3.Connection, table: Ranges) -> RangeSet:
    """The whole set."""
    return RangeSet(connection.execute(f"SELECT first, last FROM {table}"))  # noqa: S608


def store_ranges(
    connection: sqlite3.Connection, table: Ranges, ranges: Iterable[tuple[int, int]]
) -> None:
    """Put ``ranges`` in the place of what is there."""
    connection.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.executemany(f"INSERT INTO {table} (first, last) VALUES (?, ?)", ranges)  # noqa: S608


def add_range(connection: sqlite3.Connection, table: Ranges, first: int, last: int) -> None:
    """Merge first..last into the set."""
    touching = (last + 1, first - 1)
    low, high = connection.execute(
        f"SELECT min(first), max(last) FROM {table} WHERE first <= ? AND last >= ?",  # noqa: S608
        touching,
    ).fetchone()
    connection.execute(f"DELETE FROM {table} WHERE first <= ? AND last >= ?", touching)  # noqa: S608
    connection.execute(
        f"INSERT INTO {table} (first, last) VALUES (?, ?)",  # noqa: S608
        (min(first, low or first), max(last, high or last)),
    )


def is_in(connection: sqlite3.Connection, table: Ranges, seq: int) -> bool:
    """Whether the number is in the set."""
    row = connection.execute(
        f"SELECT last FROM {table} WHERE first <= ? ORDER BY first DESC LIMIT 1",  # noqa: S608
        (seq,),
    ).fetchone()
    return row is not None and row[0] >= seq


def lose(connection: sqlite3.Connection, first: int, last: int, reason: str, at: int) -> None:
    """Write down that first..last are lost, and why; with what was lost beside it for the same."""
    row = connection.execute(
        "SELECT first, last FROM lost WHERE first < ? AND reason = ? ORDER BY first DESC LIMIT 1",
        (first, reason),
    ).fetchone()
    if row and row[1] == first - 1:
        first = row[0]
    row = connection.execute(
        "SELECT last FROM lost WHERE first = ? AND reason = ?", (last + 1, reason)
    ).fetchone()
    if row:
        connection.execute("DELETE FROM lost WHERE first = ?", (last + 1,))
        last = row[0]
    connection.execute(
        "INSERT INTO lost (first, last, reason, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (first) DO UPDATE SET last = excluded.last, at = excluded.at",
        (first, last, reason, at),
    )


def lose_gone(connection: sqlite3.Connection, settled: RangeSet, reason: str, at: int) -> int:
    """What is gone, and not ``settled``, is lost; returns how many numbers."""
    gone = load_ranges(connection, "gone")
    lost = [part for pair in gone for part in settled.missing(*pair)]
    for first, last in lost:
        gone.remove(first, last)
        lose(connection, first, last, reason, at)
    store_ranges(connection, "gone", gone)
    return sum(last - first + 1 for first, last in lost)


def lost_within(
    connection: sqlite3.Connection, first: int, last: int, count: int = -1
) -> list[tuple[int, int, str, int]]:
    """The lost ranges that touch first..last, in order: first, last, reason, at."""
    return connection.execute(
        "SELECT first, last, reason, at FROM lost WHERE last >= ?1 AND first <= ?2 AND first >="
        " coalesce((SELECT first FROM lost WHERE first <= ?1 ORDER BY first DESC LIMIT 1), ?1)"
        " ORDER BY first LIMIT ?3",
        (first, last, count),
    ).fetchall()


def count_lost(connection: sqlite3.Connection) -> int:
    """How many numbers are lost."""
    row = connection.execute("SELECT coalesce(sum(last - first + 1), 0) FROM lost").fetchone()
    return int(row[0])


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


def used_bytes(connection: sqlite3.Connection) -> int:
    """What is in use of the file: pages without the free ones, which are used again. A file does
    not become smaller by what is deleted from it; what it takes of the disk is its greatest size.
    """
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def get(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def put(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """Keep the word; None forgets it."""
    if value is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
        return
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
