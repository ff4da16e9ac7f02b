"""Whether a journal's file keeps the journal's promises."""

import sqlite3
from collections.abc import Iterator

from common.errors import Undecodable
from common.messages.uplink import decode_body
from common.ranges import RangeSet
from edge_agent.store.tables import get, load_ranges, next_number

SHOWN = 10
"""Problems of one kind."""


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong, each in a line; nothing for a sound journal. Raises sqlite3.Error."""
    for (text,) in connection.execute(f"PRAGMA integrity_check({SHOWN})"):
        if text != "ok":
            yield f"the file is damaged: {text}"
    if get(connection, "stream") is None:
        yield "the journal has no stream"
    yield from _places(connection)
    yield from _bodies(connection)


def _places(connection: sqlite3.Connection) -> Iterator[str]:
    """Every number is in one place, and what was deleted was settled."""
    given = next_number(connection) - 1
    kept = _kept(connection)
    lost = RangeSet(connection.execute("SELECT first, last FROM lost"))
    gone, settled = load_ranges(connection, "gone"), load_ranges(connection, "settled")
    places = {"kept": kept, "lost": lost, "deleted": gone}
    every = RangeSet(pair for place in places.values() for pair in place)
    for first, last in every.missing(1, given)[:SHOWN]:
        yield f"{first}..{last} are neither kept, nor lost for a reason, nor settled and deleted"
    names = list(places)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        both = [part for pair in places[names[other]] for part in places[names[one]].present(*pair)]
        for first, last in both[:SHOWN]:
            yield f"{first}..{last} are {names[one]} and {names[other]} at once"
    for pair in gone:
        for first, last in settled.missing(*pair)[:SHOWN]:
            yield f"{first}..{last} were deleted, though the cloud has not got them"
    if settled.last() > given:
        yield f"{settled.last()} is settled, but only {given} numbers were ever given"


def _bodies(connection: sqlite3.Connection) -> Iterator[str]:
    bad = 0
    for seq, body in connection.execute("SELECT seq, body FROM entry ORDER BY seq"):
        try:
            decode_body(body)
        except Undecodable as error:
            bad += 1
            if bad <= SHOWN:
                yield f"entry {seq}: {error}"
    if bad > SHOWN:
        yield f"{bad - SHOWN} more entries cannot be understood"


def _kept(connection: sqlite3.Connection) -> RangeSet:
    kept = RangeSet()
    first = last = 0
    for (seq,) in connection.execute("SELECT seq FROM entry ORDER BY seq"):
        if seq != last + 1:
            if last:
                kept.add(first, last)
            first = seq
        last = seq
    if last:
        kept.add(first, last)
    return kept
