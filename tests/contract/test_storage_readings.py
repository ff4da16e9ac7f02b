"""Readings in the table, by whatever way they get there."""

import pymysql
import pytest

from cloud.storage.load_data import can_load
from cloud.storage.readings import LOADED, ReadingRow, newest
from cloud.storage.unit_of_work import Store
from common.errors import Retryable
from tests.harness.mariadb import MariaDb
from tests.harness.tables import rows_of

NOW = 1_763_900_000_000
ALL = "SELECT register_id, at, value, quality, raw FROM reading ORDER BY register_id, at"


def many(registers: int = 7, each: int = LOADED) -> list[ReadingRow]:
    """In the order in which they were measured; some without a value, some without a count."""
    return [
        (no, NOW - (each - n) * 60_000, n * 10**16 if n % 11 else None, n % 4, no % 2 or None)
        for n in range(each)
        for no in range(1, registers + 1)
    ]


def add(store: Store, rows: list[ReadingRow]) -> None:
    with store.begin() as uow:
        uow.readings.add(rows, NOW)


@pytest.mark.parametrize("rows", [many(3, 5), many()], ids=["few", "many"])
def test_few_and_many_readings_are_stored_alike_and_once(
    store: Store, rows: list[ReadingRow]
) -> None:
    add(store, rows)
    add(store, rows[::2])
    assert rows_of(store, ALL) == sorted(rows, key=lambda row: row[:2])
    assert rows_of(store, "SELECT register_id, at, value FROM latest ORDER BY register_id") == [
        row[:3] for row in rows[-len({row[0] for row in rows}) :]
    ]


def test_the_whole_range_of_64_bits_goes_every_way(store: Store) -> None:
    ends: list[ReadingRow] = [
        (1, NOW, 2**63 - 1, 0, -(2**63)),
        (2, NOW, None, 3, None),
        (1, NOW - 1, 0, 0, 0),
    ]
    rows = [*ends, *((9, NOW - n, n, 0, n) for n in range(LOADED))]
    add(store, rows)
    assert rows_of(store, ALL)[:3] == sorted(ends)


def test_the_first_of_an_instant_stays_among_many(store: Store) -> None:
    rows = many(1)
    last = rows[-1]
    add(store, [*rows, (*last[:2], 4711, 0, None)])
    assert rows_of(store, ALL)[-1] == last
    assert rows_of(store, "SELECT register_id, at, value FROM latest") == [last[:3]]


def test_what_is_no_integer_never_reaches_the_database(store: Store) -> None:
    rows = [*many(1), (1, NOW, "0); DROP TABLE reading; --", 0, None)]
    with pytest.raises(ValueError, match="DROP TABLE"), store.begin() as uow:
        uow.readings.add(rows, NOW)  # type: ignore[arg-type]
    assert rows_of(store, "SELECT count(*) FROM reading") == [(0,)]


def test_the_newest_is_none_from_the_time_to_come() -> None:
    rows: list[ReadingRow] = [(1, 5, 1, 0, None), (1, 9, 2, 0, None), (2, 12, 3, 0, None)]
    assert newest(rows, 10) == [(1, 9, 2, 0, None)]
    assert newest([], 10) == []


def test_many_readings_wait_for_whoever_holds_the_row_and_are_tried_again(
    mariadb: MariaDb, mariadb_url: str
) -> None:
    store = Store(mariadb_url)
    rows = many(1)
    with pymysql.connect(
        host="127.0.0.1", port=mariadb.port, user="root", database=mariadb_url.rsplit("/", 1)[1]
    ) as other:
        other.cursor().execute("INSERT INTO reading VALUES (%s, %s, 0, 0, NULL)", rows[0][:2])
        with pytest.raises(Retryable, match="Lock wait"), store.begin() as uow:
            uow.readings._connection.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
            uow.readings.add(rows, NOW)
    add(store, rows)
    assert rows_of(store, "SELECT count(*) FROM reading") == [(len(rows),)]
    store.close()


def test_a_server_that_takes_no_rows_by_file_any_more_gets_them_by_insert(
    mariadb: MariaDb, mariadb_url: str
) -> None:
    store = Store(mariadb_url)
    rows = many(1)
    add(store, rows[:1])
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root") as server:
        server.cursor().execute("SET GLOBAL local_infile = 0")
        try:
            store.run(lambda uow: uow.readings.add(rows, NOW))
            with store.begin() as uow:
                assert not can_load(uow.readings._connection)
        finally:
            server.cursor().execute("SET GLOBAL local_infile = 1")
    assert rows_of(store, "SELECT count(*) FROM reading") == [(len(rows),)]
    store.close()


def test_a_server_that_asks_for_a_file_of_this_computer_gets_none(mariadb_url: str) -> None:
    store = Store(mariadb_url)
    # The driver refuses, and gives the connection up.
    with pytest.raises(Retryable), store.begin() as uow:
        uow.readings._connection.exec_driver_sql(
            "LOAD DATA LOCAL INFILE '/etc/hostname' IGNORE INTO TABLE reading"
        )
    store.close()
    fresh = Store(mariadb_url)
    assert rows_of(fresh, "SELECT count(*) FROM reading") == [(0,)]
    fresh.close()
