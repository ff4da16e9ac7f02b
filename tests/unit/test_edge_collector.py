"""Polling: on the clock's marks, each device for itself, nothing lost and nothing fatal."""

import asyncio
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import NoAnswer, Undecodable
from common.messages.uplink import Event, Readings, Telegram
from common.reading import Quality
from edge_agent.collector import Collector, Poll
from edge_agent.device_state import ERROR_CHARACTERS, DeviceStates
from edge_agent.drivers.base import Sample
from edge_agent.drivers.budget import waiting
from edge_agent.store.journal import Journal
from edge_agent.timetable import Timetable
from tests.unit.edge_parts import NOW, Meter, bodies, opened, turns, until


def collector(journal: Journal, clock: ManualClock) -> tuple[Collector, DeviceStates]:
    states = DeviceStates(["meter"])
    return Collector(journal, {"meter": {"power": 5}}, states, clock), states


async def test_a_poll_is_one_durable_entry_with_the_devices_own_count(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, states = collector(journal, clock)
        sample = await collecting.poll_once(Meter("meter", clock, ["12.34"]))
        assert sample is not None
        (readings,) = await bodies(journal)
        assert isinstance(readings, Readings)
        assert readings.at == NOW
        (value,) = readings.r
        assert (value.no, value.value, value.quality, value.raw) == (5, 123, Quality.GOOD, 7)
        assert (states["meter"].state, states["meter"].last_ok_at) == ("ok", NOW)


async def test_failing_is_an_event_once_and_so_is_answering_again(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, states = collector(journal, clock)
        trouble = NoAnswer("no answer within 1 s")
        meter = Meter("meter", clock, ["1", trouble, trouble, Undecodable("bad"), "2", "3"])
        changes: list[str] = []
        states.on_change = lambda: changes.append(states["meter"].state)
        for _ in range(6):
            await collecting.poll_once(meter)
        codes = [body.code for body in await bodies(journal) if isinstance(body, Event)]
        assert codes == ["device_failing", "device_ok"]
        assert changes == ["ok", "failing", "ok"]


@pytest.mark.parametrize("said", [0, 4_070_908_800_000, NOW + 2 * 86_400_000])
async def test_an_impossible_time_is_replaced_flagged_and_told_once(
    tmp_path: Path, said: int
) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, _ = collector(journal, clock)
        meter = Meter("meter", clock, ["1"])
        meter.at_ms = said
        await collecting.poll_once(meter)
        await collecting.poll_once(meter)
        found = await bodies(journal)
        readings = [body for body in found if isinstance(body, Readings)]
        assert [(one.at, one.r[0].quality) for one in readings] == [
            (NOW, Quality.TIME_UNCERTAIN)
        ] * 2
        assert [body.code for body in found if isinstance(body, Event)] == ["device_clock"]


class Kept(Meter):
    """A device of which telegrams are kept."""

    def take_telegrams(self) -> list[Telegram]:
        return [Telegram(self.reads[-1], self.key, "mbus", b"\x68")]


async def test_telegrams_are_entries_behind_their_readings_also_of_a_poll_that_failed(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, _ = collector(journal, clock)
        meter = Kept("meter", clock, ["1", Undecodable("strange"), Undecodable("strange"), "2"])
        for _ in range(4):
            await collecting.poll_once(meter)
            clock.advance(1)
        found = await bodies(journal)
        assert [type(body) for body in found] == [
            *(Readings, Telegram),
            *(Event, Telegram),
            Telegram,
            *(Readings, Event, Telegram),
        ]
        times = [body.at - NOW for body in found if isinstance(body, Telegram)]
        assert times == [0, 1000, 2000, 3000]


def poll(
    device: Meter, interval_s: float, budget_s: float = 10.0, cleared: list[str] | None = None
) -> Poll:
    async def clear_line() -> None:
        if cleared is not None:
            cleared.append(device.key)

    return Poll(device, "bus1", interval_s, 1.4, budget_s, clear_line)


async def test_polls_stand_on_the_marks_of_the_clock(tmp_path: Path) -> None:
    clock = ManualClock(NOW + 3_210)
    async with opened(tmp_path, clock) as journal:
        collecting, _ = collector(journal, clock)
        meter = Meter("meter", clock, ["1"])
        timetable = Timetable("bus1", {"meter": 60}, clock, phase_s=0.04)
        running = asyncio.ensure_future(collecting.run(poll(meter, 60), timetable))
        while len(meter.reads) < 4:
            clock.advance(0.01)
            await turns(5)
            await journal.oldest_at()
        running.cancel()
        assert meter.reads[0] <= NOW + 3_220
        assert [(at - 40) // 60_000 for at in meter.reads[1:]] == [
            (NOW // 60_000) + minute for minute in (1, 2, 3)
        ]
        assert all((at - 40) % 60_000 <= 10 for at in meter.reads[1:])


class Stuck(Meter):
    """A device that talks on and never ends. While ``order`` is set, an order has the line."""

    order: asyncio.Event | None = None

    async def read(self) -> Sample:
        self.reads.append(self._clock.now_ms())
        if self.order is not None:
            with waiting():
                await self.order.wait()
        await self._clock.sleep(3600)
        return await super().read()


async def test_a_poll_ends_with_its_budget_and_the_line_is_cleared_within_it(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, states = collector(journal, clock)
        cleared: list[str] = []
        stuck = poll(Stuck("meter", clock, ["1"]), 60, 5.0, cleared)
        timetable = Timetable("bus1", {"meter": 60, "neighbour": 60}, clock, try_s=1.4)
        running = asyncio.ensure_future(collecting.run(stuck, timetable))
        await turns(5)
        begun: list[float] = []

        async def neighbour() -> None:
            async with timetable.turn("neighbour"):
                begun.append(clock.monotonic())

        waits = asyncio.ensure_future(neighbour())
        while not begun:
            clock.advance(0.1)
            await turns(5)
        await waits
        assert begun[0] <= 5.0, "a dead device never delays its neighbour by more than its budget"
        assert begun[0] > 4.0
        assert cleared == ["meter"]
        await until(lambda: journal.next_seq == 2)
        running.cancel()
        assert states["meter"].error == "meter: not done within its 4.6 s on the line"


async def test_what_a_poll_waits_for_an_order_is_not_taken_from_its_budget(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, states = collector(journal, clock)
        meter = Stuck("meter", clock, ["1"])
        meter.order = asyncio.Event()
        timetable = Timetable("bus1", {"meter": 60}, clock)
        running = asyncio.ensure_future(collecting.run(poll(meter, 60, 5.0), timetable))
        for _ in range(30):
            clock.advance(1)
            await turns(5)
        assert states["meter"].state == "unknown"
        meter.order.set()
        for _ in range(6):
            clock.advance(1)
            await turns(5)
        await until(lambda: journal.next_seq == 2)
        running.cancel()
        assert states["meter"].state == "failing"


async def test_failures_are_counted_and_their_reason_is_kept_short(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, states = collector(journal, clock)
        meter = Meter("meter", clock, [NoAnswer("nothing " * 100)])
        timetable = Timetable("bus1", {"meter": 1}, clock)
        running = asyncio.ensure_future(collecting.run(poll(meter, 1), timetable))
        await until(lambda: journal.next_seq == 2)
        for _ in range(60):
            clock.advance(0.5)
            await turns(4)
        running.cancel()
        assert states["meter"].failures == len(meter.reads) == 5
        assert len(states["meter"].error) == ERROR_CHARACTERS


async def test_a_line_that_is_too_slow_is_told_once(tmp_path: Path) -> None:
    clock = ManualClock(NOW - NOW % 60_000)

    class Slow(Meter):
        async def read(self) -> Sample:
            await self._clock.sleep(74)
            return await super().read()

    async with opened(tmp_path, clock) as journal:
        collecting, _ = collector(journal, clock)
        timetable = Timetable("bus1", {"meter": 60}, clock)
        slow = poll(Slow("meter", clock, ["1"]), 60, 120)
        running = asyncio.ensure_future(collecting.run(slow, timetable))
        for _ in range(600):
            clock.advance(1)
            await turns(6)
            await journal.oldest_at()
        running.cancel()
        found = await bodies(journal)
        told = [body.text for body in found if isinstance(body, Event)]
        assert told == ["line bus1 needs 74 s for what should be read every 60 s"]


async def test_a_gateway_that_does_not_know_the_time_blames_no_device(tmp_path: Path) -> None:
    clock = ManualClock(0)
    clock.advance(5)
    async with opened(tmp_path, clock) as journal:
        collector = Collector(journal, {"m": {"power": 1}}, DeviceStates(["m"]), clock)
        await collector.poll_once(Meter("m", clock, ["1"]))
        [body] = await bodies(journal)
        assert isinstance(body, Readings)
        assert (body.at, body.r[0].quality) == (5000, Quality.TIME_UNCERTAIN)
