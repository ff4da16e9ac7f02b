"""The workers over a real broker: acks after commits, commands to gateways and back."""

import asyncio
import secrets
from pathlib import Path

import pytest

from cloud.services import commands
from cloud.services.rules import sync_rules
from cloud.storage.migrations import migrate
from cloud.storage.unit_of_work import Store
from cloud.workers.dispatch import DispatchWorker
from cloud.workers.ingest import IngestWorker
from common.clock import SystemClock
from common.messages.downlink import Ack, Command, Resume
from common.messages.envelope import decode
from common.messages.uplink import CommandReport
from common.rules import RegisterRef, Rule
from tests.harness.gateway import GatewayEnd, connected, running
from tests.harness.mariadb import MariaDb
from tests.harness.mosquitto import Mosquitto
from tests.harness.says import STREAM, catalog, power


@pytest.mark.parametrize("group", ["ingest", ""])
async def test_from_a_reading_to_an_output_and_back(
    store: Store, mosquitto: Mosquitto, group: str
) -> None:
    key = f"gw-{secrets.token_hex(4)}"
    clock = SystemClock()
    rule = Rule(
        name="roof",
        source=RegisterRef(key, "meter", "power"),
        above="100",
        below="80",
        output=RegisterRef(key, "meter", "roof"),
    )
    sync_rules(store, [rule], clock.now_ms())
    dispatch = DispatchWorker(store, mosquitto.settings, clock)
    worker = IngestWorker(store, mosquitto.settings, clock, group=group, on_work=dispatch.wake)
    site = GatewayEnd(mosquitto.settings, key)
    async with running(worker.run(), dispatch.run(), site.session.run()):
        await connected(worker.session, dispatch.session, site.session)
        await site.say(site.says.hello())
        assert decode(await site.hear("resume"), Resume).committed == []
        await site.say(site.says.batch(1, catalog(), power(clock.now_ms(), 1500)))
        assert decode(await site.hear("ack"), Ack) == Ack(STREAM, 1, 2)
        command = decode(await site.hear("command"), Command)
        assert (command.device, command.register, command.value) == ("meter", "roof", 1)
        repeated = decode(await site.hear("command"), Command)
        assert repeated == command
        report = CommandReport(clock.now_ms(), command.id, "succeeded", 1)
        await site.say(site.says.batch(3, report))
        assert decode(await site.hear("ack"), Ack) == Ack(STREAM, 3, 3)
    done = commands.get(store, command.id)
    assert [step.state for step in done.steps] == ["pending", "sent", "succeeded"]
    assert done.readback == 1


async def test_nothing_is_acknowledged_while_the_database_is_away(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    clock = SystemClock()
    with MariaDb(tmp_path) as server:
        url = server.create_database("cloud")
        migrate(url)
        store = Store(url)
        worker = IngestWorker(store, mosquitto.settings, clock, group="away")
        site = GatewayEnd(mosquitto.settings, "gw-away")
        async with running(worker.run(), site.session.run()):
            await connected(worker.session, site.session)
            await site.say(site.says.hello())
            await site.hear("resume")
            await site.say(site.says.batch(1, catalog()))
            await site.hear("ack")
            server.kill()
            for seq in range(2, 12):
                await site.say(site.says.batch(seq, power(clock.now_ms(), seq)))
            assert site.told.empty()
            await asyncio.to_thread(server.start)
            heard = [decode(await site.hear("ack"), Ack) for _ in range(10)]
        with store.read() as uow:
            [row] = uow.ledger.streams(list(uow.gateways.ids(["gw-away"]).values()), [STREAM])
        store.close()
    assert sorted(ack.first for ack in heard) == list(range(2, 12))
    assert list(row.committed) == [(1, 11)]
