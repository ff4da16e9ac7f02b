"""A whole agent on computers whose clocks are wrong: it measures anyway, and all is dated right."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec
import pytest

from common.clock import SystemClock, to_ms
from common.messages.batch import ClockQuality
from common.messages.uplink import Event, Readings
from common.mqtt import MqttSession
from common.ranges import RangeSet
from common.reading import Quality
from edge_agent.app import App, build
from edge_agent.collector import Collector
from edge_agent.device_state import DeviceStates
from edge_agent.kernel import Kernel
from edge_agent.store.retention import Retention
from tests.functional.c11do1eth_certificates import make_certificates
from tests.functional.test_edge_uplink import PATIENT, config, settled
from tests.functional.tiny_cloud import TinyCloud, tiny_cloud
from tests.harness.mosquitto import Mosquitto
from tests.unit.edge_parts import Meter

NOW = to_ms(datetime(2026, 11, 27, 12, tzinfo=UTC))
IN_1970, IN_2036 = 3_000, to_ms(datetime(2036, 2, 7, tzinfo=UTC))
HOUR = 3_600_000
NEAR = 30_000
"""No test takes so long."""


class Computer(SystemClock):
    """Booted just now, with a clock that says ``wall``; nobody keeps it right, at first."""

    def __init__(self, wall: int, boot: str) -> None:
        self._booted_s = super().monotonic()
        self._ahead_ms = wall
        self.synchronised = False
        self.kernel = Kernel(boot, lambda: self.synchronised)

    def now_ms(self) -> int:
        return self._ahead_ms + round(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return super().monotonic() - self._booted_s

    def set_wall(self, wall: int) -> None:
        self._ahead_ms = wall - round(self.monotonic() * 1000)


async def started(directory: Path, computer: Computer, port: int) -> App:
    made = config(directory, "clock", port)
    return await build(made, computer, PATIENT, kernel=computer.kernel)


@asynccontextmanager
async def online(app: App, broker: Mosquitto, world: Computer) -> AsyncIterator[TinyCloud]:
    """The agent running, and a cloud that knows the time."""
    async with tiny_cloud(broker.port, "clock") as cloud:
        cloud.now_ms = world.now_ms
        stop = asyncio.Event()
        running = asyncio.ensure_future(app.run(stop))
        try:
            yield cloud
        finally:
            stop.set()
            await running


async def measure(app: App, *values: str) -> None:
    """So many polls of a meter, one after the other."""
    clock = app.timekeeper.clock
    numbers = {"meter": {"power": 1}}
    collector = Collector(app.journal, numbers, DeviceStates(["meter"]), clock)
    meter = Meter("meter", clock, values)
    for _ in values:
        await collector.poll_once(meter)


def readings(cloud: TinyCloud) -> list[tuple[Decimal, int, int]]:
    """Value, time and quality of what was measured, in the journal's order."""
    found = [body for _, body in sorted(cloud.bodies().items()) if isinstance(body, Readings)]
    return [(Decimal(one.r[0].value or 0) / 10, one.at, one.r[0].quality) for one in found]


def told(cloud: TinyCloud, code: str) -> list[Event]:
    return [
        body for body in cloud.bodies().values() if isinstance(body, Event) and body.code == code
    ]


async def sent_again(cloud: TinyCloud, app: App) -> None:
    """The cloud asks for everything once more; that it is the same is asserted there."""
    cloud.batches.clear()
    await cloud.resume(RangeSet())
    await cloud.until(lambda: any(first == 1 for first, _ in cloud.batches))
    await settled(app, cloud)


