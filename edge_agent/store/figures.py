"""How full the journal is, and for how long it would do without the cloud."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge_agent.store.tables import count_lost, load_ranges, next_number, used_bytes

HOUR_MS = 3_600_000
SHORTEST_MS = 60_000
"""What was appended in less time tells no rate."""

SAMPLE = 500
ROW_BYTES = 32
"""What an entry takes beside its body."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the file as it stands. Times in epoch milliseconds; None: there is no such, or not known.

    ``used`` bytes of ``quota`` are taken by ``entries``, of which the cloud lacks ``queued``
    numbers, the lost ones among them. ``hours_left``: how long an outage may last, at the rate of
    the last hour, until something is given up.
    """

    entries: int
    used: int
    quota: int
    oldest_at: int | None
    queued: int
    queued_at: int | None
    lost: int
    per_hour: int | None
    hours_left: float | None


def figures(connection: sqlite3.Connection, quota: int, path: Path | None = None) -> Figures:
    """``path``: the file, whose disk has to have the room as well."""
    given = next_number(connection) - 1
    settled, gone, lost = (
        load_ranges(connection, "settled"),
        load_ranges(connection, "gone"),
        count_lost(connection),
    )
    entries = given - gone.count() - lost
    missing = settled.missing(1, given)
    queued = sum(last - first + 1 for first, last in missing)
    used = used_bytes(connection)
    per_hour = _per_hour(connection)
    return Figures(
        entries=entries,
        used=used,
        quota=quota,
        oldest_at=_at(connection, 1),
        queued=queued,
        queued_at=oldest_at(connection, missing),
        lost=lost,
        per_hour=per_hour,
        hours_left=_hours_left(connection, _room(used, quota, path), queued, per_hour),
    )


def oldest_at(connection: sqlite3.Connection, missing: list[tuple[int, int]]) -> int | None:
    """When the oldest entry of what is ``missing`` was appended, or was lost, if that is known."""
    for first, last in missing:
        row = connection.execute(
            "SELECT at FROM dated WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1", (first, last)
        ).fetchone()
        if row:
            return None if row[0] is None else int(row[0])
    if missing:
        row = connection.execute("SELECT min(at) FROM lost").fetchone()
        return None if row[0] is None else int(row[0])
    return None


def _at(connection: sqlite3.Connection, seq: int) -> int | None:
    row = connection.execute(
        "SELECT at FROM dated WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,)
    ).fetchone()
    return int(row[0]) if row and row[0] is not None else None


def _per_hour(connection: sqlite3.Connection) -> int | None:
    """How many entries were appended in the hour before the last one, or in what there is of it
    since the last start. By the monotonic clock, which does not leap."""
    newest = connection.execute(
        "SELECT seq, boot, mono FROM entry ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if newest is None:
        return None
    last, boot, now = (int(one) for one in newest)
    low, high = 1, last
    first, began = last, now
    while low <= high:
        middle = (low + high) // 2
        seq, its_boot, mono = connection.execute(
            "SELECT seq, boot, mono FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if its_boot == boot and mono >= now - HOUR_MS:
            first, began = int(seq), int(mono)
            high = middle - 1
        else:
            low = seq + 1
    if now - began < SHORTEST_MS:
        return None
    return round((last - first) * HOUR_MS / (now - began))


def _room(used: int, quota: int, path: Path | None) -> int:
    if path is None:
        return quota
    disk = os.statvfs(path.parent)
    return min(quota, used + disk.f_bavail * disk.f_frsize)


def _hours_left(
    connection: sqlite3.Connection, room: int, queued: int, per_hour: int | None
) -> float | None:
    """What is settled makes room when it is needed; what the cloud lacks does not."""
    (body,) = connection.execute(
        "SELECT avg(length(body)) FROM (SELECT body FROM entry ORDER BY seq DESC LIMIT ?)",
        (SAMPLE,),
    ).fetchone()
    if body is None or not per_hour:
        return None
    row = body + ROW_BYTES
    return float(max(0.0, (room - queued * row) / (per_hour * row)))
