"""A renewal: the journal goes on as a new stream, and what the cloud has of the former one is not
said again.

Its numbers are lost in the new stream, for the reason that the former one has them. The stream
changes first, in one transaction; then entries are deleted a little at a time. A renewal that was
interrupted is ended before the cloud is heeded again.
"""

import sqlite3

from common.ids import new_stream_id
from common.ranges import RangeSet
from edge_agent.store.tables import get, lose_gone, put, store_ranges


def begin(connection: sqlite3.Connection, known: RangeSet) -> str:
    """The new stream, in which ``known`` is settled until it is deleted.

    Catalogs are taken out of it: what is queued may need any of them in the new stream.
    """
    for (seq,) in connection.execute("SELECT seq FROM catalog"):
        known.remove(seq, seq)
    store_ranges(connection, "settled", known)
    stream = new_stream_id()
    put(connection, "former", get(connection, "stream"))
    put(connection, "stream", stream)
    return stream


def is_under_way(connection: sqlite3.Connection) -> bool:
    return get(connection, "former") is not None


def end(connection: sqlite3.Connection, at: int) -> int:
    """What was known is deleted: nothing is settled in the new stream. Returns how much is lost."""
    lost = lose_gone(connection, RangeSet(), f"said in stream {get(connection, 'former')}", at)
    store_ranges(connection, "settled", ())
    put(connection, "former", None)
    return lost
