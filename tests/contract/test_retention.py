"""What is no longer kept goes after it was summed up, and no answer is another one for it."""

import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from zoneinfo import ZoneInfo

import pytest

from cloud.domain.consumption import HOUR_MS, Amount, Step, amounts, boundaries, tolerance_ms
from cloud.domain.retention import DAY_MS, Retention
from cloud.services.boundaries import look_up, periods
from cloud.services.ingest import ingest
from cloud.services.retention import Keeper
from cloud.services.rollups import forget_days, roll_up
from cloud.services.store import Store
from cloud.services.views import ConsumptionView
from cloud.storage import partitions
from cloud.storage.engine import StorageAway
from cloud.storage.ledger import RejectedRow
from cloud.storage.migrations import migrate
from cloud.storage.partitions import PARTITIONED, Partitions
from cloud.storage.rollups import Calendar
from cloud.storage.schema import metadata
from common.clock import to_ms
from common.messages.downlink import Ack
from common.messages.envelope import decode
from tests.harness.mariadb import MariaDb
from tests.harness.masterdata import MasterData
from tests.harness.says import Gateway, catalog, power
from tests.harness.tables import rows_of

START = datetime(2026, 1, 20, tzinfo=UTC)
END = datetime(2026, 3, 20, tzinfo=UTC)
HOURS_GONE, READINGS_GONE = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
NOW = to_ms(datetime(2026, 4, 12, 3, tzinfo=UTC))
POLICY = Retention(readings_months=1, hours_months=2, rejected_days=0, quarantine_days=0)
INTERVAL_S = 1800
ZONES = ("UTC", "Europe/Bucharest", "Asia/Kolkata")


@pytest.fixture(scope="module")
def _own(mariadb: MariaDb) -> str:
    own = mariadb.create_database(f"kept_{secrets.token_hex(6)}")
    migrate(own)
    return own


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """On MariaDB a database of its own, parted anew: parts that are dropped do not come back."""
    if request.param == "sqlite":
        found: str = request.getfixturevalue("sqlite_url")
        return found
    own: str = request.getfixturevalue("_own")
    store = Store(own)
    with store._engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        for name in PARTITIONED:
            connection.exec_driver_sql(f"ALTER TABLE {name} REMOVE PARTITIONING")
            Partitions(connection).begin(name, to_ms(START), NOW)
    store.close()
    return own


def _register(data: MasterData, timezone: str) -> int:
    gateway = data.add_gateway(data.add_site("mill", timezone), "gw-1")
    return data.add_register(data.add_device(gateway), interval_s=INTERVAL_S)


def _readings() -> list[tuple[int, int | None]]:
    """Each half hour or so, with two holes: of a day, and over the first of March."""
    holes = [(datetime(2026, 2, 9, 5, tzinfo=UTC), 30), (datetime(2026, 2, 28, 20, tzinfo=UTC), 8)]
    spans = [(to_ms(at), hours * HOUR_MS) for at, hours in holes]
    times = range(to_ms(START) + 5000, to_ms(END), INTERVAL_S * 1000)
    return [
        (at, n * n // 50)
        for n, at in enumerate(times)
        if not any(start <= at < start + length for start, length in spans)
    ]


def _answer(
    store: Store, register: int, step: Step, zone: str, start: datetime = START
) -> list[ConsumptionView]:
    bounds = boundaries(step, start, END + timedelta(days=1), ZoneInfo(zone))
    instants = list(map(to_ms, bounds))
    with store.read() as uow:
        found = look_up(uow, register, Calendar(zone, INTERVAL_S), instants, step)
    return periods(instants, found, tolerance_ms(INTERVAL_S), 3)


def _of_readings(store: Store, register: int, step: Step, zone: str) -> list[Amount]:
    bounds = boundaries(step, START, END + timedelta(days=1), ZoneInfo(zone))
    with store.read() as uow:
        found = uow.indexes.boundaries(register, list(map(to_ms, bounds)))
    return amounts(found, tolerance_ms(INTERVAL_S))


def _scaled(view: ConsumptionView) -> int:
    return int((view.value or 0) * 1000)


@pytest.mark.parametrize("zone", ZONES)
def test_answers_over_the_past_are_what_they_were_before_readings_and_hours_went(
    store: Store, data: MasterData, zone: str
) -> None:
    register = _register(data, zone)
    data.add_readings(register, _readings())
    roll_up(store)
    before = {step: _answer(store, register, step, zone) for step in Step}
    edges = {
        (step, day): _answer(store, register, step, zone, READINGS_GONE + timedelta(days=day))
        for step in Step
        for day in (-1, 0, 1)
    }
    Keeper(store, POLICY).let_go(NOW)
    [(first,)] = rows_of(store, "SELECT MIN(at) FROM reading")
    [(first_hour,)] = rows_of(store, "SELECT MIN(at) FROM hourly")
    assert to_ms(READINGS_GONE) <= first < to_ms(READINGS_GONE) + DAY_MS
    assert first_hour == to_ms(HOURS_GONE)

    for step in set(Step) - {Step.HOUR}:
        assert _answer(store, register, step, zone) == before[step]
    exact_from = READINGS_GONE if zone == "Asia/Kolkata" else HOURS_GONE
    for was, now in zip(before[Step.HOUR], _answer(store, register, Step.HOUR, zone), strict=True):
        if was.start > exact_from + timedelta(hours=1):
            assert now == was
        else:
            assert now == was or now.estimated or now.value is None
    if zone != "Asia/Kolkata":
        for (step, day), was_there in edges.items():
            start = READINGS_GONE + timedelta(days=day)
            assert _answer(store, register, step, zone, start) == was_there


def test_hours_whose_readings_are_gone_still_add_up_to_their_days(
    store: Store, data: MasterData
) -> None:
    zone = "Asia/Kolkata"
    register = _register(data, zone)
    data.add_readings(register, _readings())
    roll_up(store)
    Keeper(store, POLICY).let_go(NOW)
    days, hours = (_answer(store, register, step, zone) for step in (Step.DAY, Step.HOUR))
    for day in days:
        inside = [hour for hour in hours if day.start <= hour.start < day.end]
        rough = sum(map(_scaled, inside)) != _scaled(day)
        assert not rough or any(hour.estimated for hour in inside)
    assert sum(map(_scaled, hours)) == sum(map(_scaled, days)) > 0


def test_a_meter_that_has_been_silent_since_is_answered_for_from_what_is_left(
    store: Store, data: MasterData
) -> None:
    register = _register(data, "UTC")
    gone = [one for one in _readings() if one[0] < to_ms(datetime(2026, 2, 20, tzinfo=UTC))]
    data.add_readings(register, gone)
    roll_up(store)
    late, soon = datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 2, 15, tzinfo=UTC)
    before = [_answer(store, register, Step.DAY, "UTC", start) for start in (late, soon)]
    Keeper(store, POLICY).let_go(NOW)
    assert rows_of(store, "SELECT * FROM reading") == []
    assert [_answer(store, register, Step.DAY, "UTC", start) for start in (late, soon)] == before


