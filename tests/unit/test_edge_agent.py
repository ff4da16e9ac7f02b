"""One configuration after the other where there is no cloud: what is kept, and what runs again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.messages.downlink import Configuration
from common.messages.uplink import RefusedConfig
from edge_agent.agent import Agent, open_agent
from edge_agent.pushed import FILE, Pushed, load_kept
from tests.harness.ports import free_port
from tests.unit.edge_parts import texts, until

OWN = """\
[gateway]
id = "hall"
name = "Hall"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"
config_trial_s = {trial_s}

[mqtt]
port = {port}
"""


@asynccontextmanager
async def agent_of(file: Path) -> AsyncIterator[Agent]:
    agent = await open_agent(file, SystemClock())
    stop = asyncio.Event()
    runs = asyncio.ensure_future(agent.run(stop))
    try:
        yield agent
    finally:
        stop.set()
        await runs


def write(directory: Path, trial_s: float) -> Path:
    """A gateway's own file, whose broker is not there."""
    file = directory / "edge.toml"
    file.write_text(OWN.format(trial_s=trial_s, port=free_port()))
    return file


async def test_a_gateway_without_a_cloud_keeps_what_it_has(tmp_path: Path) -> None:
    file = write(tmp_path, trial_s=0.3)
    async with agent_of(file) as agent:
        first = agent.app
        # The trial of a push is as long as what runs says, not as the push would like it.
        wanted = file.read_text().replace("_s = 0.3", "_s = 3600")
        first.on_config(Configuration(4, wanted))
        await until(lambda: agent.app is not first)
        second = agent.app
        assert agent.kept.status.trial
        assert second.config.version == 4
        assert (second.database, second.journal) == (first.database, first.journal)
        await until(lambda: agent.app is not second)
        reason = "within 0.3 s the cloud was not heard"
        assert agent.app.config is first.config
        assert agent.kept.refused == RefusedConfig(4, reason)
        assert load_kept(first.config) == agent.kept
        assert (await texts(first.journal))[-2:] == [
            "version 4 from the cloud is on trial: gateway.config_trial_s 0.3 → 3600.0",
            f"version 4 from the cloud was taken back: {reason}",
        ]


async def test_what_the_disk_does_not_take_is_not_tried_and_may_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path, trial_s=60)
    wanted = file.read_text().replace('name = "Hall"', 'name = "Other"', 1)
    async with agent_of(file) as agent:
        blocked = agent.app.database.path.with_name(f"{FILE}.new")
        blocked.mkdir()
        first = agent.app
        first.on_config(Configuration(1, wanted))
        await until(lambda: "cannot be written down" in caplog.text)
        assert agent.kept.newest == 0
        assert first.health
        assert first.health.config == agent.kept.status
        blocked.rmdir()
        first.on_config(Configuration(1, wanted))
        await until(lambda: agent.app is not first)
        assert load_kept(first.config).candidate == Pushed(1, wanted)
    async with agent_of(file) as agent:
        assert agent.app.config.version == 0
        assert agent.kept.refused
        assert agent.kept.refused.reason == "the agent ended before its trial was over"


async def test_of_several_pushes_the_newest_is_tried(tmp_path: Path) -> None:
    file = write(tmp_path, trial_s=60)
    text = file.read_text()
    async with agent_of(file) as agent:
        first = agent.app
        for version, days in ((2, 40), (3, 50), (1, 60)):
            wanted = text.replace("config_trial_s", f"keep_days = {days}\nconfig_trial_s")
            first.on_config(Configuration(version, wanted))
        await until(lambda: agent.app is not first)
        assert agent.app.config.version == 3
        assert agent.app.config.settings.gateway.keep_days == 50
