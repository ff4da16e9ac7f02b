"""A store's transactions keep their promises on every database."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.storage.engine import StorageAway, Unstorable
from cloud.storage.events import EventRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import ConfigError, Permanent, Retryable
from common.ranges import RangeSet
from tests.harness.ports import free_port
from tests.harness.tables import rows_of

NOW = 1_763_900_000_000


def add_gateway(uow: UnitOfWork, key: str = "gw") -> int:
    uow.gateways.add(key, uow.gateways.ensure_site("hall", "Hall", "UTC"), key)
    return uow.gateways.ids([key])[key]


def test_an_error_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(Permanent, match="stop"), store.begin() as uow:
        add_gateway(uow)
        raise Permanent("stop")
    assert rows_of(store, "SELECT count(*) FROM gateway") == [(0,)]


def test_reading_writes_nothing(store: Store) -> None:
    with store.read() as uow:
        add_gateway(uow)
    assert rows_of(store, "SELECT count(*) FROM gateway") == [(0,)]


def test_a_value_that_does_not_fit_is_refused_and_not_cut(mariadb_url: str) -> None:
    store = Store(mariadb_url)
    row = EventRow(1, 1, 1, "", NOW, NOW, "x" * 49, "info", "", "{}")
    with pytest.raises(Unstorable), store.begin() as uow:
        uow.events.add([row])
    store.close()


def test_two_writers_never_hold_a_gateway_together(store: Store) -> None:
    with store.begin() as uow:
        id_ = add_gateway(uow)

    def raise_session(_: int) -> None:
        def work(uow: UnitOfWork) -> None:
            [row] = uow.gateways.lock([id_])
            uow.gateways.set_session(id_, row.boot + 1, 0, online=True)

        store.run(work)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(raise_session, range(20)))
    assert rows_of(store, "SELECT boot FROM gateway") == [(20,)]


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.begin() as writer:
        add_gateway(writer)
        with store.read() as reader:
            assert reader.gateways.ids(["gw"]) == {}


def test_work_is_tried_again_while_that_may_help(store: Store) -> None:
    tries: list[int] = []

    def work(uow: UnitOfWork) -> str:
        tries.append(add_gateway(uow))
        if len(tries) < 3:
            raise StorageAway("deadlock")
        return "done"

    assert store.run(work) == "done"
    assert len(tries) == 3
    assert rows_of(store, "SELECT count(*) FROM gateway") == [(1,)]


def test_a_deadlock_is_something_to_try_again(mariadb_url: str) -> None:
    store = Store(mariadb_url)
    with store.begin() as uow:
        ids = [add_gateway(uow, key) for key in ("gw-a", "gw-b")]

    def cross(first_then_second: Sequence[int]) -> None:
        def work(uow: UnitOfWork) -> None:
            for id_ in first_then_second:
                [row] = uow.gateways.lock([id_])
                uow.gateways.set_session(id_, row.boot + 1, 0, online=True)

        store.run(work)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(cross, [ids, ids[::-1]] * 10))
    assert rows_of(store, "SELECT DISTINCT boot FROM gateway") == [(20,)]
    store.close()


def test_a_database_that_is_away_is_retryable() -> None:
    store = Store(f"mysql+pymysql://root@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(Retryable, match="database"), store.read() as uow:
        uow.gateways.ids(["gw"])


@pytest.mark.parametrize("url", ["", "postgresql://x/y", "sqlite://", "sqlite:///:memory:", "a b"])
def test_an_address_of_no_database_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="database URL"):
        Store(url)


def test_a_new_connection_begins_a_new_generation(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with store.begin() as uow:
        first = uow.generation
    with store.begin() as uow:
        assert uow.generation == first
    store.close()
    with store.begin() as uow:
        assert uow.generation > first
    store.close()


def test_a_ledger_is_saved_as_the_ranges_it_has(store: Store) -> None:
    with store.begin() as uow:
        row = uow.ledger.add_stream(add_gateway(uow), "a" * 32, NOW)
    before = RangeSet()
    steps: list[list[tuple[int, int]]] = [
        [(5, 9)],
        [(1, 2), (5, 9)],
        [(1, 3), (5, 12), (20, 2**62)],
        [(1, 12), (20, 2**62)],
        [(1, 2**62)],
    ]
    for step in steps:
        with store.begin() as uow:
            uow.ledger.save(row.id, before, RangeSet(step))
        with store.read() as uow:
            [found] = uow.ledger.streams([row.gateway_id], ["a" * 32])
        assert list(found.committed) == step
        before = found.committed


def test_readings_keep_the_whole_range_of_64_bits(store: Store) -> None:
    rows = [
        (1, NOW, 2**63 - 1, 0, -(2**63)),
        (2, NOW, None, 3, None),
        (1, NOW - 1, 0, 0, 0),
    ]
    with store.begin() as uow:
        uow.readings.add(rows, NOW)
    found = rows_of(store, "SELECT register_id, at, value, quality, raw FROM reading")
    assert sorted(found) == sorted(tuple(row) for row in rows)
    assert rows_of(store, "SELECT register_id, at, value FROM latest ORDER BY register_id") == [
        (1, NOW, 2**63 - 1),
        (2, NOW, None),
    ]