@pytest.mark.parametrize("wall", [IN_1970, IN_2036])
async def test_what_was_measured_before_the_time_was_known_is_dated_in_order_and_marked(
    tmp_path: Path, mosquitto: Mosquitto, wall: int
) -> None:
    world, computer = Computer(NOW, ""), Computer(wall, "a")
    app = await started(tmp_path, computer, mosquitto.port)
    await measure(app, "1", "2", "3")
    async with online(app, mosquitto, world) as cloud:
        await settled(app, cloud)
        await measure(app, "4")
        await settled(app, cloud)
        found = readings(cloud)
        assert [value for value, _, _ in found] == [1, 2, 3, 4]
        times = [at for _, at, _ in found]
        assert times == sorted(times)
        assert all(NOW <= at <= world.now_ms() for at in times)
        uncertain = Quality.TIME_UNCERTAIN
        assert [worth for _, _, worth in found] == [uncertain, uncertain, uncertain, Quality.GOOD]
        assert all(abs(body.at - NOW) < NEAR for body in cloud.bodies().values())
        worth = [code for _, code in sorted(cloud.clocks[cloud.stream].items())]
        assert worth == sorted(worth)
        assert set(worth) == {ClockQuality.UNKNOWN, ClockQuality.CLOUD}
        assert len(told(cloud, "clock_unknown")) == len(told(cloud, "clock_known")) == 1
        assert told(cloud, "device_clock") == []
        [hello] = cloud.hellos
        assert hello.clock == ClockQuality.UNKNOWN
        await sent_again(cloud, app)


