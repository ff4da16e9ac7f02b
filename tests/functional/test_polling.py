"""Four lines on real sockets: a hundred meters that answer, and ten that are dead."""

import asyncio
import contextlib
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import ConfigError, NoAnswer, Retryable
from common.messages.uplink import Catalog, Event, Readings, decode_body
from edge_agent.app import App, build
from edge_agent.config import load
from edge_agent.devices import Devices
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.profiles.mbus import load_profile
from edge_agent.protocols.mbus import link
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_records import VolumeRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from edge_agent.store.tail import Added

INTERVAL_S = 2
TIMEOUT_S = 0.1
BUDGET_S = 0.8
TIGHT_S = 0.7
FITTING = 2
"""So many tries are begun within a budget of TIGHT_S."""

DEAD = {"bus-0-3", "bus-0-11", "bus-0-20", "bus-1-1", "bus-1-2", "bus-1-3"} | {
    "bus-2-14",
    "bus-2-27",
    "bus-3-9",
    "bus-3-26",
}
SIZES = (28, 28, 27, 27)

HEAD = """\
[gateway]
id = "hall-1"
name = "Hall 1"
site = "hall"
site_name = "Test hall"
timezone = "Europe/Bucharest"

"""

LINE = """\
[[line]]
id = "{line}"
url = "tcp://127.0.0.1:{port}"
timeout_s = {timeout_s}

"""

DEVICE = """\
[[device]]
driver = "mbus"
key = "{line}-{number}"
name = "Meter {number} on {line}"
line = "{line}"
address = {number}
profile = "mbus_water"
interval_s = {interval_s}
budget_s = {budget_s}

"""


class Water:
    """A water meter that stands still."""

    def volume_l(self, _: int) -> int:
        return 1000


def identified(number: int) -> tuple[Identity, VolumeRecords]:
    identification = f"{number:08}"
    return Identity(identification, "INM", 1, 7), VolumeRecords(Water(), identification)


def slave(number: int) -> Slave:
    return Slave(number, *identified(number))


class Dead(Slave):
    """Hears, and says nothing. ``asked``: when (ms)."""

    def __init__(self, number: int) -> None:
        super().__init__(number, *identified(number))
        self.asked: list[int] = []

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        if isinstance(frame, link.ShortFrame) and frame.address == self.address:
            self.asked.append(at_ms)
        return b""


def tries(asked: list[int], read: list[int]) -> list[int]:
    """How often something dead was asked before each time that its neighbour was read."""
    return [sum(since < at <= until for at in asked) for since, until in pairwise([0, *read])]


@dataclass
class Heard:
    """What the journal is given: when each device was read, and the events."""

    reads: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    events: list[Event] = field(default_factory=list)
    _devices: dict[int, str] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def name(self, catalog: Catalog) -> None:
        self._devices = {r.no: one.key for one in catalog.devices for r in one.registers}

    def take(self, added: Added, _urgent: bool) -> None:
        for entry in added.entries:
            body = decode_body(entry.body)
            if isinstance(body, Readings):
                self.reads[self._devices[body.r[0].no]].append(body.at)
            elif isinstance(body, Event):
                self.events.append(body)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def agent(directory: Path, text: str) -> AsyncIterator[tuple[App, Heard]]:
    """An agent with this configuration, at work."""
    file = directory / "edge.toml"
    file.write_text(text)
    app = await build(load(file), SystemClock())
    heard = Heard()
    entries = (await app.journal.read(1, app.journal.next_seq, 10, 2**20)).entries
    heard.name(next(b for e in entries if isinstance(b := decode_body(e.body), Catalog)))
    app.journal.on_appended = heard.take
    stop = asyncio.Event()
    at_work = asyncio.ensure_future(app.run(stop))
    try:
        yield app, heard
    finally:
        stop.set()
        await at_work


@asynccontextmanager
async def running(
    directory: Path,
    sizes: tuple[int, ...],
    dead: Mapping[str, Slave],
    interval_s: float = INTERVAL_S,
    budget_s: float = BUDGET_S,
) -> AsyncIterator[tuple[App, Heard]]:
    """An agent that polls simulated converters."""
    text = HEAD
    async with AsyncExitStack() as stack:
        for index, size in enumerate(sizes):
            line, numbers = f"bus-{index}", range(1, size + 1)
            meters = [dead.get(f"{line}-{number}") or slave(number) for number in numbers]
            converter = MbusConverter(meters, SystemClock())
            stack.push_async_callback(converter.close)
            text += LINE.format(line=line, port=await converter.start(), timeout_s=TIMEOUT_S)
            for number in numbers:
                text += DEVICE.format(
                    line=line, number=number, interval_s=interval_s, budget_s=budget_s
                )
        yield await stack.enter_async_context(agent(directory, text))


