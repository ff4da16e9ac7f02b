"""Two workers at the same moment, and a database that is killed: stored once, acknowledged true."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from cloud.services.ingest import Ingest, Outcome, Received
from cloud.services.rules import sync_rules
from cloud.storage.migrations import migrate
from cloud.storage.unit_of_work import Store
from common.errors import Retryable
from common.messages.downlink import Ack
from common.messages.envelope import decode
from common.rules import RegisterRef, Rule
from tests.harness.mariadb import MariaDb
from tests.harness.metrics import counted
from tests.harness.says import NOW, Gateway, catalog, power
from tests.harness.tables import rows_of

RULE = Rule(
    name="roof",
    source=RegisterRef("gw-1", "meter", "power"),
    above="100",
    below="80",
    output=RegisterRef("gw-1", "meter", "roof"),
)


def at_once(*calls: Callable[[], Outcome]) -> list[Outcome]:
    """The outcomes of ``calls``, which begin at the same moment, each in a thread."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], Outcome]) -> Outcome:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(begin, calls))


def acked(outcome: Outcome) -> list[tuple[int, int]]:
    found = [decode(p.payload, Ack) for p in outcome.publications if p.topic.endswith("/ack")]
    return [(ack.first, ack.last) for ack in found]


def test_two_workers_with_the_same_batch_store_it_once_and_fire_once(store: Store) -> None:
    gateway = Gateway()
    sync_rules(store, [RULE], NOW)
    workers = Ingest(store), Ingest(store)
    workers[0].take([gateway.hello(), gateway.batch(1, catalog())], NOW)
    issued, committed = 0, counted("entries_committed_total")
    for turn in range(10):
        value = 1500 if turn % 2 == 0 else 100
        batch = gateway.batch(turn + 2, power(NOW + turn, value))
        outcomes = at_once(*(partial(worker.take, [batch], NOW + turn) for worker in workers))
        assert [acked(outcome) for outcome in outcomes] == [[(turn + 2, turn + 2)]] * 2
        issued += sum(len(outcome.issued) for outcome in outcomes)
        assert issued == turn + 1
        now = counted("entries_committed_total")
        assert now - committed == turn + 1, "both found the batch new"
    assert rows_of(store, "SELECT count(*) FROM reading") == [(10,)]
    assert rows_of(store, "SELECT count(*) FROM command") == [(10,)]
    assert rows_of(store, "SELECT first, last FROM ledger") == [(1, 11)]


def test_two_workers_with_the_same_gateways_in_other_orders_wait_for_each_other(
    store: Store,
) -> None:
    gateways = [Gateway(f"gw-{n}") for n in range(8)]
    workers = Ingest(store), Ingest(store)
    at_once(
        lambda: workers[0].take([g.hello() for g in gateways], NOW),
        lambda: workers[1].take([g.hello() for g in reversed(gateways)], NOW),
    )
    assert rows_of(store, "SELECT count(*) FROM stream") == [(8,)]
    for turn in range(5):
        messages = [g.batch(turn + 1, catalog() if turn == 0 else power(NOW, 1)) for g in gateways]
        at_once(
            partial(workers[0].take, messages, NOW),
            partial(workers[1].take, messages[::-1], NOW),
        )
    assert rows_of(store, "SELECT DISTINCT first, last FROM ledger") == [(1, 5)]
    assert rows_of(store, "SELECT count(*) FROM register") == [(24,)]


@pytest.fixture
def own_mariadb(tmp_path: Path) -> MariaDb:
    return MariaDb(tmp_path)


def test_a_killed_database_has_everything_that_was_acknowledged(own_mariadb: MariaDb) -> None:
    with own_mariadb as server:
        url = server.create_database("cloud")
        migrate(url)
        store, gateway = Store(url), Gateway()
        worker = Ingest(store)
        worker.take([gateway.hello(), gateway.batch(1, catalog())], NOW)
        truth: set[int] = set()
        for turn in range(3):
            truth |= _ingest_until_killed(server, worker, gateway, 2 + turn * 100_000)
            server.start()
            stored = {at - NOW for (at,) in rows_of(store, "SELECT at FROM reading")}
            assert truth <= stored
        again = worker.take([gateway.batch(2, power(NOW + 2, 2))], NOW)
        assert acked(again) == [(2, 2)]
        store.close()


def _ingest_until_killed(server: MariaDb, worker: Ingest, gateway: Gateway, first: int) -> set[int]:
    """Batches one after the other while the server is killed; the numbers acknowledged."""
    acknowledged: set[int] = set()
    running = threading.Event()

    def kill() -> None:
        running.wait()
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    seq = first
    try:
        while True:
            batch: Received = gateway.batch(seq, power(NOW + seq, seq))
            acknowledged |= {a for a, _ in acked(worker.take([batch], NOW))}
            seq += 1
            if len(acknowledged) == 20:
                running.set()
    except Retryable:
        running.set()
    killer.join()
    return acknowledged
