"""C11DO1ETH modules and the installer's tools: what a module has to say stays the agent's."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from common.clock import SystemClock
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from tests.contract.c11do1eth_site import running
from tests.contract.playing import happens
from tests.harness.ports import free_port
from tests.harness.processes import Programs

KEY = "0123456789abcdef0123456789abcdef"
RECORDS = 30
"""More than a module sends in one batch."""

CONFIG = """\
[gateway]
id = "hall-1"
name = "Hall"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"

[c11do1eth]
port = {port}

[[device]]
driver = "c11do1eth"
key = "water"
name = "Water"
medium = "water"
key_file = "water.key"
pulse_weight = "10 l"

[device.output]
key = "valve"
name = "Valve"
"""


def write(folder: Path) -> tuple[Path, int]:
    """A configuration, and its port."""
    path, port = folder / "edge.toml", free_port()
    (folder / "water.key").write_text(f"{KEY}\n")
    path.write_text(CONFIG.format(port=port))
    return path, port


async def edge(*arguments: object) -> tuple[int, Any]:
    """Exit code and JSON."""
    command = [sys.executable, "-m", "edge_agent", *map(str, arguments), "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@asynccontextmanager
async def calling(port: int, key: str = KEY) -> AsyncIterator[C11Core]:
    """A module with records of its own, that calls."""
    core, clock = C11Core("water", key.encode(), lambda _: 4711, backlog_delay_s=0), SystemClock()
    core.power_up(clock.now_ms())
    for _ in range(RECORDS):
        core.record(clock.now_ms())
    simulator = C11Simulator(core, "127.0.0.1", port, clock, back_off_s=(0.05, 0.1), tick_s=0.1)
    async with running(simulator.run()):
        yield core


def numbers(core: C11Core) -> set[int]:
    """Of what the module still has."""
    return {item.seq for item in core.ring}


async def test_no_tool_takes_a_record_from_a_module_and_the_agent_gets_them_all(
    tmp_path: Path,
) -> None:
    path, port = write(tmp_path)
    async with calling(port) as core:
        for command in (
            ("read", path),
            ("check", path, "--online"),
            ("output", path, "water", "on"),
            ("scan", "c11do1eth", path),
        ):
            code, said = await edge(*command)
            assert code == 0, said
            assert numbers(core) == set(range(1, core.last + 1)), command
        with Programs(tmp_path) as programs:
            agent = programs.add("edge", sys.executable, "-m", "edge_agent", "run", str(path))
            agent.start()
            await happens(lambda: not numbers(core) & set(range(1, RECORDS + 1)))
            agent.stop()


async def test_a_module_is_read_with_what_it_counts_now(tmp_path: Path) -> None:
    path, port = write(tmp_path)
    async with calling(port):
        code, said = await edge("read", path, "water")
    (device,) = said
    values: Mapping[str, str] = {one["register"]: one["value"] for one in device["readings"]}
    assert (code, values["volume"]) == (0, "47.110")


async def test_an_output_is_read_back_and_one_that_is_stuck_is_told(tmp_path: Path) -> None:
    path, port = write(tmp_path)
    async with calling(port) as core:
        code, said = await edge("output", path, "water", "open")
        assert (code, said["read_back"], core.output) == (0, 1, 1)
        core.output_stuck = True
        code, said = await edge("output", path, "water", "closed")
    assert (code, core.output) == (1, 1)
    assert said["read_back"] == 1
    assert said["error"].startswith("it took the order, and reads open: a stuck relay")


@pytest.mark.parametrize("tool", ["read", "output"])
async def test_a_module_that_is_away_is_told_with_the_likely_causes(
    tmp_path: Path, tool: str
) -> None:
    path, port = write(tmp_path)
    order = ("water", "on") if tool == "output" else ()
    code, said = await edge(tool, path, *order, "--wait", "0.2")
    error = (said[0] if tool == "read" else said)["error"]
    assert code == 1
    assert f"has not connected to 127.0.0.1:{port} within 0.2 s" in error
    assert "127.0.0.1 is this computer only (c11do1eth.host)" in error
    assert f"`inmetter-edge scan c11do1eth {path}` says who calls" in error


async def test_a_module_with_another_key_is_found_out_by_the_scan(tmp_path: Path) -> None:
    path, port = write(tmp_path)
    async with calling(port, KEY[::-1]):
        code, said = await edge("read", path, "--wait", "1")
        assert (code, "its key is another" in said[0]["error"]) == (1, True)
        code, said = await edge("scan", "c11do1eth", path, "--wait", "20")
    assert [(one["device"], one["key"]) for one in said["modules"]] == [("water", "wrong")]
