"""Readings and the latest of each register. The hot path: literal integers, few statements."""

from collections.abc import Sequence
from itertools import count
from operator import itemgetter

from sqlalchemy import Connection

from cloud.storage.load_data import can_load, load
from cloud.storage.upsert import is_sqlite, literal_rows

CHUNK = 2000
LOADED = 500
"""So many rows, and more, go by LOAD DATA where the server takes that; fewer are not worth it."""

AHEAD_MS = 300_000
"""A reading that is further ahead is none of now: it would be the latest until its time comes."""

_COLUMNS = "register_id, at, value, quality, raw"
_INSERT = {
    True: f"INSERT OR IGNORE INTO reading ({_COLUMNS}) VALUES ",  # noqa: S608
    False: f"INSERT IGNORE INTO reading ({_COLUMNS}) VALUES ",  # noqa: S608
}
_LATEST = f"INSERT INTO latest ({_COLUMNS}, received_at) VALUES "  # noqa: S608
_ON_NEWER = {
    True: (
        " ON CONFLICT (register_id) DO UPDATE SET at = excluded.at, value = excluded.value,"
        " quality = excluded.quality, raw = excluded.raw, received_at = excluded.received_at"
        " WHERE excluded.at > latest.at"
    ),
    # MySQL assigns from left to right, so that ``at`` must come last.
    False: (
        " ON DUPLICATE KEY UPDATE value = IF(VALUES(at) > at, VALUES(value), value),"
        " quality = IF(VALUES(at) > at, VALUES(quality), quality),"
        " raw = IF(VALUES(at) > at, VALUES(raw), raw),"
        " received_at = IF(VALUES(at) > at, VALUES(received_at), received_at),"
        " at = GREATEST(at, VALUES(at))"
    ),
}


ReadingRow = tuple[int, int, int | None, int, int | None]
"""Register's id, time, value scaled by the register's decimals, quality, the device's own count."""


_REGISTER, _AT = itemgetter(0), itemgetter(1)


class Readings:
    """Readings in the database. The identity of a reading is (register, time): the first stays."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = is_sqlite(connection)

    def add(self, rows: Sequence[ReadingRow], received_at: int) -> list[ReadingRow]:
        """Store what is not there yet, and let the newest of each register be its latest.

        Returns the rows that are not stored, because their register has another reading of that
        instant.

        What is more than AHEAD_MS ahead of ``received_at`` is stored, but never the latest.
        """
        # By register and time; of one instant in the order in which they came: the first stays.
        ordered = sorted(sorted(rows, key=_AT), key=_REGISTER)
        stored = self._insert(ordered)
        latest = [(*row, received_at) for row in newest(ordered, received_at + AHEAD_MS)]
        for start in range(0, len(latest), CHUNK):
            text = literal_rows(latest[start : start + CHUNK])
            self._connection.exec_driver_sql(_LATEST + text + _ON_NEWER[self._sqlite])
        return [] if stored == len(ordered) else self._unlike(ordered)

    def _insert(self, rows: Sequence[ReadingRow]) -> int:
        """How many of the rows were not there."""
        if len(rows) >= LOADED and can_load(self._connection):
            return load(self._connection, "reading", _COLUMNS, rows)
        inserted = 0
        for start in range(0, len(rows), CHUNK):
            text = literal_rows(rows[start : start + CHUNK])
            inserted += self._connection.exec_driver_sql(_INSERT[self._sqlite] + text).rowcount
        return inserted

    def _unlike(self, rows: Sequence[ReadingRow]) -> list[ReadingRow]:
        """The rows that are not as they are stored."""
        stored = self.stored(rows)
        return [row for row in rows if row not in stored]

    def stored(self, rows: Sequence[ReadingRow]) -> set[ReadingRow]:
        """What is stored of the registers and instants of ``rows``."""
        stored: set[ReadingRow] = set()
        values = "VALUES " if self._sqlite else ""
        for start in range(0, len(rows), CHUNK):
            keys = literal_rows([row[:2] for row in rows[start : start + CHUNK]])
            query = f"SELECT {_COLUMNS} FROM reading WHERE (register_id, at) IN ({values}{keys})"  # noqa: S608
            stored.update(map(tuple, self._connection.exec_driver_sql(query)))
        return stored


def newest(ordered: Sequence[ReadingRow], bound: int) -> list[ReadingRow]:
    """Of each register its newest row up to ``bound``, of one instant the first.

    ``ordered`` by register and time. A row costs next to nothing, a register a little.
    """
    if max(map(_AT, ordered), default=0) > bound:
        ordered = [row for row in ordered if row[1] <= bound]
    found = []
    for last in dict(zip(map(_REGISTER, ordered), count(), strict=False)).values():
        first = last
        while first and ordered[first - 1][:2] == ordered[last][:2]:
            first -= 1
        found.append(ordered[first])
    return found
