"""What Prometheus is told of the database: true figures, asked seldom, and never an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text

from cloud.services import events
from cloud.services.figures import FRESH_S, DatabaseFigures, connections
from cloud.services.metrics import Family
from cloud.storage.gaps import GapRow
from cloud.storage.migrations import migrate
from cloud.storage.unit_of_work import Store
from common.clock import ManualClock
from common.messages.uplink import DeviceStatus, Status
from common.registers import Kind
from tests.harness.mariadb import MariaDb
from tests.harness.masterdata import STREAM, MasterData

NOW = 1_790_000_000_000
S, H = 1000, 3600
STATUS = Status(
    STREAM,
    online=True,
    boot=1,
    session=1,
    at=NOW,
    queued=7,
    oldest_at=NOW - 60 * S,
    journal_bytes=5000,
    journal_quota=20000,
    hours_left=3,
    clock=3,
    devices=[DeviceStatus("water-1", "failing"), DeviceStatus("water-2", "ok")],
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def values(families: list[Family]) -> dict[str, dict[tuple[str, ...], float]]:
    return {one.name.removeprefix("inmetter_"): dict(one.samples) for one in families}


def test_figures_are_what_stands_in_the_database(
    store: Store, data: MasterData, clock: ManualClock
) -> None:
    site = data.add_site("mill")
    told = data.add_gateway(site, "told", seen_at=NOW, status=STATUS)
    quiet = data.add_gateway(site, "quiet", seen_at=NOW - 3600 * S)
    stream = data.add_stream(told, [(1, 5), (8, 10)])
    data.add_rejected(stream, 2)
    data.add_loss(stream, 3, 4, NOW, NOW)
    device = data.add_device(told)
    data.add_readings(data.add_register(device, interval_s=60), [(NOW - 181 * S, 1)])
    data.add_readings(data.add_register(device, "in time", interval_s=60), [(NOW - 179 * S, 1)])
    data.add_register(device, "never", interval_s=60)
    data.add_register(device, "roof", kind=Kind.OUTPUT)
    data.add_register(device, "gone", interval_s=60, active=False)
    for seq in (11, 12):
        data.add_event(stream, seq, told, at=NOW)
    data.add_event(stream, 13, told, at=NOW, severity="info")
    events.acknowledge(store, stream, 11, "anna", NOW)
    data.add_quarantined("topic", b"?", "not JSON")
    with store.begin() as uow:
        uow.gaps.put(GapRow(stream, 6, 7, NOW, told=True))
        uow.gaps.put(GapRow(stream + 1, 6, 7, NOW))

    found = values(DatabaseFigures(store, clock).families())
    assert found["database_up"] == {(): 1}
    assert found["gateways"] == {("online",): 1, ("offline",): 1}
    assert found["site_newest_reading_timestamp_seconds"] == {("mill",): NOW / 1000 - 179}
    assert (found["ledger_gaps"], found["ledger_gaps_alarmed"]) == ({(): 2}, {(): 1})
    assert (found["alarms_open"], found["quarantine_messages"]) == ({(): 1}, {(): 1})
    assert (found["hours_to_sum_up"], found["kept_since_timestamp_seconds"]) == ({(): 2}, {})
    assert found["commands_open"] == {("pending",): 0, ("sent",): 0, ("accepted",): 0}
    of_told = {
        name.removeprefix("gateway_"): samples[("told",)]
        for name, samples in found.items()
        if ("told",) in samples
    }
    assert of_told == {
        "online": 1,
        "last_seen_timestamp_seconds": NOW / 1000,
        "missing_entries": 2,
        "lost_entries": 2,
        "rejected_entries": 1,
        "registers": 4,
        "registers_stale": 2,
        "queued_entries": 7,
        "oldest_entry_timestamp_seconds": NOW / 1000 - 60,
        "journal_bytes": 5000,
        "journal_quota_bytes": 20000,
        "outage_left_seconds": 3 * H,
        "clock_quality": 3,
        "devices": 2,
        "devices_failing": 1,
    }
    assert found["gateway_online"][("quiet",)] == 0
    assert quiet and ("quiet",) not in found["gateway_oldest_entry_timestamp_seconds"]
    sizes = found.get("database_table_bytes") or found["database_file_bytes"]
    assert min(sizes.values()) > 0
    assert ("reading",) in sizes or found["disk_size_bytes"][()] > found["disk_free_bytes"][()] > 0


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    asked: list[str] = []

    def note(*given: object) -> None:
        asked.append(str(given[2]))

    event.listen(store._engine, "before_cursor_execute", note)
    yield asked
    event.remove(store._engine, "before_cursor_execute", note)


def test_who_asks_often_does_not_ask_the_database_often(
    store: Store, data: MasterData, clock: ManualClock
) -> None:
    for n in range(20):
        data.add_device(data.add_gateway(data.add_site(f"site-{n}"), f"gw-{n}", seen_at=NOW))
    figures = DatabaseFigures(store, clock)
    with statements(store) as asked:
        figures.families()
        assert 1 < len(asked) < 12, "as many for one gateway as for a thousand"
        first = list(asked)
        figures.families()
        clock.advance(FRESH_S - 0.1)
        assert values(figures.families())["gateways"] == {("online",): 20, ("offline",): 0}
        assert asked == first
        clock.advance(0.2)
        again = values(figures.families())
        assert len(asked) > len(first)
        assert again["gateways"] == {("online",): 20, ("offline",): 0}
        assert sum("information_schema" in one for one in asked) <= 1, "sizes are asked once"


def test_a_database_that_is_away_is_told_and_no_error(tmp_path: Path, clock: ManualClock) -> None:
    with MariaDb(tmp_path) as server:
        url = server.create_database("cloud")
        migrate(url)
        store = Store(url)
        figures = DatabaseFigures(store, clock)
        assert values(figures.families())["database_up"] == {(): 1}
        server.kill()
        clock.advance(FRESH_S)
        assert values(figures.families()) == {"database_up": {(): 0}}
        server.start()
        clock.advance(FRESH_S)
        assert values(figures.families())["database_up"] == {(): 1}
        store.close()


def test_a_database_that_does_not_answer_takes_one_connection_and_no_more(
    mariadb_url: str, clock: ManualClock
) -> None:
    store, other = Store(mariadb_url), Store(mariadb_url)
    figures = DatabaseFigures(store, clock, patience_s=0.05)
    with other._engine.connect() as locks:
        locks.execute(text("LOCK TABLES gateway WRITE"))
        for _ in range(4):
            clock.advance(FRESH_S)
            assert values(figures.families()) == {"database_up": {(): 0}}
        assert values(connections({"web": store}))["database_connections"] == {("web",): 1}
        locks.execute(text("UNLOCK TABLES"))
    patient = DatabaseFigures(store, clock)
    assert values(patient.families())["database_up"] == {(): 1}
    store.close()
    other.close()
