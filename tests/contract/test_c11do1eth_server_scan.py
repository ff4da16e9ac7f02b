"""``inmetter-edge scan c11do1eth``: who calls is listed, and nobody loses anything by it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from common.clock import SystemClock
from edge_agent.cli.scan_c11do1eth import Found, listen
from edge_agent.config import load
from edge_agent.drivers.c11do1eth import Caller
from edge_agent.protocols.c11do1eth import Nak, NakCode
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from tests.contract.c11do1eth_site import SECRET, device, running
from tests.harness.ports import free_port, wait_for_port

GATEWAY = """\
[gateway]
id = "g1"
name = "G1"
site = "s1"
site_name = "S1"
timezone = "Europe/Bucharest"

[c11do1eth]
port = {port}
"""

MODULE = """
[[device]]
driver = "c11do1eth"
key = "{key}"
name = "A meter"
medium = "cold_water"
key_file = "module.key"
pulse_weight = "10 l"
"""


def write_config(directory: Path, *modules: str) -> tuple[Path, int]:
    """A configuration file with these modules, and its port."""
    path, port = directory / "edge.toml", free_port()
    (directory / "module.key").write_bytes(SECRET)
    path.write_text(GATEWAY.format(port=port) + "".join(MODULE.format(key=key) for key in modules))
    return path, port


@asynccontextmanager
async def scanning(
    path: Path, port: int
) -> AsyncIterator[tuple[asyncio.Task[Found], list[Caller]]]:
    """A scan that has begun to listen."""
    heard: list[Caller] = []
    scan = asyncio.create_task(listen(load(path), 20, heard.append, asyncio.Event()))
    await asyncio.to_thread(wait_for_port, port, scan.done)
    yield scan, heard


async def test_callers_are_told_apart_and_keep_their_records(tmp_path: Path) -> None:
    path, port = write_config(tmp_path, "right", "wrong")
    async with scanning(path, port) as (scan, heard):
        async with device(port, "stranger") as hand:
            hand.send(hand.hello())
            assert await hand.next() == Nak("stranger", 0, NakCode.UNKNOWN)
        async with device(port, "wrong") as hand:
            assert await hand.greet(secret=b"x" * 32) == Nak("wrong", 0, NakCode.KEY)
        async with device(port, "right") as hand:
            assert await hand.greet() is None, "it was answered, and might let go of its records"
        found = await scan
    assert [(one.caller.device, one.configured, one.key) for one in found.modules] == [
        ("stranger", False, None),
        ("wrong", True, "wrong"),
        ("right", True, "right"),
    ]
    assert found.modules[0].caller.model == "C11DO1ETH"
    assert found.modules[0].caller.firmware == "test"
    assert found.modules[0].caller.address.startswith("127.0.0.1:")
    assert len(heard) == 3
    assert not found.causes


async def test_a_module_loses_nothing_to_a_scan(tmp_path: Path) -> None:
    path, port = write_config(tmp_path, "m1", "never")
    now_ms = SystemClock().now_ms()
    core = C11Core("m1", SECRET, lambda at_ms: at_ms // 60_000)
    core.power_up(now_ms - 600_000)
    core.record(now_ms - 300_000)
    ring = core.ring
    async with scanning(path, port) as (scan, heard):
        client = C11Simulator(
            core, "127.0.0.1", port, SystemClock(), back_off_s=(0.001, 0.01), tick_s=60
        )
        async with running(client.run()):
            async with asyncio.timeout(20):
                while len(heard) < 3:
                    async with device(port, "passer-by") as hand:
                        hand.send(hand.hello())
                        await hand.next()
        scan.cancel()
    assert core.ring == ring


def scan_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "edge_agent", "scan", "c11do1eth", *map(str, arguments)]


def test_when_nobody_calls_it_ends_with_1_and_the_likely_causes(tmp_path: Path) -> None:
    port = free_port()
    ended = subprocess.run(
        scan_command("--port", str(port), "--wait", "0.1"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert f"nobody has called 127.0.0.1:{port}" in ended.stdout
    assert "--host 0.0.0.0" in ended.stdout
    assert ended.stderr == ""


def test_json_is_one_document(tmp_path: Path) -> None:
    path, port = write_config(tmp_path, "m1")
    command = scan_command(path, "--json", "--wait", "20")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as scan:
        wait_for_port(port, lambda: scan.poll() is not None)
        asyncio.run(_call(port))
        said = json.loads(scan.communicate(timeout=20)[0])
    assert scan.returncode == 0
    (module,) = said["modules"]
    assert module | {"address": ""} == {
        "device": "m1",
        "model": "C11DO1ETH",
        "firmware": "test",
        "address": "",
        "calls": 1,
        "configured": True,
        "key": "right",
    }
    assert said["likely_causes"] == []
    assert said["listened_on"] == f"127.0.0.1:{port}"


async def _call(port: int) -> None:
    async with device(port) as hand:
        await hand.greet()


def test_an_interrupt_shows_what_was_found(tmp_path: Path) -> None:
    path, port = write_config(tmp_path, "m1", "m2")
    command = scan_command(path, "--wait", "60")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as scan:
        wait_for_port(port, lambda: scan.poll() is not None)
        asyncio.run(_call(port))
        os.kill(scan.pid, signal.SIGINT)
        said = scan.communicate(timeout=20)[0]
    assert scan.returncode == 0
    assert "configured, its key is right" in said


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    path, port = write_config(tmp_path, "m1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        other = subprocess.run(scan_command(path), check=False, capture_output=True, text=True)
    agent = [sys.executable, "-m", "edge_agent", "run", str(path), "--log-level", "ERROR"]
    with subprocess.Popen(agent) as running_agent:
        wait_for_port(port, lambda: running_agent.poll() is not None)
        ours = subprocess.run(scan_command(path), check=False, capture_output=True, text=True)
        running_agent.terminate()
    assert (other.returncode, ours.returncode) == (1, 1)
    assert "is taken by another program" in other.stderr
    assert "is the running agent's" in ours.stderr


def test_a_port_out_of_range_is_a_usage_error() -> None:
    ended = subprocess.run(
        scan_command("--port", "70000"), check=False, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "expected 1 to 65535" in ended.stderr
