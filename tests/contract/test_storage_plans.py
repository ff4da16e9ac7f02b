"""What screens ask for is found by key: no scan of the readings, no sort of them, few parts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from cloud.domain.consumption import HOUR_MS, Step
from cloud.services import fleet, installing, metering, points
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.storage.migrations import migrate
from common.clock import to_ms
from common.registers import Kind, Medium
from tests.harness.mariadb import MariaDb
from tests.harness.masterdata import MasterData

LARGE = {"reading", "hourly", "daily"}
IN_VIEWS = {"h", "p", "n"}
"""How the views call hours and days: of a row, of the one before, of the next."""

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


Asked = tuple[Store, int, list[tuple[str, object]]]


@pytest.fixture(scope="session")
def month(mariadb: MariaDb) -> Iterator[tuple[Store, int]]:
    """A store of MariaDB with five registers of a month, the last of them at flat-1; nobody changes
    what is in it."""
    url = mariadb.create_database("month")
    migrate(url)
    store, data = Store(url), MasterData(url)
    device = data.add_device(data.add_gateway(data.add_site()))
    for number in range(5):
        register = data.add_register(device, f"r{number}", interval_s=900)
        start = to_ms(NOW - timedelta(days=30))
        data.add_readings(register, [(start + n * HOUR_MS // 4, n) for n in range(4 * 24 * 30)])
    data.close()
    change = Change("ana", to_ms(NOW))
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    point = points.create(store, wanted, change)
    since = to_ms(NOW - timedelta(days=29))
    installing.install(store, point.id, NewMeter(register), since, change)
    roll_up(store)
    with store._engine.begin() as connection:
        for table in LARGE:
            connection.execute(text(f"ANALYZE TABLE {table}"))
    yield store, register
    store.close()


@pytest.fixture
def asked(month: tuple[Store, int]) -> Iterator[Asked]:
    """That store, a register, and what the store is asked."""
    store, register = month
    statements: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.lstrip("( ").upper().startswith("SELECT"):
            statements.append((statement, values))

    event.listen(store._engine, "before_cursor_execute", note)
    yield store, register, statements
    event.remove(store._engine, "before_cursor_execute", note)


def _plans(store: Store, statements: list[tuple[str, object]]) -> Iterator[dict[str, object]]:
    for statement, values in list(statements):
        with store._engine.connect() as connection:
            found = connection.exec_driver_sql(f"EXPLAIN PARTITIONS {statement}", values)  # type: ignore[arg-type]
            for row in found.mappings():
                yield {**row, "statement": statement}


def _found_by_key(store: Store, statements: list[tuple[str, object]]) -> int:
    """How many looks into large tables there are; all of them by key."""
    looks = 0
    for plan in _plans(store, statements):
        if plan["table"] in LARGE | IN_VIEWS:
            looks += 1
            assert plan["type"] in {"const", "eq_ref", "ref", "range"}, plan
            assert plan["key"] == "PRIMARY", plan
            assert "filesort" not in str(plan["Extra"]), plan
    return looks


@pytest.mark.parametrize(
    ("step", "days"), [(Step.HOUR, 30), (Step.DAY, 30), (Step.MONTH, 365), (Step.YEAR, 900)]
)
def test_consumption_is_found_by_key(asked: Asked, step: Step, days: int) -> None:
    store, register, statements = asked
    assert metering.consumption(store, register, step, NOW - timedelta(days=days), NOW)
    assert _found_by_key(store, statements) >= 3


def test_the_completeness_of_a_fleet_is_found_by_key(
    asked: Asked,
) -> None:
    store, _, statements = asked
    day = (NOW - timedelta(days=3)).date()
    [gateway] = fleet.completeness(store, day, to_ms(NOW))
    assert gateway.got == 5 * 24 * 4
    assert _found_by_key(store, statements) >= 1


def test_readings_curves_and_newest_values_are_found_by_key(
    asked: Asked,
) -> None:
    store, register, statements = asked
    start, end = to_ms(NOW - timedelta(days=3)), to_ms(NOW)
    assert metering.readings(store, register, start, end, 1000)
    assert metering.series(store, register, start, end, 50)
    assert metering.meters(store, end)
    assert _found_by_key(store, statements) >= 3


@pytest.mark.parametrize("view", ["report_register_hourly", "report_register_daily"])
def test_a_month_of_a_register_is_found_by_key_through_a_view(asked: Asked, view: str) -> None:
    store, register, statements = asked
    _ask(store, f"SELECT * FROM {view} WHERE register_id = {register}")
    assert _found_by_key(store, statements) == 2


@pytest.mark.parametrize(("view", "looks"), [("report_point_hourly", 2), ("report_point_daily", 3)])
def test_a_month_of_a_metering_point_is_found_by_key_through_a_view(
    asked: Asked, view: str, looks: int
) -> None:
    store, _, statements = asked
    _ask(store, f"SELECT * FROM {view} WHERE point = 'flat-1'")
    assert _found_by_key(store, statements) == looks


def _ask(store: Store, query: str) -> None:
    """The last month of what ``query`` asks for; there is something."""
    start, end = to_ms(NOW - timedelta(days=30)), to_ms(NOW)
    with store._engine.connect() as connection:
        asked = f"{query} AND at >= {start} AND at < {end} ORDER BY at"
        assert connection.exec_driver_sql(asked).all()


def test_what_is_asked_of_one_month_is_looked_for_in_its_part_only(
    asked: Asked,
) -> None:
    store, register, statements = asked
    with store.read() as uow:
        name, until = list(uow.partitions.of("reading").items())[1]
    assert until is not None
    statements.clear()
    metering.readings(store, register, until - 24 * HOUR_MS, until, 1000)
    parts = [plan["partitions"] for plan in _plans(store, statements) if plan["table"] == "reading"]
    assert parts == [name]
