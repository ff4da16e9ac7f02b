"""Polling at scale: what it costs the gateway, and how punctual it is beside dead devices.

A device's reading is *scheduled* at the multiples of its interval plus its own offset on its line
(``Timetable.offset_s``: devices of a line are asked one after another). *Jitter* is |time of the
reading − the scheduled time next to it|, over all readings of the devices that answer, from the
second interval on: the first round at the start has no scheduled time. The time of an M-Bus
reading is when the answer had come, so that the exchange itself counts as jitter too.

The peer is ``bare_poll``: a bare asyncio loop that sends the same requests at the same times to the
same simulators, decodes nothing, stores nothing, and asks no dead device.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from common.clock import SystemClock
from edge_agent.collector import timetables
from edge_agent.config import load
from edge_agent.devices import Devices
from edge_agent.profiles import modbus
from edge_agent.protocols.mbus import encode
from tests.bench.bare_poll import Ask, Plan
from tests.bench.edge import rss_mb
from tests.bench.figures import Figure, figure, quantile
from tests.bench.servers import Stage, stage
from tests.harness.books import read_journal
from tests.harness.cloud import CloudFiles
from tests.harness.eventually import eventually
from tests.harness.ports import free_port
from tests.harness.site import SiteFiles

MBUS_PROFILE = "mbus_electricity_3phase"
MODBUS_PROFILES = ("eastron_sdm120",) * 4 + ("abb_b23",)
SETTLED_S = 15.0
MEASURED_S = 60.0

SCENARIO = """\
seed = "bench"
origin = 2026-01-01T00:00:00Z

[[source]]
key = "machines"
series = "uk_electricity"
base = 2000

[[meter]]
key = "electricity"
medium = "electricity"
sources = ["machines"]

"""

EDGE = """\
[gateway]
id = "hall-1"
name = "Hall 1"
site = "hall"
site_name = "Bench hall"
timezone = "Europe/Bucharest"

[mqtt]
port = {broker}

[c11do1eth]
port = {server}
connections = 1000

"""

LINE = """\
[[line]]
id = "{line}"
url = "tcp://127.0.0.1:{port}"

"""

DEVICE = """\
[[device]]
driver = "{kind}"
key = "{line}-{number}"
name = "Meter {number} on {line}"
line = "{line}"
{where} = {number}
profile = "{profile}"
interval_s = {interval_s}

"""

SLAVE = """\
[[mbus]]
key = "{line}-{number}"
listen = "127.0.0.1:{port}"
address = {number}
identification = "{number:08}"
meter = "electricity"

"""

UNIT = """\
[[modbus]]
key = "{line}-{number}"
listen = "127.0.0.1:{port}"
unit = {number}
profile = "{profile}"
meter = "electricity"

"""

MODULE = """\
[[meter]]
key = "{key}"
medium = "electricity"
sources = ["machines"]

[[c11do1eth]]
device = "{key}"
server = "127.0.0.1:{server}"
key_file = "module.key"
meter = "{key}"
weight = 100

"""

EDGE_MODULE = """\
[[device]]
driver = "c11do1eth"
key = "{key}"
name = "{key}"
medium = "electricity"
key_file = "module.key"
pulse_weight = "100 Wh"

