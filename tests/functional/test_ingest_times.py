"""When it was measured, when it was kept, when it came: three times; and what the latest is."""

from pathlib import Path

from cloud.services.ingest import Ingest, ingest
from cloud.storage.unit_of_work import Store
from common.clock import ManualClock
from common.messages.batch import pack, unpack
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of
from tests.unit.edge_parts import everything, opened
from tests.unit.test_edge_intake import intake, rec

MINUTE, DAY = 60_000, 86_400_000


async def test_device_gateway_and_cloud_each_keep_a_time_of_their_own(
    store: Store, tmp_path: Path
) -> None:
    """A record of yesterday that a module gives today, and the gateway sends a minute later."""
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.store("water", [rec(1, 250, NOW - DAY)])
        [entry] = (await everything(journal)).entries
    payload = pack(STREAM, [entry])
    batch = unpack(payload)
    assert (batch.at, batch.kept) == ([NOW - DAY], [DAY])
    assert entry.at == NOW
    says = Gateway(now_ms=NOW + MINUTE)
    ingest(store, [says.hello(), says.batch(2, catalog())], NOW + MINUTE)
    ingest(store, [says.received("journal", payload)], NOW + MINUTE)
    assert set(rows_of(store, "SELECT at FROM reading")) == {(NOW - DAY,)}
    assert set(rows_of(store, "SELECT at, received_at FROM latest")) == {(NOW - DAY, NOW + MINUTE)}


def test_a_history_that_is_replayed_leaves_the_latest_value_alone(store: Store) -> None:
    """Live first, then the backlog beside it, then all of it again to another worker."""
    says, live = Gateway(), 100
    one, other = Ingest(store), Ingest(store)
    one.take([says.hello(), says.batch(1, catalog())], NOW)
    one.take([says.batch(live, power(NOW, live))], NOW)
    batches = [
        says.batch(first, *(power(NOW - (live - n) * MINUTE, n) for n in range(first, first + 7)))
        for first in range(2, live, 7)
    ]
    for worker in (one, other):
        for batch in batches:
            worker.take([batch], NOW)
            latest = rows_of(store, "SELECT at, value FROM latest")
            assert latest == [(NOW, live)]
    assert rows_of(store, "SELECT count(*) FROM reading") == [(live - 1,)]
    assert rows_of(store, "SELECT first, last FROM ledger") == [(1, live)]


def test_of_many_readings_those_of_an_instant_that_is_taken_are_told_by_entry(
    store: Store,
) -> None:
    """As after a clock that went back: the same marks come again, to the millisecond."""
    gateway, worker = Gateway(), Ingest(store)
    worker.take([gateway.hello(), gateway.batch(1, catalog())], NOW)
    begun = NOW - 10_000
    first = [power(begun + n, n) for n in range(600)]
    again = [power(begun + n, n if n % 2 else -n) for n in range(0, 1200, 3)]
    worker.take([gateway.batch(2, *first)], NOW)
    worker.take([gateway.batch(602, *again)], NOW)
    told = [seq for seq, _ in rows_of(store, "SELECT seq, reason FROM rejected ORDER BY seq")]
    assert told == [602 + n // 3 for n in range(3, 600, 3) if n % 2 == 0]
    assert rows_of(store, "SELECT count(*) FROM reading") == [(800,)]


def test_a_reading_from_the_future_says_by_how_much_and_what_to_set(store: Store) -> None:
    says = Gateway()
    ingest(store, [says.hello(), says.batch(1, catalog())], NOW)
    ingest(store, [says.batch(2, power(NOW + 49 * 60 * MINUTE, 2), power(NOW, 1))], NOW)
    assert rows_of(store, "SELECT reason FROM rejected") == [
        (
            f"measured at {NOW + 49 * 60 * MINUTE} ms, 49 hours from now by the cloud's clock; 24"
            " are taken: set the clock of the gateway, or that of the cloud",
        )
    ]
    assert rows_of(store, "SELECT value FROM reading") == [(1,)]


def test_readings_that_are_dated_ahead_are_told_once_a_day_and_by_how_much(store: Store) -> None:
    says, worker = Gateway(), Ingest(store)
    worker.take([says.hello(), says.batch(1, catalog())], NOW)

    def told(seq: int, ahead_min: int, now_ms: int) -> list[tuple[object, ...]]:
        said = power(now_ms + ahead_min * MINUTE, seq)
        worker.take([says.batch(seq, power(now_ms - seq, seq), said)], now_ms)
        return rows_of(store, "SELECT at, severity, text FROM event ORDER BY at")

    assert told(2, 5, NOW) == []
    [(at, severity, text)] = told(4, 119, NOW)
    assert (at, severity) == (NOW, "warning")
    assert str(text).startswith("readings of gw-1 are dated up to 119 minutes ahead")
    assert len(told(6, 118, NOW + DAY)) == 1
    assert len(told(8, 117, NOW + DAY + 1)) == 2
    assert rows_of(store, "SELECT count(*) FROM reading") == [(8,)]
    assert rows_of(store, "SELECT count(*) FROM rejected") == [(0,)]
