"""By which clock entries were dated, and the three times of what they say, on each database."""

import msgspec
import pytest
from sqlalchemy import event as sql

from cloud.services import clocks
from cloud.services.ingest import Ingest, Received
from cloud.storage.unit_of_work import Store
from common.errors import NotFound
from common.messages.batch import Entry, Lost, pack
from common.messages.envelope import encode
from common.messages.uplink import Body, Event, Salvaged
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of

SAYS = Gateway()
SYNCED, FREE = 3, 1
ROWS = "SELECT first, boot, ahead_ms, quality FROM clock_span ORDER BY stream_id, first"


def batch(first: int, *bodies: Body, boot: int = 1, clock: int = SYNCED, at: int = NOW) -> Received:
    """Entries that were appended a minute after boot began, which was at ``at`` less that."""
    entries = [
        Entry(first + n, msgspec.Raw(encode(body)), at + n, boot, 60_000 + n, clock)
        for n, body in enumerate(bodies)
    ]
    return SAYS.received("journal", pack(STREAM, entries))


def readings(first: int, count: int, *, boot: int = 1, clock: int = SYNCED) -> Received:
    bodies = [power(NOW + seq, seq) for seq in range(first, first + count)]
    return batch(first, *bodies, boot=boot, clock=clock)


AHEAD = NOW - 60_000


@pytest.fixture
def worker(store: Store) -> Ingest:
    worker = Ingest(store)
    worker.take([SAYS.hello(), batch(1, catalog())], NOW)
    return worker


def test_one_clock_is_one_row_however_many_batches_it_takes(worker: Ingest, store: Store) -> None:
    for first in (2, 22, 12, 32, 22):
        worker.take([readings(first, 10)], NOW)
    assert rows_of(store, ROWS) == [(1, 1, AHEAD, SYNCED)]


def test_a_batch_of_the_same_clock_costs_no_statement(worker: Ingest, store: Store) -> None:
    said: list[str] = []
    worker.take([readings(2, 10)], NOW)

    @sql.listens_for(store._engine, "before_cursor_execute")
    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        said.append(statement)

    worker.take([readings(12, 10)], NOW)
    worker.take([readings(22, 10, boot=2)], NOW)
    clock = [one for one in said if "clock_span" in one]
    assert [one.split()[0] for one in clock] == ["SELECT", "INSERT"]


def test_what_another_worker_changed_is_not_taken_from_memory(worker: Ingest, store: Store) -> None:
    worker.take([readings(2, 10)], NOW)
    Ingest(store).take([readings(12, 10, boot=2)], NOW)
    worker.take([readings(22, 10)], NOW)
    assert [row[:2] for row in rows_of(store, ROWS)] == [(1, 1), (12, 2), (22, 1)]


def test_live_before_backlog_leaves_each_its_clock(worker: Ingest, store: Store) -> None:
    worker.take([readings(32, 10, boot=2, clock=FREE), readings(2, 10)], NOW)
    worker.take([readings(12, 20)], NOW)
    assert [row[:2] for row in rows_of(store, ROWS)] == [(1, 1), (32, 2)]
    [gateway_id] = rows_of(store, "SELECT id FROM gateway")[0]
    found = clocks.spans(store, gateway_id, STREAM)
    assert [(one.first, one.last, one.boot, one.quality) for one in found] == [
        (32, 41, 2, "free"),
        (1, 31, 1, "synced"),
    ]
    assert clocks.of_entry(store, gateway_id, STREAM, 31) == found[1]
    assert clocks.of_entry(store, gateway_id, STREAM, 32) == found[0]


def test_what_did_not_come_was_dated_by_nothing(worker: Ingest, store: Store) -> None:
    lost = pack(STREAM, [], [Lost(12, 14, "quota: drop_oldest")])
    worker.take([readings(2, 10), SAYS.received("journal", lost), readings(17, 3)], NOW)
    worker.take([SAYS.received("journal", _without_clock(20))], NOW)
    [gateway_id] = rows_of(store, "SELECT id FROM gateway")[0]
    for seq in (13, 15, 20, 21):
        with pytest.raises(NotFound):
            clocks.of_entry(store, gateway_id, STREAM, seq)
    assert clocks.of_entry(store, gateway_id, STREAM, 17).boot == 1
    with pytest.raises(NotFound):
        clocks.spans(store, gateway_id, "e" * 32)
    with pytest.raises(NotFound):
        clocks.spans(store, gateway_id + 1, STREAM)


def test_what_is_salvaged_was_dated_by_a_clock_that_nobody_knows(
    worker: Ingest, store: Store
) -> None:
    old = "d" * 32
    bodies = [msgspec.Raw(encode(body)) for body in (catalog(), power(NOW, 5))]
    salvaged = [Salvaged(NOW, old, seq, body) for seq, body in enumerate(bodies, 1)]
    worker.take([batch(2, *salvaged)], NOW)
    [gateway_id] = rows_of(store, "SELECT id FROM gateway")[0]
    assert rows_of(store, "SELECT value FROM reading") == [(5,)]
    assert clocks.spans(store, gateway_id, old) == []


def test_of_a_batch_that_cannot_be_read_no_clock_is_known(worker: Ingest, store: Store) -> None:
    unreadable = msgspec.json.encode(
        {"stream": STREAM, "first": 12, "last": 13, "v": 1, "clock": "late"}
    )
    worker.take([readings(2, 10), SAYS.received("journal", unreadable), readings(14, 5)], NOW)
    assert [row[:2] for row in rows_of(store, ROWS)] == [(1, 1), (12, None), (14, 1)]


def test_device_gateway_and_receipt_are_three_times_of_an_event(
    worker: Ingest, store: Store
) -> None:
    """A module's event of an hour ago, taken over from its memory, sent ten minutes later."""
    happened, appended, received = NOW - 3_600_000, NOW, NOW + 600_000
    event = Event(happened, "device_restart", "info", "it began anew", "meter")
    worker.take([batch(2, event, at=appended)], received)
    query = "SELECT at, appended_at, received_at FROM event"
    assert rows_of(store, query) == [(happened, appended, received)]


def test_a_gateway_time_that_cannot_be_is_none(worker: Ingest, store: Store) -> None:
    worker.take([batch(2, Event(NOW, "odd", "info", "of 1970"), at=5)], NOW)
    assert rows_of(store, "SELECT appended_at FROM event") == [(None,)]


def _without_clock(seq: int) -> bytes:
    return msgspec.json.encode(
        {
            "stream": STREAM,
            "first": seq,
            "last": seq,
            "v": 1,
            "at": [NOW + seq],
            "kept": [0],
            "n": [1],
            "no": [1],
            "value": [5],
            "raw": [None],
        }
    )