def test_nothing_goes_that_is_not_summed_up(
    store: Store, data: MasterData, caplog: pytest.LogCaptureFixture
) -> None:
    register = _register(data, "UTC")
    readings = _readings()
    data.add_readings(register, readings)
    keeper = Keeper(store, POLICY)
    with caplog.at_level(logging.INFO, "inmetter.events"):
        keeper.let_go(NOW)
        keeper.let_go(NOW)
        assert caplog.text.count("wait to be summed up") == 1
        assert rows_of(store, "SELECT COUNT(*) FROM reading") == [(len(readings),)]
        roll_up(store)
        february = to_ms(datetime(2026, 2, 20, tzinfo=UTC))
        store.run(lambda uow: uow.rollups.add_marks({(register, february)}))
        keeper.let_go(NOW)
    [(first,)] = rows_of(store, "SELECT MIN(at) FROM reading")
    assert to_ms(HOURS_GONE) <= first < to_ms(HOURS_GONE) + DAY_MS
    assert "readings from before 2026-02-01 are no longer kept" in caplog.text
    assert caplog.text.count("wait to be summed up") == 1


def test_a_mark_before_the_floor_takes_nothing_from_an_hour_or_a_day(
    store: Store, data: MasterData
) -> None:
    register = _register(data, "UTC")
    data.add_readings(register, _readings())
    roll_up(store)
    Keeper(store, POLICY).let_go(NOW)
    tables = ("hourly", "daily")
    before = [rows_of(store, f"SELECT * FROM {table} ORDER BY at") for table in tables]
    times = (START, HOURS_GONE, READINGS_GONE - timedelta(hours=1), READINGS_GONE)
    data.add_readings(register, [(to_ms(at) + 777, 1) for at in times])
    assert roll_up(store) == len(times)
    assert [rows_of(store, f"SELECT * FROM {table} ORDER BY at") for table in tables] == before


@pytest.mark.parametrize("zone", ["Europe/Bucharest", "Asia/Kolkata"])
def test_days_that_begin_at_other_times_lose_no_consumption_of_the_past(
    store: Store, data: MasterData, zone: str
) -> None:
    register = _register(data, "UTC")
    data.add_readings(register, _readings())
    roll_up(store)
    before = {step: _of_readings(store, register, step, zone) for step in (Step.DAY, Step.MONTH)}
    Keeper(store, POLICY).let_go(NOW)
    [(gateway,)] = rows_of(store, "SELECT gateway_id FROM device")
    with store.begin() as uow:
        site = uow.gateways.ensure_site("mill", "Mill", "UTC")
        uow.gateways.rename_site_of_one(site, "Mill", zone)
        forget_days(uow, gateway, zone)
    exact_from = READINGS_GONE if zone == "Asia/Kolkata" else HOURS_GONE
    for _ in ("marked", "summed up"):
        for step, was in before.items():
            now = _answer(store, register, step, zone)
            assert sum(map(_scaled, now)) == sum(one.value or 0 for one in was)
            for old, new in zip(was, now, strict=True):
                if old.start > to_ms(exact_from + timedelta(days=2)):
                    assert new.estimated == old.estimated
                assert new.estimated or _scaled(new) == (old.value or 0)
        roll_up(store)