"""


@dataclass(frozen=True, slots=True)
class Bus:
    """A line with devices 1 … ``devices``; those in ``dead`` are nowhere."""

    name: str
    port: int
    mbus: bool
    devices: int
    dead: frozenset[int] = frozenset()

    @property
    def kind(self) -> str:
        return "mbus" if self.mbus else "modbus"

    def profile(self, number: int) -> str:
        return MBUS_PROFILE if self.mbus else MODBUS_PROFILES[number % len(MODBUS_PROFILES)]

    def edge(self, interval_s: float) -> str:
        where = "address" if self.mbus else "unit"
        devices = (
            DEVICE.format(
                kind=self.kind,
                line=self.name,
                where=where,
                number=number,
                profile=self.profile(number),
                interval_s=interval_s,
            )
            for number in range(1, self.devices + 1)
        )
        return LINE.format(line=self.name, port=self.port) + "".join(devices)

    def scenario(self) -> str:
        table = SLAVE if self.mbus else UNIT
        return "".join(
            table.format(
                line=self.name, port=self.port, number=number, profile=self.profile(number)
            )
            for number in range(1, self.devices + 1)
            if number not in self.dead
        )

    def requests(self, number: int) -> list[str]:
        """What a bare master sends to have what the agent reads."""
        if self.mbus:
            return [encode.req_ud2(number, fcb=True).to_bytes().hex()]
        profile = modbus.load_profile(self.profile(number))
        return [
            f"000000000006{number:02x}{one.function:02x}{one.span.address:04x}{one.span.count:04x}"
            for one in profile.requests
        ]


def footprint(_: dict[str, Figure]) -> list[Figure]:
    """CPU and memory of the agent: 200 M-Bus and 500 Modbus meters on 14 lines, 300 C11DO1ETH, each
    once a minute; with broker and ingest, so that all of it is sent and settled too."""
    buses = [Bus(f"bus-{number}", free_port(), True, 50) for number in range(4)]
    buses += [Bus(f"lan-{number}", free_port(), False, 50) for number in range(10)]
    with stage() as on:
        _start_ingest(on)
        site = write_field(on, buses, interval_s=60, modules=300)
        agent, bare = _start(on, site, buses, interval_s=60)
        before = cpu_s(agent), cpu_s(bare)
        let_run(MEASURED_S)
        after = cpu_s(agent), cpu_s(bare)
        memory = rss_mb(agent), rss_mb(bare)
        _check_complete(site, 1000)
    share = [(b - a) / MEASURED_S * 100 for a, b in zip(before, after, strict=True)]
    bare_cpu = figure("bare.poll_cpu_percent", [share[1]], "%")
    bare_rss = figure("bare.poll_rss_mb", [memory[1]], "MB")
    return [
        bare_cpu,
        bare_rss,
        figure("edge.poll_cpu_percent", [share[0]], "%", target=25, peer=bare_cpu),
        figure("edge.poll_rss_mb", [memory[0]], "MB", target=80, peer=bare_rss),
    ]


def jitter(_: dict[str, Figure]) -> list[Figure]:
    """A hundred living and ten dead M-Bus meters on four lines, every 20 s; p99 over a minute."""
    dead = [frozenset({3, 11, 20}), frozenset({1, 2, 3}), frozenset({14, 28}), frozenset({9, 26})]
    sizes = (28, 28, 27, 27)
    buses = [
        Bus(f"bus-{number}", free_port(), True, size, dead[number])
        for number, size in enumerate(sizes)
    ]
    with stage() as on:
        site = write_field(on, buses, interval_s=20)
        offsets_s = _offsets_s(site)
        _start(on, site, buses, interval_s=20)
        begun_ms = round(time.time() * 1000)
        let_run(MEASURED_S)
        found = list(late_ms(site, offsets_s, 20, begun_ms))
        on.programs["bare"].stop()
        bare = json.loads(on.programs["bare"].log_text().splitlines()[-1])
    if len(found) < 300 * 0.99:
        raise RuntimeError(f"{len(found)} readings of living devices in a minute, not 300")
    peer = figure("bare.poll_jitter_p99_ms", [quantile(bare, 0.99)], "ms")
    p99 = quantile([abs(late) for late in found], 0.99)
    return [peer, figure("edge.poll_jitter_p99_ms", [p99], "ms", target=200, peer=peer)]


def late_ms(
    site: SiteFiles, offsets_s: dict[str, float], interval_s: float, since_ms: int
) -> Iterator[float]:
    """How much after its scheduled time (before it: negative) each reading since then was."""
    polls = {(device, at) for device, _, at in read_journal(site.journal).readings}
    for device, at in polls:
        if at >= since_ms:
            past_s = (at / 1000 - offsets_s[device]) % interval_s
            yield (past_s if past_s < interval_s / 2 else past_s - interval_s) * 1000


def write_field(on: Stage, buses: Sequence[Bus], interval_s: float, modules: int = 0) -> SiteFiles:
    """Scenario and edge configuration for all of it."""
    site = SiteFiles(on.directory / "site", on.broker.port)
    site.directory.mkdir()
    keys = [f"module-{number}" for number in range(1, modules + 1)]
    (site.directory / "module.key").write_text("a-secret-of-the-tests\n")
    site.scenario.write_text(
        SCENARIO
        + "".join(bus.scenario() for bus in buses)
        + "".join(MODULE.format(key=key, server=site.server) for key in keys)
    )
    site.edge.write_text(
        EDGE.format(broker=site.broker, server=site.server)
        + "".join(bus.edge(interval_s) for bus in buses)
        + "".join(EDGE_MODULE.format(key=key) for key in keys)
    )
    return site


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used up to now."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / 100


def _start(on: Stage, site: SiteFiles, buses: Sequence[Bus], interval_s: float) -> tuple[int, int]:
    """Simulators, then the bare loop and the agent; gives both process ids, past their start."""
    simulator = on.programs.add("simulator", *site.simulator_command()).start()
    simulator.wait_for("site is up", 60)
    plan = site.directory / "plan.json"
    plan.write_bytes(msgspec.json.encode(_plan(site, buses, interval_s)))
    program = ("-m", "tests.bench.bare_poll", str(plan))
    python = site.edge_command()[0]
    agent = on.programs.add("edge", *site.edge_command()).start()
    bare = on.programs.add("bare", python, *program).start()
    let_run(SETTLED_S)
    return agent.pid, bare.pid


def _plan(site: SiteFiles, buses: Sequence[Bus], interval_s: float) -> list[Plan]:
    offsets_s = _offsets_s(site)
    plans = []
    for bus in buses:
        living = sorted(set(range(1, bus.devices + 1)) - bus.dead)
        asks = [Ask(offsets_s[f"{bus.name}-{one}"], bus.requests(one)) for one in living]
        plans.append(Plan(bus.mbus, bus.port, interval_s, asks))
    return plans


def _offsets_s(site: SiteFiles) -> dict[str, float]:
    clock = SystemClock()
    polls = Devices(load(site.edge), clock).polled.values()
    return {
        poll.device.key: timetable.offset_s(poll.device.key)
        for timetable, its in timetables(polls, clock)
        for poll in its
    }


def _start_ingest(on: Stage) -> None:
    directory = on.directory / "cloud"
    directory.mkdir()
    cloud = CloudFiles(directory, on.database.create_database("inmetter"), on.broker.port)
    cloud.write()
    on.programs.add("ingest", *cloud.command("ingest")).start().wait_for(": connected")


def _check_complete(site: SiteFiles, devices: int) -> None:
    """Raises RuntimeError unless every device was read within the last minute."""
    since_ms = (time.time() - MEASURED_S - 5) * 1000
    heard = {device for device, _, at in read_journal(site.journal).readings if at >= since_ms}
    if len(heard) < devices:
        raise RuntimeError(f"{len(heard)} of {devices} devices were read within a minute")


def let_run(seconds: float) -> None:
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > end, seconds + 5)
