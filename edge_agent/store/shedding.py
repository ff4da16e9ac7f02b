"""Ways to let entries go, each one step at a time: from a number on, for about so many bytes."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from common.messages.uplink import Readings
from common.ranges import RangeSet
from edge_agent.store.tables import LAST, add_range, latest_catalogs, load_ranges, lose, lost_within
from edge_agent.store.tail import COLUMNS, READINGS, Row, Transaction, insert

AT_ONCE = 5000
"""Entries looked at in one transaction, so that nobody waits long for it."""

EVER = 2**62
"""A time that everything is older than."""

_readings = msgspec.json.Decoder(Readings)


@dataclass(frozen=True, slots=True)
class Step:
    """``next``: where to go on; None when nothing more can go this way. ``refuses``: readings and
    telegrams are not taken from now on."""

    next: int | None
    deleted: int = 0
    lost: int = 0
    refuses: bool = False

    @property
    def overflows(self) -> bool:
        """Whether something is given up that the cloud lacks."""
        return self.lost > 0 or self.refuses


Way = Callable[[Transaction, int, int], Step]
"""Of a transaction, the number to begin at, and the bytes that are too many."""


def oldest_settled(transaction: Transaction, position: int, excess: int) -> Step:
    """Delete the oldest settled entries."""
    return settled_before(transaction, position, EVER, _count_for(excess))


def settled_before(
    transaction: Transaction, position: int, before_ms: int, count: int = AT_ONCE
) -> Step:
    """Delete the oldest ``count`` settled entries, up to the first that is not older.

    What may go is looked up here, in the transaction: a resume may have come just before. The
    newest catalogs stay.
    """
    connection = transaction.connection
    settled, gone = load_ranges(connection, "settled"), load_ranges(connection, "gone")
    window = _first_there(settled, gone, position)
    if window is None:
        return Step(None)
    first, last = window
    row = connection.execute(
        "SELECT seq FROM entry WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1 OFFSET ?",
        (first, last, count),
    ).fetchone()
    last = row[0] - 1 if row else last
    (young,) = connection.execute(
        "SELECT min(seq) FROM dated WHERE seq BETWEEN ?1 AND ?2"
        " AND coalesce(at, ?3) >= ?3 AND ?3 < ?4",
        (first, last, before_ms, EVER),
    ).fetchone()
    last = last if young is None else young - 1
    going = RangeSet([(first, last)] if first <= last else [])
    for seq, _ in latest_catalogs(connection):
        going.remove(seq, seq)
    forgotten = _forget_lost(connection, going, before_ms)
    deleted = 0
    for one, other in going:
        deleted += connection.execute(
            "DELETE FROM entry WHERE seq BETWEEN ? AND ?", (one, other)
        ).rowcount
        for table in ("catalog", "rejected"):
            connection.execute(
                f"DELETE FROM {table} WHERE seq BETWEEN ? AND ?",  # noqa: S608
                (one, other),
            )
        add_range(connection, "gone", one, other)
    return Step(last + 1 if young is None else None, deleted, -forgotten)


def _first_there(settled: RangeSet, gone: RangeSet, position: int) -> tuple[int, int] | None:
    """The first range from ``position`` on that is settled and still there."""
    for first, last in settled.present(position, LAST):
        for window in gone.missing(first, last):
            return window
    return None


def _forget_lost(connection: sqlite3.Connection, going: RangeSet, before_ms: int) -> int:
    """Of the numbers ``going``, those that are lost: the old ones go as well, the others do not."""
    forgotten = 0
    for first, last in list(going):
        for one, other, _, at in lost_within(connection, first, last):
            if first <= one and other <= last and at < before_ms:
                connection.execute("DELETE FROM lost WHERE first = ?", (one,))
                forgotten += other - one + 1
            else:
                going.remove(one, other)
    return forgotten


def oldest_unsettled(kind: bytes, reason: str) -> Way:
    """Give up the oldest entries of a kind (as a body begins) that the cloud lacks."""

    def way(transaction: Transaction, position: int, excess: int) -> Step:
        rows = _unsettled(transaction.connection, position)
        going = []
        for row in rows:
            if excess <= 0:
                break
            if row[5].startswith(kind):
                going.append(row[0])
                excess -= len(row[5])
        lost = _give_up(transaction, going, reason)
        return Step(_after(rows) if lost < AT_ONCE else position, lost, lost)

    return way


def thinned(n: int, reason: str) -> Way:
    """Of the readings that the cloud lacks, keep one in ``n`` of each register, and the last one.

    An entry goes only if each of its registers lets it go. What stays is written anew: it then
    fills its pages, and those that it leaves are free.
    """

    def way(transaction: Transaction, position: int, excess: int) -> Step:
        connection = transaction.connection
        rows = _unsettled(connection, position)
        going = set(_all_but_one_in(n, rows))
        if not going:
            return Step(_after(rows))
        lost = _give_up(transaction, sorted(going), reason)
        stay = [row for row in rows if row[0] not in going]
        connection.executemany("DELETE FROM entry WHERE seq = ?", [(row[0],) for row in stay])
        insert(connection, stay)
        return Step(_after(rows), lost, lost)

    return way


def refused(transaction: Transaction, position: int, excess: int) -> Step:
    """Nothing goes; from now on readings and telegrams are not taken."""
    return Step(None, refuses=True)


def _all_but_one_in(n: int, rows: Sequence[Row]) -> list[int]:
    found = [
        (row[0], {value.no for value in _readings.decode(row[5]).r})
        for row in rows
        if row[5].startswith(READINGS)
    ]
    total = Counter(no for _, numbers in found for no in numbers)
    seen: Counter[int] = Counter()
    going = []
    for seq, numbers in found:
        if all(seen[no] % n and seen[no] + 1 < total[no] for no in numbers):
            going.append(seq)
        seen.update(numbers)
    return going


def _unsettled(connection: sqlite3.Connection, position: int) -> list[Row]:
    """The oldest entries from ``position`` on that the cloud lacks."""
    rows: list[Row] = []
    for first, last in load_ranges(connection, "settled").missing(position, LAST):
        rows += connection.execute(
            f"SELECT {COLUMNS} FROM entry WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",  # noqa: S608
            (first, last, AT_ONCE - len(rows)),
        ).fetchall()
        if len(rows) == AT_ONCE:
            break
    return rows


def _after(rows: Sequence[Row]) -> int | None:
    return rows[-1][0] + 1 if rows else None


def _give_up(transaction: Transaction, going: Sequence[int], reason: str) -> int:
    """Delete the entries and write down their loss."""
    connection = transaction.connection
    connection.executemany("DELETE FROM entry WHERE seq = ?", [(seq,) for seq in going])
    ranges = RangeSet()
    for seq in going:
        ranges.add(seq, seq)
    for first, last in ranges:
        lose(connection, first, last, reason, transaction.at)
    return len(going)


def _count_for(excess: int) -> int:
    """So many entries are deleted for so many bytes: rather too few, for there is a next step."""
    return min(AT_ONCE, max(16, excess // 256))
