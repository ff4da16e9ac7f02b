"""What modules push is stored once, with the counter's state, and only then acknowledged."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import NotFound
from common.messages.uplink import Event, Readings
from common.reading import Quality
from common.registers import Medium
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.c11do1eth import C11Module, Output, Periods
from edge_agent.drivers.c11do1eth_orders import Setup
from edge_agent.intake import Intake
from edge_agent.protocols.c11do1eth import (
    Cause,
    Clock,
    Cmd,
    Evt,
    Frame,
    Hello,
    Reason,
    Rec,
    Result,
    Rsp,
)
from edge_agent.store.database import StorageError
from edge_agent.store.journal import Journal
from tests.unit.edge_parts import NOW, bodies, fill_disk, opened, turns

NUMBERS = {"water": {"volume": 1, "flow": 2, "roof": 3}}


def intake(journal: Journal, clock: ManualClock) -> tuple[Intake, DeviceStates, C11Module]:
    module = C11Module(
        "water",
        b"0123456789abcdef",
        medium=Medium.COLD_WATER,
        weight=Fraction(1, 100),
        clock=clock,
        start_index=Decimal("100.5"),
        output=Output("roof", "Roof"),
    )
    states = DeviceStates(["water"])
    return Intake(journal, {"water": module}, NUMBERS, states, clock), states, module


def rec(seq: int, total: int, at_ms: int = NOW, boot: int = 1, clock: Clock = Clock.SYNCED) -> Rec:
    return Rec(
        *("water", seq, boot, at_ms, clock, 1000, 60, total, 6, 1, 0, 0),
        *(Reason.TIMED, Cause.NONE),
    )


def hello(oldest: int, last: int, boot: int = 1) -> Hello:
    return Hello("water", 1, "C11DO1ETH", "1.0", boot, last, oldest, 1)


async def volumes(journal: Journal) -> list[tuple[int, int | None, int, int | None]]:
    """(time, value, quality, raw) of every volume that is stored."""
    found = [body for body in await bodies(journal) if isinstance(body, Readings)]
    return [
        (body.at, one.value, one.quality, one.raw)
        for body in found
        for one in body.r
        if one.no == 1
    ]


async def codes(journal: Journal) -> list[str]:
    return [body.code for body in await bodies(journal) if isinstance(body, Event)]


async def test_a_record_becomes_exact_readings_and_is_acknowledged(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, states, _ = intake(journal, clock)
        assert await taking.resume("water", hello(1, 1)) == 0
        assert await taking.store("water", [rec(1, 250)]) == 1
        (readings,) = await bodies(journal)
        assert isinstance(readings, Readings)
        assert [(one.no, one.value, one.raw) for one in readings.r] == [
            (1, 103_000, 250),
            (2, 36_000, 6),
            (3, 0, 0),
        ]
        assert states["water"].state == "ok"


async def test_a_record_that_comes_again_is_not_stored_again(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.resume("water", hello(1, 3))
        assert await taking.store("water", [rec(3, 30)]) == 0
        assert await taking.store("water", [rec(1, 10), rec(2, 20), rec(3, 30)]) == 3
        assert await taking.store("water", [rec(1, 10), rec(2, 20), rec(3, 30)]) == 3
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        assert await taking.resume("water", hello(1, 3)) == 3
        assert await taking.store("water", [rec(3, 30)]) == 3
        assert [raw for *_, raw in await volumes(journal)] == [30, 10, 20]


async def test_consumption_is_not_lost_when_the_total_goes_back(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.resume("water", hello(1, 9))
        await taking.store("water", [rec(1, 1000, NOW), rec(3, 5, NOW + 2000)])
        await taking.store("water", [rec(2, 1001, NOW + 1000), rec(4, 8, NOW + 3000)])
        found = await volumes(journal)
        assert [value for _, value, _, _ in found] == [110_500, 110_510, 110_510, 110_540]
        assert [raw for *_, raw in found] == [1000, 1001, 5, 8]
        assert await codes(journal) == ["counter_reset"]


@pytest.mark.parametrize("at_ms", [4_070_908_800_000, 86_400_000])
async def test_a_module_with_a_wrong_clock_loses_nothing(tmp_path: Path, at_ms: int) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.resume("water", hello(1, 9))
        await taking.store("water", [rec(1, 10, at_ms), rec(2, 20, at_ms + 1000)])
        await taking.store("water", [rec(3, 30, at_ms + 2000)])
        found = await volumes(journal)
        assert len({at for at, *_ in found}) == 3, "two readings have one identity"
        assert {quality for _, _, quality, _ in found} == {Quality.TIME_UNCERTAIN}
        assert await codes(journal) == ["device_clock"]


async def test_a_module_that_does_not_know_the_time_is_not_blamed(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.resume("water", hello(1, 2))
        undated = [rec(1, 10, 0, clock=Clock.UNKNOWN), rec(2, 20, NOW - 5000, clock=Clock.UNKNOWN)]
        await taking.store("water", undated)
        found = await volumes(journal)
        assert [(at, quality) for at, _, quality, _ in found] == [
            (NOW, Quality.TIME_UNCERTAIN),
            (NOW - 5000, Quality.TIME_UNCERTAIN),
        ]
        assert await codes(journal) == []


async def test_events_of_the_module_are_events_of_the_gateway(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        known = Evt("water", 1, 1, NOW, Clock.SYNCED, 1, "LINEBREAK")
        news = replace(known, seq=2, code="SOMETHINGNEW", values=("1", "2"))
        await taking.store("water", [known, news])
        found = [body for body in await bodies(journal) if isinstance(body, Event)]
        assert [(one.code, one.severity, one.device) for one in found] == [
            ("line_break", "alarm", "water"),
            ("somethingnew", "info", "water"),
        ]
        assert found[1].data == {"values": "1,2"}


@pytest.mark.parametrize("total", [2**63, 2**64 - 1, 2**62])
async def test_a_record_that_can_never_be_stored_does_not_block_its_module(
    tmp_path: Path, total: int
) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.store("water", [rec(1, 100)])
        assert await taking.store("water", [rec(2, total, NOW + 1)]) == 2
        assert await taking.store("water", [rec(3, 300, NOW + 2)]) == 3
        assert [value for _, value, _, _ in await volumes(journal)] == [101_500, 103_500]
        (event,) = [body for body in await bodies(journal) if isinstance(body, Event)]
        assert (event.code, event.severity, event.device) == (
            *("record_unstorable", "warning", "water"),
        )


async def test_after_the_clock_was_set_back_nothing_is_dated_in_the_future(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        ahead = ManualClock(NOW + 86_400_000)
        taking, _, _ = intake(journal, ahead)
        await taking.store("water", [rec(1, 1, 0, clock=Clock.UNKNOWN)])
        ahead.advance(-86_400)
        await taking.store("water", [rec(n, n, 0, clock=Clock.UNKNOWN) for n in (2, 3)])
        stamps = [at for at, *_ in await volumes(journal)]
        assert stamps == [NOW + 86_400_000, NOW, NOW + 1]


async def test_no_two_records_of_a_full_ring_without_a_clock_get_the_same_time(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        await taking.store("water", [rec(n, n, 0, clock=Clock.UNKNOWN) for n in range(1, 4097)])
        stamps = [at for at, *_ in await volumes(journal)]
        assert len(set(stamps)) == 4096


async def test_strangers_are_not_stored(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        with pytest.raises(NotFound):
            await taking.store("stranger", [rec(1, 1)])
        with pytest.raises(NotFound):
            await taking.resume("stranger", hello(1, 1))


async def test_a_session_wakes_who_waits_for_the_device(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, _ = intake(journal, clock)
        woken: list[str] = []
        taking.on_session = woken.append
        await taking.resume("water", hello(1, 1))
        assert woken == ["water"]


async def test_a_silent_module_is_failing_and_says_so_once(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, states, module = intake(journal, clock)
        await taking.store("water", [rec(1, 1)])
        watching = asyncio.ensure_future(taking.run(module))
        for _ in range(10):
            await turns(2)
            clock.advance(60)
            await journal.oldest_at()
        watching.cancel()
        assert states["water"].state == "failing"
        assert await codes(journal) == ["device_failing"]
        await taking.resume("water", hello(1, 1))
        assert await codes(journal) == ["device_failing", "device_ok"]


class Answering:
    """A link whose module answers every order with OK."""

    def __init__(self, module: C11Module) -> None:
        self._module = module
        self.orders: list[tuple[str, int]] = []

    def send(self, frame: Frame) -> None:
        assert isinstance(frame, Cmd)
        self.orders.append((frame.verb, frame.not_after_ms))
        answer = Rsp(frame.device, frame.command, Result.OK, 1, 1)
        asyncio.get_running_loop().call_soon(self._module.settle, answer)


async def test_the_clock_of_a_module_whose_session_lasts_is_set_twice_a_day(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, module = intake(journal, clock)
        link = Answering(module)
        module.attach(link)
        watching = asyncio.ensure_future(taking.run(module))
        while clock.now_ms() < NOW + 25 * 3_600_000:
            await turns(6)
            clock.advance(600)
        watching.cancel()
        assert [verb for verb, _ in link.orders] == ["TIME", "TIME"]
        assert min(until for _, until in link.orders) > 200_000_000_000_000


class Stepping(ManualClock):
    """A clock whose wall time is set, as by NTP; the rest of it goes on."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000])
