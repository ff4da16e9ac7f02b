"""A whole simulated site in a process of its own, read over its sockets by the real drivers."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.registers import Medium
from edge_agent.__main__ import main
from edge_agent.drivers.base import Order
from edge_agent.drivers.c11do1eth import C11Module, Output
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.drivers.modbus import ModbusMeter
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.mbus import load_profile as load_mbus_profile
from edge_agent.profiles.modbus import load_profile
from edge_agent.protocols.c11do1eth import Rec
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.truth import SiteTruth, read_truth
from tests.contract.c11do1eth_site import MemorySink, serving
from tests.harness.eventually import eventually
from tests.harness.ports import free_port

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "scenario.toml"
SECRETS = {name: f"the secret of {name}" for name in ("cold-water", "hot-water", "gas")}
CLOCK = SystemClock()
STANDING = "origin = 2025-01-06T00:00:00Z\nuntil = 2025-02-07T08:09:10Z"


def write_scenario(folder: Path, server_port: int, *, standing: bool = False) -> Path:
    """The demo's scenario on free ports; ``standing``: its world has come to its end."""
    text = DEMO.read_text("utf-8")
    for address in ("127.0.0.1:10001", "127.0.0.1:1502"):
        assert address in text
        text = text.replace(address, "127.0.0.1:0")
    text = text.replace("127.0.0.1:9750", f"127.0.0.1:{server_port}")
    if standing:
        text = re.sub("^origin = .*$", STANDING, text, flags=re.MULTILINE)
    for name, secret in SECRETS.items():
        (folder / f"{name}.key").write_text(secret + "\n")
    path = folder / "scenario.toml"
    path.write_text(text, "utf-8")
    return path


class Running:
    """A simulated site: its process, and the ports that it printed."""

    def __init__(self, process: asyncio.subprocess.Process, lines: list[str], truth: Path) -> None:
        self.process = process
        self.lines = lines
        self._truth = truth

    def port(self, protocol: str) -> int:
        found = re.search(rf"^{protocol} \S+ listens on 127\.0\.0\.1:(\d+) ", self.text, re.M)
        assert found, self.text
        return int(found[1])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def truth(self) -> SiteTruth:
        return read_truth(self._truth)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 20)