def test_a_reading_from_before_the_floor_is_rejected_and_the_gateway_moves_on(
    store: Store, data: MasterData
) -> None:
    store.run(lambda uow: uow.kept.move(POLICY.months_kept(NOW)) if uow.kept.claim() else None)
    gateway = Gateway(now_ms=NOW)
    ingest(store, [gateway.hello()], NOW)
    floor = to_ms(READINGS_GONE) + 2 * DAY_MS
    bodies = [power(floor - 1, 1), power(floor - 2, 2), power(floor, 3), power(NOW, 4)]
    outcome = ingest(store, [gateway.batch(1, catalog(at=NOW), *bodies)], NOW)
    acks = [one for one in outcome.publications if one.topic.endswith("ack")]
    ack = decode(acks[0].payload, Ack)
    assert (ack.first, ack.last) == (1, 5)
    assert [one.seq for one in ack.rejected] == [2, 3]
    assert ack.rejected[0].reason.startswith("older than what is kept: measured at 2026-03-02 23:")
    assert rows_of(store, "SELECT value FROM reading ORDER BY at") == [(3,), (4,)]
    assert rows_of(store, "SELECT COUNT(*) FROM rejected") == [(2,)]
    assert rows_of(store, "SELECT COUNT(*) FROM event WHERE code = 'entry-rejected'") == [(1,)]


def test_the_floor_waits_for_those_who_store_what_is_old(mariadb_url: str) -> None:
    store = Store(mariadb_url)
    keeper = Keeper(store, POLICY)
    store.run(lambda uow: uow.kept.claim())
    with ThreadPoolExecutor(1) as pool:
        with store.begin() as uow:
            assert uow.kept.hold().floor == 0
            moving = pool.submit(keeper.let_go, NOW)
            uow.rollups.add_marks({(1, to_ms(START))})
            assert not moving.done()
        moving.result(30)
    with store.read() as uow:
        assert uow.kept.since().readings < to_ms(START)
    store.close()


def test_two_who_let_go_at_once_do_no_harm(store: Store, data: MasterData) -> None:
    register = _register(data, "UTC")
    data.add_readings(register, _readings())
    roll_up(store)
    before = _answer(store, register, Step.DAY, "UTC")
    together = Barrier(2)

    def let_go() -> None:
        together.wait(30)
        Keeper(store, POLICY).let_go(NOW)

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(let_go) for _ in range(2)]:
            one.result(60)
    assert _answer(store, register, Step.DAY, "UTC") == before
    with store.begin() as uow:
        uow.partitions.drop("reading", "m202601")


def test_a_drop_does_not_make_others_wait_behind_a_reader(
    _own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "PATIENCE_S", 1)
    store = Store(_own)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE reading REMOVE PARTITIONING")
        Partitions(connection).begin("reading", to_ms(START), NOW)
    with store.read() as uow:
        assert uow.meters.readings(2**31 - 1, 0, NOW, 1) == []
        with pytest.raises(StorageAway), store.begin() as other:
            other.partitions.drop("reading", "m202601")
    assert "m202601" in _parts(store)
    Keeper(store, POLICY).let_go(NOW)
    assert "m202601" not in _parts(store)
    store.close()


def _parts(store: Store) -> dict[str, int | None]:
    with store.read() as uow:
        return uow.partitions.of("reading")


def test_logs_are_made_shorter_and_open_alarms_stay(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(data.add_site())
    stream = data.add_stream(gateway)
    old, young = NOW - 11 * DAY_MS, NOW - 9 * DAY_MS
    for seq, at in enumerate((old, young), 1):
        data.add_event(stream, seq, gateway, at=at, severity="info")
    data.add_event(stream, 3, gateway, at=old)
    rows = [RejectedRow(stream, seq, "no such register", b"{}", old) for seq in range(1, 1203)]
    store.run(lambda uow: uow.ledger.reject(rows))
    data.add_quarantined("topic", b"?", "not JSON")
    Keeper(store, Retention(rejected_days=0, quarantine_days=0)).let_go(NOW)
    assert rows_of(store, "SELECT COUNT(*) FROM rejected") == [(1202,)]
    days = Retention(events_days=10, rejected_days=10, quarantine_days=10)
    Keeper(store, days).let_go(NOW)
    assert rows_of(store, "SELECT seq FROM event ORDER BY seq") == [(2,), (3,)]
    assert rows_of(store, "SELECT * FROM rejected") == []
    assert rows_of(store, "SELECT * FROM quarantine") == []
