"""The dispatcher over a real broker that is not always there."""

from pathlib import Path

from cloud.services import commands
from cloud.services.commands import Publication
from cloud.services.ingest import ingest
from cloud.storage.unit_of_work import Store
from cloud.workers.dispatch import DispatchWorker
from cloud.workers.ingest import IngestWorker
from common.clock import ManualClock, SystemClock, to_datetime
from common.messages.downlink import Command
from common.messages.envelope import decode
from tests.harness.gateway import GatewayEnd, connected, in_time, running
from tests.harness.mosquitto import Mosquitto
from tests.harness.says import Gateway, catalog
from tests.harness.tables import rows_of


def issue(store: Store, *, ttl_s: int) -> str:
    """A command to the output of gateway ``gw-1``."""
    clock = SystemClock()
    gateway = Gateway()
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], clock.now_ms())
    [(register_id,)] = rows_of(store, "SELECT id FROM register WHERE writable")
    return commands.issue(
        store,
        register_id=register_id,
        value=1,
        issued_by="anna",
        ttl_s=ttl_s,
        now_ms=clock.now_ms(),
    ).id


async def test_a_command_waits_for_the_broker_and_is_not_called_sent_before(
    sqlite_store: Store, tmp_path: Path
) -> None:
    clock = SystemClock()
    with Mosquitto(tmp_path) as broker:
        dispatch = DispatchWorker(sqlite_store, broker.settings, clock)
        site = GatewayEnd(broker.settings, "gw-1")
        async with running(dispatch.run(), site.session.run()):
            await connected(dispatch.session, site.session)
            broker.kill()
            await in_time(lambda: not dispatch.session.connected)
            command_id = issue(sqlite_store, ttl_s=120)
            dispatch.wake()
            back_at = to_datetime(clock.now_ms())
            broker.start()
            heard = decode(await site.hear("command"), Command)
    assert heard.id == command_id
    steps = commands.get(sqlite_store, command_id).steps
    assert [step.state for step in steps] == ["pending", "sent"]
    assert steps[1].at >= back_at


async def test_what_it_is_handed_goes_out_though_nothing_is_due(
    sqlite_store: Store, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path) as broker:
        dispatch = DispatchWorker(sqlite_store, broker.settings, SystemClock())
        site = GatewayEnd(broker.settings, "gw-1")
        assert not dispatch.ready
        async with running(dispatch.run(), site.session.run()):
            await connected(dispatch.session, site.session)
            await in_time(lambda: dispatch.ready)
            dispatch.send(Publication("inmetter/v1/gw-1/down/command", b"at once"))
            assert await site.hear("command") == b"at once"


async def test_a_command_expires_though_the_broker_is_away(
    sqlite_store: Store, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path) as broker:
        broker.kill()
        dispatch = DispatchWorker(sqlite_store, broker.settings, SystemClock())
        async with running(dispatch.run()):
            command_id = issue(sqlite_store, ttl_s=1)
            await in_time(lambda: commands.get(sqlite_store, command_id).state == "expired")
    steps = commands.get(sqlite_store, command_id).steps
    assert [step.state for step in steps] == ["pending", "expired"]


async def test_a_gateway_that_connects_gets_what_is_waiting_each_time(
    sqlite_store: Store, mosquitto: Mosquitto
) -> None:
    """Whoever was restarted meanwhile. No time passes: nothing is due but for the hello."""
    command_id = issue(sqlite_store, ttl_s=600)
    clock = ManualClock(SystemClock().now_ms())
    for session in (2, 3, 4):
        dispatch = DispatchWorker(sqlite_store, mosquitto.settings, clock)
        ingests = IngestWorker(sqlite_store, mosquitto.settings, clock, group="waiting")
        site = GatewayEnd(mosquitto.settings, "gw-1")
        async with running(dispatch.run(), ingests.run(), site.session.run()):
            await connected(dispatch.session, ingests.session, site.session)
            await site.say(site.says.hello(session=session, next_seq=2))
            assert decode(await site.hear("command"), Command).id == command_id
    assert commands.get(sqlite_store, command_id).state == "sent"