async def test_ten_dead_devices_keep_none_of_a_hundred_neighbours_from_being_read(
    tmp_path: Path,
) -> None:
    dead = {key: Dead(int(key.rpartition("-")[2])) for key in DEAD}
    async with running(tmp_path, SIZES, dead) as (app, heard):
        living = set(app.devices.all) - DEAD
        assert (len(living), len(DEAD)) == (100, 10)
        await heard.until(lambda: all(len(heard.reads[key]) >= 4 for key in living))
        # None is read at the cost of another, however busy the machine is.
        assert max(len(heard.reads[key]) for key in living) <= 8
        assert not any(heard.reads[key] for key in DEAD)
        for status in app.states.all():
            assert status.state == ("failing" if status.key in DEAD else "ok"), status
            if status.key in DEAD:
                assert 1 <= status.failures <= 6, "asked less and less often"
                # On a busy machine its budget is spent before it is given up.
                assert any(why in status.error for why in ("nothing came", "not done within"))
        failing = [one.device for one in heard.events if one.code == "device_failing"]
        assert sorted(failing) == sorted(DEAD), "told once for each"


async def test_a_dead_device_delays_its_neighbours_by_no_more_than_its_budget(
    tmp_path: Path,
) -> None:
    dead = {"bus-0-2": Dead(2)}
    async with running(tmp_path, (3,), dead, interval_s=1, budget_s=TIGHT_S) as (app, heard):
        await heard.until(lambda: len(heard.reads["bus-0-3"]) >= 4)
        # All are asked at once at the start: one after another, the dead one with its repeats.
        start_s = (heard.reads["bus-0-3"][0] - heard.reads["bus-0-1"][0]) / 1000
        assert start_s > TIMEOUT_S
        first, *later = tries(dead["bus-0-2"].asked, heard.reads["bus-0-3"])
        assert 1 <= first <= FITTING
        assert max(later) <= 1, "it is asked once until it answers"
        assert app.states["bus-0-2"].state == "failing"


async def test_a_meter_that_is_silent_is_asked_once_until_it_answers() -> None:
    clock = SystemClock()
    asked: list[bytes] = []
    converter = MbusConverter([slave(1)], clock)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            asked.append(data)
        writer.close()

    deaf = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = deaf.sockets[0].getsockname()[1]
    line = Line(f"tcp://127.0.0.1:{port}")
    meter = MbusMeter("meter", line, 1, load_profile("mbus_water"), clock=clock, timeout_s=0.05)
    counts = []
    for _ in range(3):
        asked.clear()
        with pytest.raises(NoAnswer):
            await meter.read()
        counts.append(len(asked))
    assert counts == [3, 1, 1]
    deaf.close()
    await deaf.wait_closed()
    await converter.start(port=port)
    assert (await meter.read()).measured
    await converter.close()
    with pytest.raises(Retryable):
        await meter.read()
    await line.close()


@dataclass
class ModbusGateway:
    """Behind it unit 2 is dead, and was ``asked`` at these times (ms); all registers of the others
    are 0."""

    asked: list[int] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(12)
                transaction, unit, function, _, count = struct.unpack(">H4xBBHH", head)
                if unit == 2:
                    self.asked.append(SystemClock().now_ms())
                    continue
                body = bytes((unit, function, 2 * count)) + bytes(2 * count)
                writer.write(struct.pack(">HHH", transaction, 0, len(body)) + body)
        writer.transport.abort()


async def test_a_dead_modbus_unit_costs_its_neighbours_no_more_than_its_budget(
    tmp_path: Path,
) -> None:
    behind = ModbusGateway()
    server = await asyncio.start_server(behind.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    text = HEAD + LINE.format(line="lan", port=port, timeout_s=TIMEOUT_S)
    for unit in (1, 2, 3):
        device = DEVICE.format(line="lan", number=unit, interval_s=1, budget_s=TIGHT_S)
        device = device.replace("address", "unit").replace('"mbus"', '"modbus"')
        text += device.replace("mbus_water", "eastron_sdm120")
    async with server, agent(tmp_path, text) as (app, heard):
        await heard.until(lambda: len(heard.reads["lan-3"]) >= 4)
        start_s = (heard.reads["lan-3"][0] - heard.reads["lan-1"][0]) / 1000
        assert start_s > TIMEOUT_S
        first, *later = tries(behind.asked, heard.reads["lan-3"])
        assert 1 <= first <= FITTING
        assert max(later) <= 1
        assert app.states["lan-2"].state == "failing"
        assert len({at // 1000 for at in heard.reads["lan-1"]}) >= 3


def test_a_budget_without_room_for_one_try_is_refused(tmp_path: Path) -> None:
    text = HEAD + LINE.format(line="bus", port=1, timeout_s=TIMEOUT_S)
    text += DEVICE.format(line="bus", number=1, interval_s=60, budget_s=0.3)
    file = tmp_path / "edge.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"device\[1\]: budget_s: 0.3: expected at least 0.6"):
        Devices(load(file), SystemClock())
