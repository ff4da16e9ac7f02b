"""A store's transactions keep their promises on every database."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pymysql
import pytest

from cloud.storage.engine import StorageAway, Unstorable, open_engine
from cloud.storage.events import EventRow
from cloud.storage.gateways import Gateways
from cloud.storage.migrations import migrate
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import ConfigError, Permanent, Retryable
from common.ranges import RangeSet
from tests.harness.mariadb import MariaDb
from tests.harness.ports import free_port
from tests.harness.proxy import Proxy
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


def test_what_a_connection_had_locked_that_the_network_has_forgotten_is_free_again(
    mariadb: MariaDb, mariadb_url: str
) -> None:
    store = Store(mariadb_url)
    with store.begin() as uow:
        id_ = add_gateway(uow)
    with Proxy(mariadb.port) as link:
        through = mariadb_url.replace(f":{mariadb.port}/", f":{link.port}/")
        connection = open_engine(through, timeout_s=1).connect()
        assert Gateways(connection).lock([id_])
        link.drop()
        with store.begin() as uow:
            assert uow.gateways.lock([id_]), "MariaDB itself would keep it for eight hours"
        connection.invalidate()
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
    steps: list[list[tuple[int, int]]] = [
        [(5, 9)],
        [(1, 2), (5, 9)],
        [(1, 3), (5, 12), (20, 2**62)],
        [(1, 12), (20, 2**62)],
        [(1, 2**62)],
    ]
    for step in steps:
        with store.begin() as uow:
            uow.ledger.save([(row, RangeSet(step))], NOW)
        with store.read() as uow:
            [row] = uow.ledger.streams([row.gateway_id], ["a" * 32])
        assert list(row.committed) == step


def test_a_database_that_is_dropped_and_made_again_is_found_again(mariadb: MariaDb) -> None:
    """As in a restore, by connections that were open before."""
    url = mariadb.create_database("dropped")
    migrate(url)
    store = Store(url)
    with store.begin() as uow:
        add_gateway(uow)
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root") as server:
        server.cursor().execute("DROP DATABASE dropped")
    with pytest.raises(Retryable), store.begin() as uow:
        add_gateway(uow)
    mariadb.create_database("dropped")
    migrate(url)
    with store.begin() as uow:
        assert uow.gateways.ids(["gw"]) == {}
        add_gateway(uow)
    store.close()
