"""The whole agent with real programs around it: simulated devices, a broker, a tiny cloud."""

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.ids import new_command_id
from common.messages.downlink import Command
from common.messages.uplink import Catalog, CommandReport, DeviceStatus, Readings
from edge_agent.app import build
from edge_agent.config import load
from tests.functional.tiny_cloud import TinyCloud, tiny_cloud
from tests.harness.books import read_journal, read_settled
from tests.harness.eventually import eventually
from tests.harness.mosquitto import Mosquitto
from tests.harness.processes import Program, Programs
from tests.harness.site import GATEWAY, MODULES, ROOF, SiteFiles

IDLE_LIMIT_KB = 45_000
"""What the agent may hold with five devices; 36 MB were measured."""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with Programs(tmp_path) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, mosquitto: Mosquitto, programs: Programs) -> SiteFiles:
    """A simulated site that is up."""
    files = SiteFiles(tmp_path / "site", mosquitto.port, turns_s=5).write()
    programs.add("simulators", *files.simulator_command()).start()
    programs["simulators"].wait_for("simulated site is up")
    return files


def registers(cloud: TinyCloud) -> dict[int, tuple[str, str]]:
    """Number → (device, register), from the newest catalog."""
    catalogs = [body for body in cloud.bodies().values() if isinstance(body, Catalog)]
    return {
        one.no: (device.key, one.register.key)
        for device in catalogs[-1].devices
        for one in device.registers
    }


def heard_of(cloud: TinyCloud) -> set[str]:
    """The devices of which there are readings."""
    if not cloud.hellos or not cloud.stored[cloud.stream]:
        return set()
    numbers = registers(cloud)
    bodies = cloud.bodies().values()
    return {
        numbers[value.no][0] for body in bodies if isinstance(body, Readings) for value in body.r
    }


def states(statuses: list[DeviceStatus]) -> set[str]:
    return {status.state for status in statuses}


async def test_all_devices_are_heard_of_and_the_roof_obeys(site: SiteFiles) -> None:
    app = await build(load(site.edge), SystemClock())
    stop = asyncio.Event()
    running = asyncio.ensure_future(app.run(stop))
    try:
        async with tiny_cloud(site.broker, GATEWAY) as cloud:
            devices = set(app.devices.all)
            assert len(devices) == 5
            await cloud.until(lambda: heard_of(cloud) == devices)
            assert states(app.states.all()) == {"ok"}
            for value in (1, 0, 1):
                now = SystemClock().now_ms()
                command = Command(new_command_id(), *ROOF, value, now, now + 10_000)
                await cloud.tell(command)
                await cloud.until(lambda c=command: len(reports(cloud, c.id)) == 2)  # type: ignore[misc]
                accepted, done = reports(cloud, command.id)
                assert (accepted.state, done.state, done.value) == ("accepted", "succeeded", value)
    finally:
        stop.set()
        await running


def reports(cloud: TinyCloud, command: str) -> list[CommandReport]:
    found = sorted(cloud.bodies().items())
    return [body for _, body in found if isinstance(body, CommandReport) and body.id == command]


async def test_the_program_stops_cleanly_is_small_and_goes_on_where_it_was(
    site: SiteFiles, programs: Programs
) -> None:
    edge = programs.add("edge", *site.edge_command())
    async with tiny_cloud(site.broker, GATEWAY) as cloud:
        edge.start()
        await cloud.until(lambda: len(heard_of(cloud)) == 5)
        assert resident_kb(edge) < IDLE_LIMIT_KB
        await asyncio.to_thread(edge.stop)
        assert edge.exit_code == 0
        await cloud.until(lambda: not cloud.statuses[-1].online)
        edge.start()
        await cloud.until(lambda: cloud.hellos[-1].boot == 2)
        before = set(cloud.batches)
        await cloud.until(lambda: len(set(cloud.batches)) > len(before) + 5)
        assert {hello.stream for hello in cloud.hellos} == {cloud.stream}
        assert "Traceback" not in edge.log_text()


def resident_kb(program: Program) -> int:
    lines = Path(f"/proc/{program.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def read(site: SiteFiles, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "edge_agent", "read", str(site.edge), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_installer_reads_every_device_once(site: SiteFiles) -> None:
    shown = read(site, "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert len(found) == 5
    for device in found:
        assert device["error"] is None
        assert device["readings"]
        assert all(one["quality"] == "good" for one in device["readings"]), device
    again = read(site, "cold-water")
    assert again.returncode == 0
    assert "volume" in again.stdout


def test_a_device_that_does_not_answer_is_a_finding(site: SiteFiles, programs: Programs) -> None:
    programs["simulators"].stop()
    shown = read(site, "--wait", "0.2")
    assert shown.returncode == 1
    assert "no connection" in shown.stdout
    assert "has not connected" in shown.stdout
    assert "Traceback" not in shown.stderr


def test_a_device_that_is_not_configured_is_told(site: SiteFiles) -> None:
    shown = read(site, "nothing")
    assert shown.returncode == 2
    assert "there is no device 'nothing'; there are: " in shown.stderr


async def test_a_disk_that_was_full_and_has_room_again_has_cost_nothing(
    tmp_path: Path, mosquitto: Mosquitto, programs: Programs
) -> None:
    """The world turns on meanwhile; the modules keep what the agent does not acknowledge."""
    site = SiteFiles(tmp_path / "site", mosquitto.port, gateway="full", turns_s=12).write()
    programs.add("simulators", *site.simulator_command()).start()
    programs["simulators"].wait_for("simulated site is up")
    edge = programs.add("edge", *site.edge_command())
    async with tiny_cloud(site.broker, "full") as cloud:
        edge.start()
        await cloud.until(lambda: len(heard_of(cloud)) == 5)
        # Enough for the log to say so; the write-ahead log is soon longer.
        limit_files(edge, edge.log.stat().st_size + 16_384)
        await asyncio.to_thread(edge.wait_for, "held in memory until it can be written")
        kept = read_journal(site.journal).last
        await asyncio.to_thread(eventually, lambda: stands_still(site), 30, "the world stands")
        limit_files(edge, resource.RLIM_INFINITY)
        await asyncio.to_thread(eventually, lambda: shows_the_world(site), 60, "all is kept")
        book = read_journal(site.journal)
        assert book.last > kept + 3, "there was something to hold"
        assert book.stream == cloud.stream
        await cloud.until(lambda: set(book.entries) <= set(cloud.stored[cloud.stream]))
        await asyncio.to_thread(eventually, lambda: is_settled(site, book.last), 20, "acked")
        assert edge.running
        assert "Traceback" not in edge.log_text()


def limit_files(program: Program, size: int) -> None:
    """No file of it may be longer: what it writes beyond fails, as on a full disk."""
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def is_settled(site: SiteFiles, last: int) -> bool:
    """Whether the agent knows that the cloud has everything up to ``last``."""
    return read_settled(site.journal).missing(1, last) == []


def stands_still(site: SiteFiles) -> bool:
    return all(Decimal(one["present"]) == 0 for one in site.truth()["meters"].values())


def shows_the_world(site: SiteFiles) -> bool:
    """Whether the journal's newest index of each pulse counter is the world's."""
    readings, pulses = read_journal(site.journal).readings, site.truth()["pulses"]
    for one in MODULES:
        shown = max(
            value
            for key, contents in readings.items()
            if key[:2] == (one.key, "volume")
            for value, _, _ in contents
            if value is not None
        )
        assert shown == one.start + pulses[one.key] * one.weight, f"{one.key}: {shown}"
    return True