async def test_when_our_clock_is_set_the_clocks_of_connected_modules_are_too(
    tmp_path: Path, ahead_ms: int
) -> None:
    clock = Stepping(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, module = intake(journal, clock)
        link = Answering(module)
        module.attach(link)
        watching = asyncio.ensure_future(taking.run(module))
        for turn in range(20):
            await turns(6)
            clock.advance(60)
            clock.ahead_ms = ahead_ms if turn >= 9 else 0
        watching.cancel()
        assert [verb for verb, _ in link.orders] == ["TIME"]


async def test_settings_that_could_not_be_told_of_are_given_again(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, module = intake(journal, clock)
        module.setup, module.periods = Setup(), Periods(version=2)
        await taking.resume("water", hello(1, 1))
        module.attach(Answering(module))
        await fill_disk(journal)
        watching = asyncio.ensure_future(taking.run(module))
        with pytest.raises(StorageError):
            await watching
        await fill_disk(journal, full=False)
        watching = asyncio.ensure_future(taking.run(module))
        while not await codes(journal):
            await turns(5)
            clock.advance(60)
        watching.cancel()
        assert await codes(journal) == ["settings_applied"]


async def test_a_module_that_has_lost_its_settings_is_given_them_again_but_not_in_the_same_boot(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOW)
    async with opened(tmp_path, clock) as journal:
        taking, _, module = intake(journal, clock)
        module.setup, module.periods = Setup(), Periods(version=2)
        module.attach(Answering(module))
        watching = asyncio.ensure_future(taking.run(module))
        for boot in (1, 1, 2):
            await taking.resume("water", hello(1, 1, boot))
            for _ in range(5):
                await turns(20)
                clock.advance(60)
                await journal.oldest_at()
        watching.cancel()
        assert await codes(journal) == ["settings_applied"] * 2
