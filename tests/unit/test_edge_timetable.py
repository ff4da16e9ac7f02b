"""A line's timetable: each device at its own time, and nobody waits long for one that is dead."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from common.clock import ManualClock
from common.messages.uplink import Event
from edge_agent.timetable import LONGEST_BACK_OFF_S, Timetable
from tests.unit.edge_parts import NOW, turns

MINUTE = NOW - NOW % 60_000


class Line:
    """Devices that hold their line for so long each, and answer while ``took_s`` is positive."""

    def __init__(
        self, intervals_s: Mapping[str, float], took_s: Mapping[str, float], try_s: float = 1.4
    ) -> None:
        self.clock = ManualClock(MINUTE)
        self.took_s = dict(took_s)
        self.timetable = Timetable("bus1", intervals_s, self.clock, try_s=try_s)
        self.began: dict[str, list[float]] = {device: [] for device in intervals_s}
        self.events: list[Event] = []
        self.unreachable = False

    async def ask(self, device: str) -> None:
        while True:
            async with self.timetable.turn(device) as place:
                self.began[device].append(self.clock.monotonic())
                await self.clock.sleep(abs(self.took_s[device]))
                if self.took_s[device] > 0:
                    place.answered()
                else:
                    place.unreachable = self.unreachable
            if event := self.timetable.news():
                self.events.append(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(self.ask(device)) for device in self.began]
        await turns(2)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def pass_time(self, seconds: float, step_s: float = 0.1) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            await turns(3)


def near(times: list[float], expected: list[float]) -> bool:
    return len(times) == len(expected) and all(
        abs(a - b) <= 0.11 for a, b in zip(times, expected, strict=True)
    )


def even(count: int, interval_s: float) -> dict[str, float]:
    return {f"m{number}": interval_s for number in range(count)}


async def test_devices_of_a_line_are_asked_in_turn_on_the_marks_of_the_clock() -> None:
    line = Line(even(3, 60), dict.fromkeys(even(3, 60), 0.5))
    async with line.running():
        await line.pass_time(130)
    assert near(line.began["m0"], [0, 60, 120])
    assert near(line.began["m1"], [0.5, 61.68, 121.68])
    assert near(line.began["m2"], [1, 63.36, 123.36])
    assert line.timetable.skipped == 0


async def test_slots_shrink_when_the_interval_is_short() -> None:
    line = Line(even(10, 10), dict.fromkeys(even(10, 10), 0.1))
    async with line.running():
        await line.pass_time(19)
    assert near([line.began[f"m{n}"][-1] for n in range(10)], [10 + 0.75 * n for n in range(10)])


async def test_a_dead_device_is_asked_when_no_other_one_is_due() -> None:
    intervals_s = even(10, 10)
    took_s = {**dict.fromkeys(intervals_s, 0.1), "m3": -1.0}
    line = Line(intervals_s, took_s)
    async with line.running():
        await line.pass_time(100)
    for number in range(10):
        if number != 3:
            began = [at for at in line.began[f"m{number}"] if 9.9 < at < 99]
            assert near(began, [10 * n + 0.75 * number for n in range(1, 10)]), number
    assert near(line.began["m3"], [0.3, 6.9, 26.9, 66.9]), "in the gaps, less and less often"


async def test_dead_devices_share_a_short_interval_and_disturb_nobody() -> None:
    intervals_s = even(28, 5)
    dead = ("m3", "m11", "m20")
    took_s = {**dict.fromkeys(intervals_s, 0.01), **dict.fromkeys(dead, -1.4)}
    line = Line(intervals_s, took_s, try_s=1.5)
    async with line.running():
        await line.pass_time(100, 0.02)
    for device in intervals_s.keys() - set(dead):
        late = [(at - line.timetable.offset_s(device)) % 5 for at in line.began[device] if at > 5]
        assert max(late) <= 0.1, device
        assert len(late) >= 18, device
    assert [len(line.began[device]) for device in dead] == [5, 5, 5]


async def test_a_dead_device_is_asked_in_spite_of_a_line_without_a_gap() -> None:
    intervals_s = even(3, 1)
    took_s = {**dict.fromkeys(intervals_s, 0.1), "m1": -1.0}
    line = Line(intervals_s, took_s)
    async with line.running():
        await line.pass_time(30)
    assert len(line.began["m1"]) >= 4
    gaps = [b - a for a, b in pairwise(line.began["m0"])]
    assert max(gaps) <= 2.2, "one try of the dead one, and no more"


async def test_a_device_that_stays_dead_is_asked_every_five_minutes() -> None:
    line = Line({"m0": 1}, {"m0": -0.1})
    async with line.running():
        await line.pass_time(1500, 0.5)
    began = line.began["m0"]
    gaps = [b - a for a, b in pairwise(began)]
    assert [round(gap) for gap in gaps[:6]] == [1, 2, 4, 8, 16, 32]
    assert max(gaps) <= LONGEST_BACK_OFF_S + 1


async def test_a_line_that_is_too_slow_skips_polls_says_so_once_and_with_a_number() -> None:
    line = Line(even(4, 60), dict.fromkeys(even(4, 60), 18.5))
    async with line.running():
        await line.pass_time(600, 0.5)
        assert [event.code for event in line.events] == ["line_overrun"]
        (event,) = line.events
        assert event.text == "line bus1 needs 74 s for what should be read every 60 s"
        assert event.data["needs_ms"] == 74_000
        polls = [len(began) for began in line.began.values()]
        assert min(polls) >= 7, "everybody has its share of the line"
        assert 3 <= line.timetable.skipped <= 12
        line.took_s |= dict.fromkeys(line.took_s, 5.0)
        await line.pass_time(300, 0.5)
    assert [event.code for event in line.events] == ["line_overrun", "line_in_time"]
    assert near(line.began["m0"][-2:], [840, 900]), "nothing has piled up"


async def test_dead_devices_are_no_overrun() -> None:
    line = Line(even(10, 10), dict.fromkeys(even(10, 10), -3.0))
    line.took_s["m9"] = 0.1
    async with line.running():
        await line.pass_time(300, 0.5)
    assert line.events == []
    assert len(line.began["m9"]) >= 25


async def test_a_line_that_comes_back_is_noticed_by_all_its_devices_at_once() -> None:
    intervals_s = even(5, 10)
    line = Line(intervals_s, dict.fromkeys(intervals_s, -0.1))
    line.unreachable = True
    async with line.running():
        await line.pass_time(900, 0.5)
        line.took_s |= dict.fromkeys(intervals_s, 0.1)
        asked = sum(map(len, line.began.values()))
        back_s = line.clock.monotonic()
        while sum(map(len, line.began.values())) == asked:
            await line.pass_time(1)
        await line.pass_time(11)
    assert all(began[-1] > back_s for began in line.began.values())


async def test_a_device_that_gives_up_waiting_keeps_nobody_from_the_line() -> None:
    clock = ManualClock(MINUTE)
    timetable = Timetable("bus1", {"a": 60, "b": 60, "c": 60}, clock)
    log: list[str] = []

    async def ask(device: str) -> None:
        async with timetable.turn(device):
            log.append(device)

    async with timetable.turn("a"):
        b, c = asyncio.ensure_future(ask("b")), asyncio.ensure_future(ask("c"))
        await turns(2)
        b.cancel()
        await turns(2)
    await c
    assert log == ["c"]


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000, -MINUTE, 10 * 365 * 86_400_000])
async def test_a_step_of_the_wall_clock_neither_stops_polls_nor_skips_any(step_ms: int) -> None:
    line = Line(even(2, 60), dict.fromkeys(even(2, 60), 0.1))
    async with line.running():
        await line.pass_time(61)
        line.clock.set_wall(line.clock.now_ms() + step_ms)
        await line.pass_time(120)
    assert len(line.began["m0"]) == 4
    assert line.timetable.skipped == 0