async def test_what_the_journal_keeps_is_not_rewritten(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    app = await started(tmp_path, Computer(IN_1970, "a"), mosquitto.port)
    await measure(app, "1", "2")
    before = (await app.journal.read(1, 100, 100, 10**6)).entries
    async with online(app, mosquitto, Computer(NOW, "")) as cloud:
        await settled(app, cloud)
        assert (await app.journal.read(1, 100, 100, 10**6)).entries[: len(before)] == before


async def test_entries_of_an_earlier_start_in_the_same_boot_are_dated_by_it(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    world, computer = Computer(NOW, ""), Computer(IN_1970, "a")
    app = await started(tmp_path, computer, mosquitto.port)
    await measure(app, "1", "2")
    await app.close()
    app = await started(tmp_path, computer, mosquitto.port)
    await measure(app, "3")
    async with online(app, mosquitto, world) as cloud:
        await settled(app, cloud)
        times = [at for _, at, _ in readings(cloud)]
        assert times == sorted(times)
        assert all(NOW - 1000 <= at <= world.now_ms() for at in times)
        assert told(cloud, "clock_never_known") == []
    app = await started(tmp_path, computer, mosquitto.port)
    assert app.timekeeper.clock.quality is ClockQuality.CLOUD
    assert abs(app.timekeeper.clock.now_ms() - world.now_ms()) < NEAR
    async with online(app, mosquitto, world) as cloud:
        await settled(app, cloud)
        assert [at for _, at, _ in readings(cloud)] == times


async def test_a_boot_that_never_learned_the_time_is_bounded_by_its_neighbours(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    first = Computer(NOW - HOUR, "a")
    first.synchronised = True
    app = await started(tmp_path, first, mosquitto.port)
    await measure(app, "1")
    await app.close()
    for boot, value in [("b", "2"), ("c", "3")]:
        app = await started(tmp_path, Computer(IN_2036, boot), mosquitto.port)
        await measure(app, value)
        await app.close()
    world, computer = Computer(NOW, ""), Computer(IN_1970, "d")
    app = await started(tmp_path, computer, mosquitto.port)
    await measure(app, "4")
    async with online(app, mosquitto, world) as cloud:
        await settled(app, cloud)
        found = readings(cloud)
        times = [at for _, at, _ in found]
        assert times == sorted(times)
        assert NOW - HOUR <= times[0] < NOW - HOUR + NEAR
        assert NOW - NEAR < times[1] < times[2] < NOW <= times[3]
        assert [worth for _, _, worth in found] == [Quality.GOOD, *[Quality.TIME_UNCERTAIN] * 3]
        second, third = sorted(told(cloud, "clock_never_known"), key=lambda one: one.text)
        assert (second.data["boots"], third.data["boots"]) == ("2", "3")
        for event in (second, third):
            after, before = event.data["after"], event.data["before"]
            assert isinstance(after, int)
            assert isinstance(before, int)
            assert NOW - HOUR <= after < before <= world.now_ms()
        await sent_again(cloud, app)


async def test_a_clock_that_is_set_back_neither_reorders_nor_rewrites(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    world, computer = Computer(NOW, ""), Computer(NOW, "a")
    computer.synchronised = True
    app = await started(tmp_path, computer, mosquitto.port)
    async with online(app, mosquitto, world) as cloud:
        await measure(app, "1", "2")
        await settled(app, cloud)
        computer.set_wall(NOW - HOUR)
        await measure(app, "3", "4")
        await cloud.until(lambda: bool(told(cloud, "clock_step")))
        await settled(app, cloud)
        found = readings(cloud)
        assert [value for value, _, _ in found] == [1, 2, 3, 4]
        assert [at < NOW for _, at, _ in found] == [False, False, True, True]
        assert {worth for _, _, worth in found} == {Quality.GOOD}
        [event] = told(cloud, "clock_step")
        moved = event.data["moved_ms"]
        assert isinstance(moved, int)
        assert abs(moved + HOUR) < NEAR
        kept = (await app.journal.read(1, 10**6, 10**6, 10**9)).entries
        stored = cloud.stored[cloud.stream]
        assert {entry.seq: bytes(entry.body) for entry in kept} == stored


async def test_a_clock_that_ran_off_is_set_right_and_so_is_what_it_had_dated(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    world, computer = Computer(NOW, ""), Computer(NOW + HOUR, "a")
    app = await started(tmp_path, computer, mosquitto.port)
    await measure(app, "1")
    async with online(app, mosquitto, world) as cloud:
        await settled(app, cloud)
        computer.set_wall(NOW - HOUR)
        await measure(app, "2")
        await settled(app, cloud)
        (_, earlier, marked), (_, later, good) = readings(cloud)
        assert NOW <= earlier <= later <= world.now_ms()
        assert (marked, good) == (Quality.TIME_UNCERTAIN, Quality.GOOD)
        await cloud.until(lambda: cloud.statuses[-1].clock == ClockQuality.CLOUD)


async def test_what_was_made_in_1970_is_kept_as_long_as_everything_else(tmp_path: Path) -> None:
    computer = Computer(IN_1970, "a")
    app = await started(tmp_path, computer, 1)
    try:
        await measure(app, "1")
        journal = app.journal
        last = journal.next_seq - 1
        await journal.settle(journal.stream, 1, last)
        assert await Retention(journal).prune(NOW) == 0, "nobody knows when it was made"
        await app.timekeeper.hear(NOW, 0)
        assert await Retention(journal).prune(NOW - HOUR) == 0
        assert await journal.oldest_at() in range(NOW, NOW + NEAR)
        assert await Retention(journal).prune(NOW + NEAR) == last - 1, "all but the catalog"
    finally:
        await app.close()


async def test_a_computer_in_1970_gets_to_a_broker_with_tls_to_learn_the_time(
    tmp_path: Path,
) -> None:
    """An expired certificate stands for one that a clock in 1970 takes for not yet valid."""
    made = make_certificates(tmp_path / "ours")
    made.issue(days=-1)
    other = make_certificates(tmp_path / "others")
    (tmp_path / "broker").mkdir()
    access = f"allow_anonymous true\ncertfile {made.server}\nkeyfile {made.key}\n"
    with Mosquitto(tmp_path / "broker", access) as broker:

        async def connects(authority: Path, *, knows_date: bool) -> bool:
            connected = asyncio.Event()
            session = MqttSession(
                msgspec.structs.replace(broker.settings, tls_ca_file=str(authority)),
                "clock",
                clock=SystemClock(),
                subscriptions=[],
                on_message=nothing,
                on_connect=partial(nothing, "", b"", connected),
                on_trouble=lambda _: troubles.set(),
                knows_date=lambda: knows_date,
            )
            troubles = asyncio.Event()
            running = [asyncio.ensure_future(one) for one in (connected.wait(), troubles.wait())]
            run = asyncio.ensure_future(session.run())
            await asyncio.wait([*running, run], return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
            while not run.done():
                run.cancel()
                await asyncio.wait([run], timeout=1)
            return connected.is_set()

        assert not await connects(made.ca, knows_date=True)
        assert await connects(made.ca, knows_date=False)
        assert not await connects(other.ca, knows_date=False)


async def nothing(_topic: str, _payload: bytes, connected: asyncio.Event | None = None) -> None:
    if connected:
        connected.set()
