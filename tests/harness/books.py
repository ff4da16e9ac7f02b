"""Both sides' books: what the gateway's journal says, what the cloud's database holds."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from common.messages.batch import ClockQuality
from common.messages.uplink import Body, CommandReport, Event, Readings, decode_body
from common.ranges import RangeSet
from edge_agent.store.rebase import Fix, rebase
from edge_agent.store.tail import COLUMNS, entry_of

Key = tuple[str, str, int]
"""Device, register, time in ms: what a reading is known by."""

Content = tuple[int | None, int, int | None]
"""Value, quality, raw."""


Loss = tuple[int, int, str]
"""First and last entry that were given up, and the reason on record."""


@dataclass(slots=True)
class JournalBook:
    """A gateway's journal: its entries by number, and what they say."""

    stream: str
    entries: dict[int, Body]
    readings: dict[Key, dict[Content, int]] = field(default_factory=dict)  # and by which entry
    numbers: dict[Key, int] = field(default_factory=dict)  # of the first entry with this reading
    lost: list[Loss] = field(default_factory=list)

    @property
    def last(self) -> int:
        return max(self.entries, default=0)

    def events(self) -> dict[int, Event]:
        return {seq: body for seq, body in self.entries.items() if isinstance(body, Event)}

    def reports(self) -> list[CommandReport]:
        return [body for body in self.entries.values() if isinstance(body, CommandReport)]


def read_journal(path: Path) -> JournalBook:
    """The journal in the agent's data file, which may be in use; dated as it is sent."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        file.execute("BEGIN")
        (stream,) = file.execute("SELECT value FROM meta WHERE key = 'stream'").fetchone()
        registers = file.execute("SELECT no, device, key FROM register")
        names = {no: (device, key) for no, device, key in registers}
        rows = file.execute(f"SELECT {COLUMNS} FROM entry ORDER BY seq")
        entries = [entry_of(row) for row in rows]
        lost: list[Loss] = file.execute("SELECT first, last, reason FROM lost").fetchall()
        fixes = {
            boot: Fix(offset, ClockQuality(quality), mono)
            for boot, offset, quality, mono in file.execute(
                "SELECT boot, offset, quality, mono FROM boot JOIN clock_fix USING (kernel)"
            )
        }
    sent = (rebase(entry, fixes.get(entry.boot)) for entry in entries)
    book = JournalBook(stream, {entry.seq: decode_body(entry.body) for entry in sent}, lost=lost)
    for seq, body in book.entries.items():
        if isinstance(body, Readings):
            for value in body.r:
                device, register = names[value.no]
                key = (device, register, body.at)
                content = (value.value, value.quality, value.raw)
                book.readings.setdefault(key, {}).setdefault(content, seq)
                book.numbers.setdefault(key, seq)
    return book


def read_settled(path: Path) -> RangeSet:
    """What the gateway holds to be dealt with by the cloud."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        return RangeSet(file.execute("SELECT first, last FROM settled"))


class CloudBook:
    """Looks into the cloud's database, beside the cloud's own code."""

    def __init__(self, port: int, database: str) -> None:
        self._port = port
        self._database = database

    def rows(self, query: str, *values: object) -> Sequence[tuple[object, ...]]:
        """What a query gives, in a transaction of its own."""
        with (
            pymysql.connect(
                host="127.0.0.1", port=self._port, user="root", database=self._database
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query, values)
            found: Sequence[tuple[object, ...]] = cursor.fetchall()
            return found

    def committed(self, stream: str) -> RangeSet:
        """The ledger of a stream."""
        rows = self.rows(
            "SELECT l.first, l.last FROM ledger l JOIN stream s ON s.id = l.stream_id"
            " WHERE s.stream = %s",
            stream,
        )
        return RangeSet((int(str(first)), int(str(last))) for first, last in rows)

    def readings(self, gateway: str) -> dict[Key, Content]:
        """Every reading of a gateway."""
        rows = self.rows(
            "SELECT d.`key`, r.`key`, x.at, x.value, x.quality, x.raw FROM reading x"
            " JOIN register r ON r.id = x.register_id JOIN device d ON d.id = r.device_id"
            " JOIN gateway g ON g.id = d.gateway_id WHERE g.`key` = %s",
            gateway,
        )
        found = {row[:3]: row[3:] for row in rows}
        assert len(found) == len(rows), "a reading is there twice"
        return found  # type: ignore[return-value]

    def event_numbers(self, stream: str) -> list[int]:
        """The sequence numbers of a stream's events, each as often as it is stored."""
        rows = self.rows(
            "SELECT e.seq FROM event e JOIN stream s ON s.id = e.stream_id WHERE s.stream = %s",
            stream,
        )
        return [int(str(seq)) for (seq,) in rows]

    def explained(self, stream: str) -> list[Loss]:
        """What of a stream cannot be in the database, with the reasons that the cloud has."""
        rows = self.rows(
            "SELECT x.seq, x.seq, x.reason FROM rejected x JOIN stream s ON s.id = x.stream_id"
            " WHERE s.stream = %s",
            stream,
        )
        if self.rows("SHOW TABLES LIKE 'loss'"):
            rows = [
                *rows,
                *self.rows(
                    "SELECT x.first, x.last, x.reason FROM loss x"
                    " JOIN stream s ON s.id = x.stream_id WHERE s.stream = %s",
                    stream,
                ),
            ]
        return [(int(str(first)), int(str(last or first)), str(why)) for first, last, why in rows]

    def latest(self, gateway: str, device: str, register: str) -> int | None:
        """The newest value of a register, scaled; None when there is none yet."""
        rows = self.rows(
            "SELECT l.value FROM latest l JOIN register r ON r.id = l.register_id"
            " JOIN device d ON d.id = r.device_id JOIN gateway g ON g.id = d.gateway_id"
            " WHERE g.`key` = %s AND d.`key` = %s AND r.`key` = %s",
            *(gateway, device, register),
        )
        return int(str(rows[0][0])) if rows else None

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(str(self.rows(f"SELECT count(*) FROM `{table}`")[0][0]))


def check_balance(journal: Path, cloud: CloudBook, gateway: str, upto: int) -> None:
    """Entries 1..``upto`` are in the ledger, and their content in the database, once and exactly.

    Raises AssertionError that says what differs. What is younger than ``upto`` may be there or
    not, but nothing may be there that the journal does not say.
    """
    stored, events = cloud.readings(gateway), cloud.event_numbers(read_journal(journal).stream)
    book = read_journal(journal)  # after the database, so that it knows all that is there
    committed = cloud.committed(book.stream)
    assert not committed.missing(1, upto), f"the ledger lacks {committed.missing(1, upto)}"
    assert min(book.entries) == 1, "the journal has forgotten its beginning"
    assert sorted(book.entries) == list(range(1, book.last + 1)), "the journal has a gap"
    assert cloud.count("rejected") == 0, cloud.rows("SELECT seq, reason FROM rejected")
    for key, content in stored.items():
        assert key in book.readings, f"{key} is in the database, not in the journal"
        assert content in book.readings[key], f"{key}: {content}, not {book.readings[key]}"
    expected = {key for key, seq in book.numbers.items() if seq <= upto}
    lacking = expected - stored.keys()
    assert not lacking, f"{len(lacking)} of {len(expected)} readings are missing: {min(lacking)} …"
    assert len(set(events)) == len(events), "an event is stored twice"
    assert set(events) >= {seq for seq in book.events() if seq <= upto}
    assert set(events) <= set(book.events())
