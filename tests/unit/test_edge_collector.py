"""Polling: on the clock's marks, each device for itself, nothing lost and nothing fatal."""

import asyncio
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import NoAnswer, Undecodable
from common.messages.uplink import Event, Readings
from common.reading import Quality
from edge_agent.collector import LONGEST_BACK_OFF_S, Collector
from edge_agent.device_state import DeviceStates
from edge_agent.store.journal import Journal
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


async def test_polls_stand_on_the_marks_of_the_clock(tmp_path: Path) -> None:
    clock = ManualClock(NOW + 3_210)
    async with opened(tmp_path, clock) as journal:
        collecting, _ = collector(journal, clock)
        meter = Meter("meter", clock, ["1"])
        running = asyncio.ensure_future(collecting.run(meter, 60, 0.04))
        while len(meter.reads) < 4:
            clock.advance(0.01)
            await turns(5)
            await journal.oldest_at()
        running.cancel()
        assert meter.reads[0] == NOW + 3_220
        assert [(at - 40) // 60_000 for at in meter.reads[1:]] == [
            (NOW // 60_000) + minute for minute in (1, 2, 3)
        ]
        assert all((at - 40) % 60_000 <= 10 for at in meter.reads[1:])


async def test_a_dead_device_is_asked_less_and_less_often(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        collecting, states = collector(journal, clock)
        meter = Meter("meter", clock, [NoAnswer("nothing")])
        running = asyncio.ensure_future(collecting.run(meter, 1))
        await until(lambda: journal.next_seq == 2)
        await turns(5)
        for _ in range(1500):
            clock.advance(1)
            await turns(2)
        running.cancel()
        gaps = [(b - a) // 1000 for a, b in zip(meter.reads, meter.reads[1:], strict=False)]
        assert gaps[:6] == [1, 2, 4, 8, 16, 32]
        assert max(gaps) <= LONGEST_BACK_OFF_S + 1
        assert states["meter"].failures == len(meter.reads)
