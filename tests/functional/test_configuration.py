"""Configurations from a real cloud to a real agent over simulated devices: tried, kept or not."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloud.services import configuration, events
from cloud.services.store import Store
from cloud.services.views import ConfigurationView, ConfigVersionView
from cloud.workers.dispatch import DispatchWorker
from cloud.workers.ingest import IngestWorker
from common import topics
from common.clock import SystemClock
from common.messages.downlink import Configuration
from common.messages.envelope import encode
from common.ranges import RangeSet
from edge_agent.agent import Agent, open_agent
from tests.harness.books import read_journal
from tests.harness.gateway import connected, in_time, running
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port
from tests.harness.processes import Program, Programs
from tests.harness.site import SiteFiles
from tests.harness.tables import rows_of

ALL = {"electricity-hall", "electricity-main", "cold-water", "hot-water", "gas"}
TRIAL_S = 4


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with Programs(tmp_path) as made:
        yield made


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as started:
        yield started


@pytest.fixture
def site(tmp_path: Path, broker: Mosquitto, programs: Programs) -> SiteFiles:
    """A simulated site that is up; no agent runs yet."""
    files = SiteFiles(tmp_path / "site", broker.port, turns_s=5).write()
    text = files.edge.read_text().replace("[mqtt]", f"config_trial_s = {TRIAL_S}\n\n[mqtt]", 1)
    files.edge.write_text(text)
    programs.add("simulators", *files.simulator_command()).start()
    programs["simulators"].wait_for("simulated site is up")
    return files


def without(text: str, key: str) -> str:
    """A configuration without that device."""
    blocks = re.split(r"(?=^\[\[device\]\]$)", text, flags=re.MULTILINE)
    return "".join(block for block in blocks if f'key = "{key}"\n' not in block)


class Cloud:
    """A cloud that runs, and what it knows of the only gateway."""

    def __init__(self, store: Store, dispatch: DispatchWorker) -> None:
        self.store = store
        self.dispatch = dispatch

    @property
    def gateway(self) -> int:
        """Its id: a database may leave numbers out."""
        [(id_,)] = rows_of(self.store, "SELECT id FROM gateway")
        return int(id_)

    @property
    def view(self) -> ConfigurationView:
        return configuration.get(self.store, self.gateway)

    async def until_reported(self) -> None:
        """Until it knows what the gateway runs."""
        await in_time(lambda: bool(rows_of(self.store, "SELECT status FROM gateway WHERE online")))
        await in_time(lambda: self.view.running is not None)

    def push(self, toml: str) -> None:
        now = SystemClock().now_ms()
        configuration.desire(self.store, self.gateway, toml, set_by="ana", now_ms=now)

    async def until_version(self, version: int, state: str) -> ConfigVersionView:
        """The version, once that was heard of it."""

        def so() -> bool:
            one = configuration.version(self.store, self.gateway, version)
            assert one.state == state, one
            return True

        await in_time(so)
        return configuration.version(self.store, self.gateway, version)

    def read_since(self, seq: int) -> set[str]:
        """Devices of which there are readings that came after entry ``seq``."""
        query = (
            "SELECT DISTINCT device.`key` FROM device JOIN register ON device_id = device.id"
            f" JOIN latest ON register_id = register.id WHERE latest.received_at > {seq}"
        )
        return {key for (key,) in rows_of(self.store, query)}

    def told(self, code: str) -> list[str]:
        """The texts of events of that kind, the newest first."""
        return [one.text for one in events.recent(self.store, 200) if one.code == code]

    def committed(self) -> RangeSet:
        return RangeSet(rows_of(self.store, "SELECT first, last FROM ledger"))


@asynccontextmanager
async def cloud_over(store: Store, broker: Mosquitto) -> AsyncIterator[Cloud]:
    clock = SystemClock()
    ingest = IngestWorker(store, broker.settings, clock)
    dispatch = DispatchWorker(store, broker.settings, clock)
    async with running(ingest.run(), dispatch.run()):
        await connected(ingest.session, dispatch.session)
        yield Cloud(store, dispatch)


@asynccontextmanager
async def agent_of(site: SiteFiles) -> AsyncIterator[Agent]:
    agent = await open_agent(site.edge, SystemClock())
    stop = asyncio.Event()
    runs = asyncio.ensure_future(agent.run(stop))
    try:
        yield agent
    finally:
        stop.set()
        await runs


async def all_answer(agent: Agent) -> None:
    """Until every device has answered."""

    def so() -> bool:
        states = {one.key: one.state for one in agent.app.states.all()}
        assert set(states.values()) == {"ok"}, states
        return True

    await in_time(so)


def check(site: SiteFiles, *arguments: str) -> str:
    command = [sys.executable, "-m", "edge_agent", "check", str(site.edge), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def test_a_push_adds_a_device_and_the_journal_goes_on_as_it_was(
    site: SiteFiles, broker: Mosquitto, store: Store
) -> None:
    whole = site.edge.read_text()
    site.edge.write_text(without(whole, "electricity-hall"))
    async with cloud_over(store, broker) as cloud, agent_of(site) as agent:
        await all_answer(agent)
        await cloud.until_reported()
        assert cloud.view.running == 0
        before = (agent.app.journal.stream, agent.app.journal.boot)
        database, began = agent.app.database, SystemClock().now_ms()
        cloud.push(whole)
        await cloud.until_version(1, "applied")
        await in_time(lambda: cloud.read_since(began) == ALL)
        assert (agent.app.journal.stream, agent.app.journal.boot) == before
        assert agent.app.database is database
        assert cloud.view.running == 1
        await in_time(lambda: bool(cloud.told("config_applied")))
        assert cloud.told("config_applied") == [
            "version 1 from the cloud runs: device electricity-hall is new"
        ]
        last = read_journal(site.journal).last
        await in_time(lambda: not cloud.committed().missing(1, last))
        assert len(rows_of(store, "SELECT id FROM stream")) == 1
    assert site.edge.read_text() == without(whole, "electricity-hall")


async def test_a_push_with_an_error_is_refused_and_the_cloud_sees_why(
    site: SiteFiles, broker: Mosquitto, sqlite_store: Store
) -> None:
    async with cloud_over(sqlite_store, broker) as cloud, agent_of(site) as agent:
        await cloud.until_reported()
        app = agent.app
        cloud.push(site.edge.read_text().replace('line = "lan"', 'line = "lann"'))
        refused = await cloud.until_version(1, "refused")
        assert "device[2].line: there is no [[line]] with the id 'lann'" in refused.detail
        cloud.push(site.edge.read_text().replace('name = "Hall 1"', 'name = ""'))
        assert "gateway.name" in (await cloud.until_version(2, "refused")).detail
        assert agent.app is app
        assert cloud.view.running == 0
        await in_time(lambda: len(cloud.told("config_refused")) == 2)


BREAKS: list[tuple[str, Callable[[SiteFiles], int], str]] = [
    ("broker", lambda site: site.broker, "the cloud was not heard"),
    ("meter", lambda site: site.modbus, "electricity-main did not answer"),
]


@pytest.mark.parametrize(("_what", "port", "reason"), BREAKS, ids=[one[0] for one in BREAKS])
async def test_a_push_that_breaks_something_is_rolled_back_by_the_gateway_itself(
    site: SiteFiles,
    broker: Mosquitto,
    sqlite_store: Store,
    _what: str,
    port: Callable[[SiteFiles], int],
    reason: str,
) -> None:
    async with cloud_over(sqlite_store, broker) as cloud, agent_of(site) as agent:
        await all_answer(agent)
        await cloud.until_reported()
        stream = agent.app.journal.stream
        good = site.edge.read_text()
        cloud.push(good.replace(str(port(site)), str(free_port())))
        refused = await cloud.until_version(1, "refused")
        assert f"within {TRIAL_S} s" in refused.detail
        assert reason in refused.detail
        assert cloud.view.running == 0
        await all_answer(agent)
        await in_time(lambda: bool(cloud.told("config_rolled_back")))
        assert reason in cloud.told("config_rolled_back")[0]
        assert "port" in cloud.told("config_trial")[0] or "url" in cloud.told("config_trial")[0]
        assert agent.app.journal.stream == stream
        last = read_journal(site.journal).last
        await in_time(lambda: not cloud.committed().missing(1, last))
        cloud.push(good.replace('name = "Hall 1"', 'name = "Hall one"'))
        await cloud.until_version(2, "applied")


async def test_what_is_good_survives_a_restart_until_the_file_is_changed(
    site: SiteFiles, broker: Mosquitto, sqlite_store: Store
) -> None:
    whole = site.edge.read_text()
    async with cloud_over(sqlite_store, broker) as cloud:
        async with agent_of(site):
            await cloud.until_reported()
            cloud.push(without(whole, "gas"))
            await cloud.until_version(1, "applied")
        said = check(site)
        assert said.startswith("version 1 from the cloud: good; it runs instead of ")
        assert "gas" not in said
        assert check(site, "--text") == without(whole, "gas")
        async with agent_of(site) as agent:
            await all_answer(agent)
            assert set(agent.app.devices.all) == ALL - {"gas"}
            await in_time(lambda: cloud.view.running == 1)
        site.edge.write_text(whole + "\n# repaired on site\n")
        assert check(site).startswith(f"{site.edge}: good\n")
        async with agent_of(site) as agent:
            assert set(agent.app.devices.all) == ALL
            refused = await cloud.until_version(1, "refused")
            assert refused.detail == "edge.toml was changed on the gateway, and runs instead"
            await in_time(lambda: bool(cloud.told("config_local")))
            assert cloud.view.running == 0


async def test_a_gateway_killed_in_a_trial_starts_with_what_was_good(
    site: SiteFiles, broker: Mosquitto, sqlite_store: Store, programs: Programs
) -> None:
    site.edge.write_text(site.edge.read_text().replace(f"trial_s = {TRIAL_S}", "trial_s = 600"))
    edge: Program = programs.add("edge", *site.edge_command()).start()
    async with cloud_over(sqlite_store, broker) as cloud:
        await cloud.until_reported()
        cloud.push(site.edge.read_text().replace(str(site.broker), str(free_port())))
        await asyncio.to_thread(edge.wait_for, "version 1 from the cloud runs")
        edge.kill9()
        stream = read_journal(site.journal).stream
        edge.start()
        refused = await cloud.until_version(1, "refused")
        assert refused.detail == "the agent ended before its trial was over"
        assert cloud.view.running == 0
        await in_time(lambda: bool(cloud.told("config_rolled_back")))
        assert read_journal(site.journal).stream == stream
        assert "Traceback" not in edge.log_text()


async def test_the_same_version_again_does_nothing_twice(
    site: SiteFiles, broker: Mosquitto, sqlite_store: Store
) -> None:
    text = without(site.edge.read_text(), "gas")
    async with cloud_over(sqlite_store, broker) as cloud, agent_of(site) as agent:
        await cloud.until_reported()
        cloud.push(text)
        await cloud.until_version(1, "applied")
        assert agent.app.mqtt
        app, connects = agent.app, agent.app.mqtt.connects
        topic = topics.down(app.config.settings.gateway.id, "config")
        for _ in range(3):
            await cloud.dispatch.session.publish(topic, encode(Configuration(1, text)))
        same = encode(Configuration(2, text + "\n# only a remark\n"))
        await cloud.dispatch.session.publish(topic, same)
        await in_time(lambda: agent.kept.status.version == 2)
        assert agent.app is app
        assert agent.app.mqtt.connects == connects
        await in_time(lambda: len(cloud.told("config_applied")) == 2)
        assert cloud.told("config_applied")[0] == (
            "version 2 from the cloud runs: it says what ran already"
        )
        assert len(cloud.told("config_trial")) == 1
