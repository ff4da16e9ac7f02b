"""``inmetter-edge journal`` beside a running agent, and an agent whose file is damaged."""

import asyncio
import csv
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.clock import ManualClock, SystemClock
from common.messages.uplink import Readings, Value
from edge_agent.agent import keep_running
from edge_agent.config import load
from edge_agent.doctor import Verdict, check_data
from edge_agent.store.database import read_only
from edge_agent.store.tail import Transaction
from tests.harness.eventually import eventually
from tests.harness.ports import free_port
from tests.harness.processes import Programs
from tests.unit.edge_parts import NOW, event, opened

CONFIG = """\
[gateway]
id = "hall-1"
name = "Hall"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"

[c11do1eth]
port = {port}

[[line]]
id = "nobody"
url = "tcp://127.0.0.1:{nobody}"

[[device]]
driver = "modbus"
key = "meter"
name = "Meter"
line = "nobody"
unit = 1
profile = "schneider_iem3000"
interval_s = 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "edge.toml"
    found.write_text(CONFIG.format(port=free_port(), nobody=free_port()))
    return found


def journal(*arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "edge_agent", "journal", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def document(*arguments: str) -> Any:
    return json.loads(journal(*arguments, "--json"))


def exported(path: Path, *arguments: str) -> list[Any]:
    return [json.loads(line) for line in journal("export", str(path), *arguments).splitlines()]


def codes(path: Path) -> list[str]:
    return [one["body"].get("code", one["body"]["k"]) for one in exported(path)]


def test_without_a_file_the_command_says_so(path: Path) -> None:
    assert "first start" in journal("status", str(path), code=1)


def test_status_verify_and_export_read_beside_a_running_agent(tmp_path: Path, path: Path) -> None:
    with Programs(tmp_path) as programs:
        agent = programs.add("edge", sys.executable, "-m", "edge_agent", "run", str(path)).start()
        agent.wait_for("1 devices")
        status = document("status", str(path))
        assert status["entries"] >= 2
        assert status["running"]
        assert (status["queued"], status["lost"]) == (status["entries"], 0)
        assert 0 < status["used"] < status["quota"] == 2_000_000_000
        assert "the cloud lacks" in journal("status", str(path))
        assert "sound" in journal("verify", str(path))
        assert codes(path)[:2] == ["catalog", "agent_started"]
        agent.stop()
        assert agent.exit_code == 0
    [one] = exported(path, "--from", "2", "--to", "2")
    assert (one["seq"], one["boot"]) == (2, 1)
    assert exported(path, "--since", "2100-01-01") == []
    assert journal("export", str(path), "--since", "soon", code=2)


def test_a_running_agent_alone_may_salvage(tmp_path: Path, path: Path) -> None:
    with Programs(tmp_path) as programs:
        agent = programs.add("edge", sys.executable, "-m", "edge_agent", "run", str(path)).start()
        agent.wait_for("1 devices")
        said = journal("salvage", str(path), str(path), code=1)
        assert "stop it" in said
        agent.stop()


async def test_export_gives_values_as_they_were_measured(path: Path) -> None:
    readings = Readings(NOW, [Value(1, -5, 0, 7), Value(2, 123, 3)])

    def name_register(transaction: Transaction) -> None:
        transaction.connection.execute("INSERT INTO register VALUES (1, 'meter', 'power', 'p', 2)")

    async with opened(load(path).database.parent) as one:
        await one.append(event(), readings)
        await one.write(name_register)
    rows = list(csv.reader(journal("export", str(path), "--csv").splitlines()))
    assert rows[0] == ["seq", "time", "device", "register", "value", "quality", "raw"]
    assert rows[1][:2] == ["2", "2025-11-23T12:13:20.000+00:00"]
    assert rows[1][2:] == ["meter", "power", "-0.05", "0", "7"]
    assert rows[2][2:] == ["", "2", "123", "3", ""]


async def test_damage_does_not_end_the_agent_which_salvages_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found at run time, the same process goes on with a new file."""
    monkeypatch.setattr("edge_agent.store.database.CHECKED_BYTES", 0)
    config = load(path)
    async with opened(config.database.parent) as one:
        await one.append(*[event(str(number)) for number in range(100)])
        stream = one.stream
    with closing(read_only(config.database)) as connection:
        [root] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'inbox'")
    with config.database.open("r+b") as file:
        file.seek((root[0] - 1) * 4096)
        file.write(os.urandom(4096))
    stop = asyncio.Event()
    running = asyncio.ensure_future(keep_running(path, SystemClock(), stop))
    await asyncio.to_thread(eventually, lambda: len(salvaged(path)) == 100)
    stop.set()
    await running
    assert [one["body"]["body"]["text"] for one in salvaged(path)] == [str(n) for n in range(100)]
    assert {one["body"]["stream"] for one in salvaged(path)} == {stream}
    [told] = [one["body"] for one in exported(path) if one["body"].get("code") == "journal_damaged"]
    assert told["severity"] == "alarm"
    assert told["data"]["stream"] == stream
    aside = config.database.with_name(told["data"]["aside"])
    assert aside.exists()
    again = journal("salvage", str(path), str(aside))
    assert again.startswith("0 entries")
    assert "had been salvaged before" in again


def salvaged(path: Path) -> list[Any]:
    """The entries that were salvaged, without what the agent itself had said."""
    every = [one for one in exported(path) if one["body"]["k"] == "salvaged"]
    return [one for one in every if one["body"]["body"].get("code") == "test"]


async def test_a_day_of_outage_that_does_not_fit_is_a_finding(path: Path) -> None:
    config = load(path)
    clock = ManualClock(NOW)
    async with opened(config.database.parent, clock) as one:
        for _ in range(3):
            await one.append(*[Readings(NOW, [Value(1, 1)] * 50)] * 100)
            clock.advance(60)
    wide = [one for one in check_data(config) if one.subject == "outage"]
    assert [one.verdict for one in wide] == [Verdict.GOOD]
    gateway = msgspec.structs.replace(config.settings.gateway, journal_bytes=2_000_000)
    narrow = replace(config, settings=msgspec.structs.replace(config.settings, gateway=gateway))
    [found] = [one for one in check_data(narrow) if one.subject == "outage"]
    assert found.verdict is Verdict.WARNING
    assert "journal_bytes" in found.advice
    assert re.search(r"room for \d+ h without the cloud", journal("status", str(path)))
