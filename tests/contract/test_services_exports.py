"""What is taken out, on each kind of database: every reading once, and nobody is held up."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from cloud.export.files import write
from cloud.export.formats import Format
from cloud.export.table import Row
from cloud.services import exports
from cloud.services.exports import ROWS_AT_ONCE, Selection
from cloud.services.store import Store
from common.clock import to_datetime, to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind
from tests.harness.masterdata import MasterData

START = datetime(2026, 6, 1, tzinfo=UTC)
END = START + timedelta(days=30)
FIRST = to_ms(START)
MB = 1_000_000


@pytest.fixture
def gateway(data: MasterData) -> int:
    return data.add_gateway(data.add_site())


@pytest.fixture
def register(data: MasterData, gateway: int) -> int:
    return data.add_register(data.add_device(gateway))


def rows(store: Store, selection: Selection = Selection()) -> list[Row]:  # noqa: B008
    return list(exports.readings(store, selection, START, END).rows)


def test_a_row_says_where_when_and_what_exactly(
    store: Store, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(FIRST + 500, 12_000), (FIRST + 1500, None)], quality=3)
    table = exports.readings(store, Selection(register_id=register), START, END)
    assert [column.name for column in table.columns] == [
        *("site", "gateway", "device", "register", "unit"),
        *("time", "value", "quality", "raw"),
    ]
    place = ("mill", "gw-1", "water-1", "volume", "m³")
    at, later = to_datetime(FIRST + 500), to_datetime(FIRST + 1500)
    assert list(table.rows) == [
        (*place, at, Decimal("12.000"), "not_available", 7),
        (*place, later, None, "not_available", 7),
    ]
    assert table.zone.key == "Europe/Bucharest"
    assert table.name == f"readings_{register}_2026-06-01_2026-07-01"


def test_no_reading_is_missing_or_twice_however_many_there_are(
    store: Store, data: MasterData, gateway: int
) -> None:
    device = data.add_device(gateway)
    counts = {"a": ROWS_AT_ONCE, "b": ROWS_AT_ONCE + 1, "c": 0, "d": 1}
    for key, count in counts.items():
        register = data.add_register(device, key)
        if count:
            data.add_readings(register, [(FIRST + n, n) for n in range(count)])
    found = [(row[3], row[5]) for row in rows(store)]
    assert found == [
        (key, to_datetime(FIRST + n)) for key, count in counts.items() for n in range(count)
    ]


def test_a_span_has_an_inclusive_start_and_an_exclusive_end(
    store: Store, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(FIRST - 1, 0), (FIRST, 1), (to_ms(END) - 1, 2), (to_ms(END), 3)])
    assert [row[6] for row in rows(store)] == [Decimal("0.001"), Decimal("0.002")]
    with pytest.raises(Permanent, match="later than start"):
        exports.readings(store, Selection(), START, START)


def test_registers_are_chosen_by_their_keys_and_those_out_of_use_are_among_them(
    store: Store, data: MasterData, gateway: int
) -> None:
    hall = data.add_gateway(data.add_site("hall", "Europe/Lisbon"), "gw-2")
    water, power = data.add_device(gateway), data.add_device(gateway, "power-1", active=False)
    places = [
        data.add_register(water, "volume"),
        data.add_register(water, "volume", decimals=2, active=False),
        data.add_register(power, "power", kind=Kind.POWER),
        data.add_register(data.add_device(hall), "volume"),
    ]
    for n, register in enumerate(places):
        data.add_readings(register, [(FIRST + n, n)])

    def found(selection: Selection) -> list[int]:
        return [
            (row[5] - START) // timedelta(milliseconds=1)
            for row in rows(store, selection)
            if isinstance(row[5], datetime)
        ]

    assert found(Selection()) == [3, 2, 0, 1]  # by site, gateway, device
    assert found(Selection(site="mill")) == [2, 0, 1]
    assert found(Selection(gateway="gw-2")) == [3]
    assert found(Selection(device="water-1")) == [3, 0, 1]
    assert found(Selection(site="mill", device="water-1", register="volume")) == [0, 1]
    assert found(Selection(register_id=places[1])) == [1]
    for nothing in (Selection(site="mill", gateway="gw-2"), Selection(register_id=9999)):
        with pytest.raises(NotFound):
            exports.readings(store, nothing, START, END)
    zones = [exports.readings(store, one, START, END).zone.key for one in (
        Selection(site="hall"), Selection())]  # fmt: skip
    assert zones == ["Europe/Lisbon", "UTC"]


def test_what_comes_meanwhile_makes_no_reading_come_twice(
    store: Store, data: MasterData, register: int
) -> None:
    data.add_readings(register, [(FIRST + 2 * n, n) for n in range(ROWS_AT_ONCE + 10)])
    reading = exports.readings(store, Selection(), START, END).rows
    seen = list(islice(reading, 10))
    behind, ahead = FIRST + 1, FIRST + 2 * ROWS_AT_ONCE + 1
    data.add_readings(register, [(behind, 1), (ahead, 1)])
    times = [row[5] for row in [*seen, *reading]]
    assert len(times) == len(set(times)) == ROWS_AT_ONCE + 11
    assert to_datetime(ahead) in times
    assert to_datetime(behind) not in times


def test_a_reader_who_pauses_leaves_no_transaction_open(
    store: Store, data: MasterData, register: int, url: str
) -> None:
    data.add_readings(register, [(FIRST + n, n) for n in range(ROWS_AT_ONCE + 1)])
    reading = exports.readings(store, Selection(), START, END).rows
    next(reading)
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
            assert busy == 0
        else:
            connection.execute(text("SET lock_wait_timeout = 1"))
            connection.execute(text("LOCK TABLES reading WRITE"))
            connection.execute(text("UNLOCK TABLES"))
    engine.dispose()
    assert len(list(reading)) == ROWS_AT_ONCE


@pytest.fixture
def many(sqlite_url: str) -> Iterator[int]:
    """So many readings of one register."""
    data = MasterData(sqlite_url)
    register = data.add_register(data.add_device(data.add_gateway(data.add_site())))
    data.close()
    count = 160_000
    connection = sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///")))
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
        " INSERT INTO reading (register_id, at, value, quality, raw)"
        " SELECT ?, ? + i * 1000, i, 0, i FROM n",
        (count, register, FIRST),
    )
    connection.commit()
    connection.close()
    yield count


@pytest.mark.parametrize(
    ("file_format", "part_of_them"), [(Format.CSV, 1), (Format.JSON, 8), (Format.XLSX, 12)]
)
def test_memory_does_not_grow_with_the_rows(
    sqlite_store: Store, many: int, file_format: Format, part_of_them: int
) -> None:
    end = START + timedelta(seconds=many // part_of_them)
    process = psutil.Process()
    taken, early, most = 0, 0, 0
    for part in write(exports.readings(sqlite_store, Selection(), START, end), file_format):
        taken += 1
        most = max(most, process.memory_info().rss)
        early = most if taken <= 3 else early
        del part
    assert taken > 15
    assert most - early < 8 * MB