@asynccontextmanager
async def simulating(scenario: Path) -> AsyncIterator[Running]:
    truth = scenario.with_name("truth.json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge_agent", "simulate", str(scenario), "--truth", str(truth)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    try:
        while "simulated site is up" not in lines:
            line = await asyncio.wait_for(process.stdout.readline(), 20)
            assert line, (await process.stderr.read()).decode()
            lines.append(line.decode().strip())
        yield Running(process, lines, truth)
    finally:
        if process.returncode is None:
            process.kill()
        _, errors = await process.communicate()
    assert b"Traceback" not in errors, errors.decode()


def modules() -> dict[str, C11Module]:
    media = {
        "cold-water": (Medium.COLD_WATER, Fraction(1, 100), Output("roof", "roof panels")),
        "hot-water": (Medium.HOT_WATER, Fraction(1, 1000), None),
        "gas": (Medium.GAS, Fraction(1, 100), None),
    }
    return {
        key: C11Module(
            key, SECRETS[key].encode(), medium=medium, weight=weight, output=output, clock=CLOCK
        )
        for key, (medium, weight, output) in media.items()
    }


def recs(sink: MemorySink, device: str) -> list[Rec]:
    return [item for item in sink.arrivals if isinstance(item, Rec) and item.device == device]


async def test_every_meter_gives_exactly_what_the_world_gave(tmp_path: Path) -> None:
    sink = MemorySink()
    async with serving(sink, modules=modules()) as (_, server_port):
        scenario = write_scenario(tmp_path, server_port, standing=True)
        async with simulating(scenario) as site:
            await sink.until(lambda: all(recs(sink, device) for device in SECRETS))
            modbus_line = ModbusLine(f"tcp://127.0.0.1:{site.port('modbus')}", 5)
            modbus_profile = load_profile("schneider_iem3000")
            greenhouse = await ModbusMeter(
                "greenhouse", modbus_line, 1, modbus_profile, clock=CLOCK
            ).read()
            modbus_line.close()
            mbus_line = Line(f"tcp://127.0.0.1:{site.port('mbus')}")
            main_profile = load_mbus_profile("mbus_electricity_3phase")
            main_sample = await MbusMeter(
                "main", mbus_line, 1, main_profile, clock=CLOCK, timeout_s=5
            ).read()
            await mbus_line.close()
            truth = site.truth()
            assert await site.stop() == 0
    for device in SECRETS:
        assert recs(sink, device)[-1].total == truth.pulses[device]
    for key, sample in (("electricity-greenhouse", greenhouse), ("electricity-main", main_sample)):
        values = {m.key: m.value for m in sample.measured}
        assert values["energy_import"] == int(truth.meters[key].index)
        assert values["power"] == 0
    assert truth.meters["electricity-main"].consumed == load_site(scenario).world.meters[
        "electricity-main"
    ].consumed(CLOCK.now_ms())


async def test_a_running_world_is_read_at_the_present_instant(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, free_port())
    meter = load_site(scenario).world.meters["electricity-greenhouse"]
    async with simulating(scenario) as site:
        line = ModbusLine(f"tcp://127.0.0.1:{site.port('modbus')}", 5)
        device = ModbusMeter("m", line, 1, load_profile("schneider_iem3000"), clock=CLOCK)
        for _ in range(3):
            before = int(meter.index(CLOCK.now_ms()))
            values = {m.key: m.value for m in (await device.read()).measured}
            read = values["energy_import"]
            assert read is not None
            assert before <= read <= int(meter.index(CLOCK.now_ms()))
        line.close()


async def test_the_roof_moves_and_stays_as_it_is_over_a_restart(tmp_path: Path) -> None:
    sink, devices = MemorySink(), modules()
    async with serving(sink, modules=devices) as (_, server_port):
        scenario = write_scenario(tmp_path, server_port)
        async with simulating(scenario) as site:
            assert site.truth().outputs == {"cold-water/roof": 0}
            await sink.until(lambda: bool(recs(sink, "cold-water")))
            order = Order("0" * 32, "roof", 1, CLOCK.now_ms() + 60_000)
            assert await devices["cold-water"].switch(order) == 1
            assert await site.stop() == 0
            assert site.truth().outputs == {"cold-water/roof": 1}
        boot = recs(sink, "cold-water")[-1].boot
        async with simulating(scenario) as site:
            await sink.until(lambda: recs(sink, "cold-water")[-1].boot == boot + 1)
            assert recs(sink, "cold-water")[-1].output == 1
            assert site.truth().outputs == {"cold-water/roof": 1}
        totals = [rec.total for rec in recs(sink, "cold-water")]
        assert totals == sorted(totals)


async def test_the_truth_is_always_a_whole_file(tmp_path: Path) -> None:
    async with simulating(write_scenario(tmp_path, free_port())) as site:
        first = site.truth().at_ms
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, eventually, lambda: site.truth().at_ms != first)


def test_a_mistake_in_the_scenario_ends_with_2_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, 9750)
    path.write_text(path.read_text().replace("pace = 60", "pace = 61"))
    assert main(["simulate", str(path)]) == 2
    assert capsys.readouterr().err == (f"{path}: source[2].pace: expected a divisor of 3600000\n")


def test_a_port_that_is_taken_ends_with_1(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        path = write_scenario(tmp_path, 9750)
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        path.write_text(path.read_text().replace("127.0.0.1:0", taken, 1))
        assert main(["simulate", str(path)]) == 1
    assert not (tmp_path / "gas.json").exists()
