"""Readings and the latest of each register. The hot path: literal integers, few statements."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection

from cloud.storage.upsert import is_sqlite, literal_rows

CHUNK = 2000
AHEAD_MS = 300_000
"""A reading that is further ahead is none of now: it would be the latest until its time comes."""

_INSERT = {
    True: "INSERT OR IGNORE INTO reading (register_id, at, value, quality, raw) VALUES ",
    False: "INSERT IGNORE INTO reading (register_id, at, value, quality, raw) VALUES ",
}
_LATEST = "INSERT INTO latest (register_id, at, value, quality, raw, received_at) VALUES "
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


class Readings:
    """Readings in the database. The identity of a reading is (register, time): the first stays."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = is_sqlite(connection)

    def add(self, rows: Sequence[ReadingRow], received_at: int) -> None:
        """Store what is not there yet, and let the newest of each register be its latest.

        What is more than AHEAD_MS ahead of ``received_at`` is stored, but never the latest.
        """
        # Of one instant the first stays, here as in the table: sorting and max keep the order.
        ordered = sorted(rows, key=itemgetter(0))
        for start in range(0, len(ordered), CHUNK):
            text = literal_rows(ordered[start : start + CHUNK])
            self._connection.exec_driver_sql(_INSERT[self._sqlite] + text)
        bound = received_at + AHEAD_MS
        if max(map(itemgetter(1), ordered)) > bound:
            ordered = [row for row in ordered if row[1] <= bound]
        latest = [
            (*max(of_register, key=itemgetter(1)), received_at)
            for _, of_register in groupby(ordered, itemgetter(0))
        ]
        for start in range(0, len(latest), CHUNK):
            text = literal_rows(latest[start : start + CHUNK])
            self._connection.exec_driver_sql(_LATEST + text + _ON_NEWER[self._sqlite])
