"""A full disk: the agent starts, stays up, and goes on when there is room again."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from common.clock import ManualClock
from edge_agent import app as agent
from edge_agent.config import Config, GatewaySettings, Settings
from edge_agent.store import database
from tests.unit.edge_parts import NOW, fill_disk, turns


def config(directory: Path) -> Config:
    gateway = GatewaySettings("hall", "Hall", "hall", "Hall", "Europe/Bucharest")
    return Config(directory / "edge.toml", Settings(gateway))


async def test_a_full_disk_does_not_keep_the_agent_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await agent.build(config(tmp_path), ManualClock(NOW))
    kept = first.journal.next_seq
    await first.close()
    prepare = database._prepare

    def on_a_full_disk(connection: sqlite3.Connection, path: Path) -> None:
        prepare(connection, path)
        connection.execute("PRAGMA query_only = 1")

    monkeypatch.setattr(database, "_prepare", on_a_full_disk)
    second = await agent.build(config(tmp_path), ManualClock(NOW))
    assert (second.journal.boot, second.journal.next_seq) == (2, kept)
    await second.close()


async def test_retention_does_not_die_of_a_full_disk(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    app = await agent.build(config(tmp_path), clock)
    await fill_disk(app.journal)
    stop = asyncio.Event()
    running = asyncio.ensure_future(app.run(stop))
    for _ in range(3):
        while clock.sleepers == 0:
            await turns(1)
        clock.advance(agent.RETENTION_S)
        await turns(5)
    assert app.restarts == 0
    stop.set()
    await running
