"""What is counted: what happened, once each, and never what was rolled back."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.services import accounts, commands
from cloud.services.ingest import Ingest, ingest
from cloud.services.metrics import transaction_retried
from cloud.services.parcels import unpack
from cloud.services.rules import sync_rules
from cloud.services.views import Role
from cloud.storage.engine import Trouble
from cloud.storage.unit_of_work import Store, UnitOfWork
from cloud.workers import figures
from cloud.workers.dispatch import DispatchWorker
from cloud.workers.held import Held
from cloud.workers.ingest import IngestWorker
from cloud.workers.reconcile import LOOK_EVERY_S
from common import topics
from common.clock import ManualClock, SystemClock
from common.errors import NotAllowed, Unreachable
from common.messages.batch import ClockQuality, Entry, pack
from common.messages.envelope import encode
from common.messages.uplink import CommandReport
from common.mqtt import MqttSession
from common.rules import RegisterRef, Rule
from tests.harness.gateway import connected, in_time, running
from tests.harness.metrics import growth
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port
from tests.harness.says import NOW, STREAM, Gateway, catalog, power
from tests.harness.tables import rows_of


def order(store: Store, now_ms: int = NOW) -> str:
    """A command to the output of a gateway."""
    says = Gateway()
    ingest(store, [says.hello(), says.batch(1, catalog())], NOW)
    [(register_id,)] = rows_of(store, "SELECT id FROM register WHERE writable")
    return commands.issue(
        store, register_id=register_id, value=1, issued_by="anna", now_ms=now_ms
    ).id


def test_a_command_counts_once_in_the_state_in_which_it_ended(store: Store) -> None:
    done, failed = (growth("commands_ended_total", state=s) for s in ("succeeded", "failed"))
    command = order(store)
    accepted, report = (CommandReport(NOW, command, s, 1) for s in ("accepted", "succeeded"))
    worker = Ingest(store)
    worker.take([Gateway().batch(2, accepted)], NOW)
    assert done() == 0
    worker.take([Gateway().batch(3, report)], NOW)
    worker.take([Gateway().batch(3, report)], NOW)
    worker.take([Gateway().batch(4, report)], NOW)
    assert (done(), failed()) == (1, 0)


def test_what_was_rolled_back_is_not_counted(store: Store) -> None:
    cancelled = growth("commands_ended_total", state="cancelled")
    command = order(store)

    [(register_id,)] = rows_of(store, "SELECT id FROM register WHERE writable")

    def break_off(uow: UnitOfWork) -> None:
        register = uow.inventory.register(register_id)
        assert register is not None
        commands.issue_in(
            uow,
            register,
            id_="f" * 32,
            value=0,
            issued_by="anna",
            reason="",
            ttl_s=60,
            now_ms=NOW,
        )
        assert uow.after_commit, "the earlier command is replaced"
        raise NotAllowed("no more")

    with pytest.raises(NotAllowed):
        store.run(break_off)
    assert cancelled() == 0
    commands.cancel(store, command, "anna", NOW)
    assert cancelled() == 1


def test_a_rule_without_an_output_is_counted(sqlite_store: Store) -> None:
    in_vain = growth("rules_failed_total")
    source, nowhere = (RegisterRef("gw-1", "meter", key) for key in ("power", "nowhere"))
    rule = Rule(name="roof", source=source, above="100", below="80", output=nowhere)
    sync_rules(sqlite_store, [rule], NOW)
    says = Gateway()
    ingest(sqlite_store, [says.hello(), says.batch(1, catalog(), power(NOW, 1500))], NOW)
    assert in_vain() == 1


def test_a_locked_database_is_a_transaction_tried_again(sqlite_url: str) -> None:
    retried = growth("transactions_retried_total", why="lock_timeout")
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)

    def retry(why: Trouble) -> None:
        other.execute("ROLLBACK")
        transaction_retried(why)

    store = Store(sqlite_url, on_retry=retry)
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    store.run(lambda uow: uow.gateways.ids(["gw"]))
    assert retried() == 1
    other.close()
    store.close()


def test_answers_are_counted_by_the_template_of_their_route(sqlite_store: Store) -> None:
    accounts.create(sqlite_store, "ana", "correct horse", Role.VIEWER, NOW)
    token = accounts.create_token(sqlite_store, "ana", "test", NOW, None)
    api = TestClient(create_api(sqlite_store, clock=ManualClock(NOW)))
    site = "/api/v1/sites/{site_id}"
    for path in ("/api/v1/sites/0", "/healthz", "/made/up"):
        api.get(path)
    refused = growth("http_requests_total", route=site, status="4xx")
    alive = growth("http_requests_total", route="/healthz", status="2xx")
    nowhere = growth("http_requests_total", route="other", status="4xx")
    took = growth("http_request_duration_seconds_count", route=site)
    for number in (7, 8):
        api.get(f"/api/v1/sites/{number}", headers={"Authorization": f"Bearer {token}"})
    api.get("/api/v1/sites/9")
    api.get("/healthz")
    for made_up in ("/made/up/1", "/api/v1/nothing", "/api/v1/sites/7/8"):
        api.get(made_up)
    assert (refused(), took(), alive(), nowhere()) == (3, 3, 1, 3)


def test_a_database_that_is_away_is_no_error_of_the_metrics() -> None:
    store = Store(f"mysql+pymysql://root@127.0.0.1:{free_port()}/nowhere")
    api = create_api(store, clock=ManualClock(NOW))
    here = TestClient(api, client=("127.0.0.1", 5000)).get("/metrics")
    assert here.status_code == 200
    assert "inmetter_database_up 0.0" in here.text.splitlines()
    assert "inmetter_entries_committed_total" in here.text
    assert "inmetter_gateway" not in here.text
    store.close()


async def test_a_broker_that_goes_is_counted_and_seen(tmp_path: Path) -> None:
    async def ignore(_topic: str, _payload: bytes) -> None:
        return

    with Mosquitto(tmp_path) as broker:
        session = MqttSession(
            broker.settings, "counted", clock=SystemClock(), subscriptions=[], on_message=ignore
        )

        def seen() -> list[float]:
            return [one.samples[0][1] for one in figures.connections({"ingest": session})]

        assert seen() == [0, 0, 0, 0, 0]
        async with running(session.run()):
            await connected(session)
            assert seen() == [1, 1, 0, 0, 0]
            broker.kill()
            await in_time(lambda: not session.connected)
            with pytest.raises(Unreachable):
                await session.publish("a", b"")
            await in_time(lambda: session.connects_failed > 0)
            broker.start()
            await connected(session)
            assert seen() == [1, 2, 1, session.connects_failed, 1]


class FaultyStore(Store):
    """Whatever is asked of it is a fault that nobody foresaw."""

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        raise RuntimeError("nobody foresaw this")
        yield

    read = begin


async def test_a_fault_of_a_worker_is_counted_and_it_goes_on(
    sqlite_url: str, mosquitto: Mosquitto
) -> None:
    faults = {
        worker: growth("worker_faults_total", worker=worker)
        for worker in ("ingest", "dispatch", "reconcile")
    }
    dropped = growth("messages_dropped_total")
    store, clock = FaultyStore(sqlite_url), ManualClock(NOW)
    ingesting = IngestWorker(store, mosquitto.settings, clock)
    says = Gateway()
    await ingesting._store([unpack(one, NOW) for one in (says.hello(), says.batch(1, catalog()))])
    assert (faults["ingest"](), dropped()) == (3, 2), "as a group, then one by one"
    dispatching = DispatchWorker(store, mosquitto.settings, clock)
    async with running(dispatching.run()):
        await connected(dispatching.session)
        await in_time(lambda: faults["dispatch"]() == 1 and clock.sleepers == 2)
        clock.advance(2 * LOOK_EVERY_S)
        await in_time(lambda: faults["reconcile"]() == 1 and faults["dispatch"]() == 2)
    store.close()


async def test_what_is_held_is_seen_until_it_is_stored() -> None:
    held = Held()

    def seen() -> list[float]:
        return [one.samples[0][1] for one in figures.held(held)[:2]]

    await held.put(Gateway().received("journal", b"x" * 100))
    await held.put(Gateway().received("journal", b"x" * 3000))
    assert seen() == [2, 3100]
    lane, _ = await held.take_whole()
    await held.put_apart(lane, [])
    assert seen() == [1, 3100]


async def test_only_live_messages_by_a_clock_that_was_set_tell_of_delay(
    sqlite_store: Store, mosquitto: Mosquitto
) -> None:
    count, total = (growth(f"entry_delay_seconds_{what}") for what in ("count", "sum"))
    clock = ManualClock(NOW)
    worker = IngestWorker(sqlite_store, mosquitto.settings, clock)

    async def say(first: int, appended_ago_ms: int, quality: ClockQuality, entries: int) -> None:
        packed = [
            Entry(
                first + n,
                msgspec.Raw(encode(power(NOW - 90_000 - n, 7919 * n * n % 10_007))),
                at=NOW - appended_ago_ms + n,
                boot=1,
                mono=5_000 + n,
                clock=quality,
            )
            for n in range(entries)
        ]
        await worker._hold(topics.up("gw-1", "journal"), pack(STREAM, packed))

    says = Gateway()
    async with running(worker._take_apart(), worker._work()):
        for message in (says.hello(), says.batch(1, catalog())):
            await worker._hold(message.topic, message.payload)
        await say(2, 2_000, ClockQuality.SYNCED, 3)
        await say(5, 4_000, ClockQuality.FREE, 1)
        await say(6, 8_000, ClockQuality.SYNCED, 2000)

        await in_time(lambda: rows_of(sqlite_store, "SELECT last FROM ledger") == [(2005,)])
        await say(2006, 1_000, ClockQuality.CLOUD, 1)
        await in_time(lambda: count() > 1)
    assert count() == 2
    assert total() == pytest.approx(3.0)
