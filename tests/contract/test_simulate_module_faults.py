"""Faults of C11DO1ETH modules, before the real communication server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import InMetterError
from edge_agent.drivers.base import Order
from edge_agent.protocols.c11do1eth import Clock, EventCode, Evt, Rec
from edge_agent.simulators.devices import SimulatedModule
from edge_agent.simulators.site import SimulatedSite
from tests.contract.c11do1eth_site import SECRET, MemorySink, module, serving
from tests.contract.playing import HEAD, happens, playing

FAST = HEAD.replace("base = 3600", "base = 360_000").replace('"electricity"', '"cold_water"')

MODULE = """
[[c11do1eth]]
device = "m1"
server = "127.0.0.1:{port}"
key_file = "m1.key"
meter = "power"
weight = 1
modulus = 4_000_000_000
"""


@asynccontextmanager
async def connected(
    folder: Path,
) -> AsyncIterator[tuple[SimulatedSite, MemorySink, SimulatedModule]]:
    """A module whose first record is stored; a hundred pulses a second."""
    sink = MemorySink()
    (folder / "m1.key").write_bytes(SECRET)
    async with (
        serving(sink) as (_, port),
        playing(folder, FAST + MODULE.format(port=port)) as (
            site,
            _,
        ),
    ):
        await sink.until(lambda: bool(recs(sink)))
        yield site, sink, site.modules["m1"]


def recs(sink: MemorySink) -> list[Rec]:
    return [item for item in sink.arrivals if isinstance(item, Rec)]


def evts(sink: MemorySink, code: EventCode) -> list[Evt]:
    return [one for one in sink.arrivals if isinstance(one, Evt) and one.code == code]


async def later(sink: MemorySink, after: int, fits: Callable[[Rec], bool]) -> Rec:
    """The first record after so many that fits."""
    await sink.until(lambda: any(fits(one) for one in recs(sink)[after:]))
    return next(one for one in recs(sink)[after:] if fits(one))


async def test_after_a_power_cut_the_ring_is_there_and_ram_is_not(tmp_path: Path) -> None:
    async with connected(tmp_path) as (site, sink, one):
        first = recs(sink)[0]
        one.core.record(SystemClock().now_ms())
        kept = one.core.ring[-1]
        fault = site.conductor.order("power_cut", "m1", "1s", {})
        await happens(lambda: not one.simulator.powered)
        assert not one.core.online
        assert fault.to_ms is not None
        record = await later(sink, 1, lambda rec: rec.boot == first.boot + 1)
        await later(sink, 1, lambda rec: (rec.boot, rec.seq) == (kept.boot, kept.seq))
        (boot,) = [evt for evt in evts(sink, EventCode.POWER_UP) if evt.boot == first.boot + 1]
        assert boot.clock is Clock.UNKNOWN
        meter, jump = one.meter, one.counter.jumps(SystemClock().now_ms())[-1]
        lost = meter.pulses(fault.to_ms, 1000) - meter.pulses(fault.from_ms, 1000)
        assert jump.before - jump.after == lost > 50
        assert record.total <= meter.pulses(SystemClock().now_ms(), 1000) - lost


async def test_a_reboot_keeps_the_clock_and_the_count(tmp_path: Path) -> None:
    async with connected(tmp_path) as (site, sink, one):
        first = recs(sink)[0]
        site.conductor.order("reboot", "m1", "", {})
        record = await later(sink, 1, lambda rec: rec.boot == first.boot + 1)
        assert record.total >= first.total
        assert one.counter.jumps(SystemClock().now_ms()) == ()


async def test_a_reset_and_an_exchange_of_the_counter_reach_the_gateway(tmp_path: Path) -> None:
    async with connected(tmp_path) as (site, sink, one):
        before = recs(sink)[-1].total
        site.conductor.order("reset", "m1", "", {})
        one.simulator.cut()
        small = await later(sink, 1, lambda rec: rec.total < before)
        assert small.total < 100 * 30
        site.conductor.order("exchange", "m1", "", {"start": 5_000_000})
        one.simulator.cut()
        await later(sink, 2, lambda rec: 5_000_000 <= rec.total < 5_010_000)


async def test_a_rollover_by_hand_reaches_the_gateway(tmp_path: Path) -> None:
    async with connected(tmp_path) as (site, sink, one):
        site.conductor.order("rollover", "m1", "", {})
        one.simulator.cut()
        record = await later(sink, 1, lambda rec: rec.total < 10_000)
        assert record.delta == 0


async def test_while_the_network_is_down_the_ring_fills_and_then_it_is_emptied(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as (site, sink, one):
        site.conductor.order("network_down", "m1", "", {})
        await happens(lambda: not one.core.online)
        missed = one.core.record(SystemClock().now_ms())
        sessions = one.simulator.sessions
        await site.conductor.clear("all")
        await later(sink, 1, lambda rec: rec.seq == missed.seq)
        assert one.simulator.sessions == sessions + 1


async def test_a_clock_that_jumps_is_set_right_and_told_at_the_next_session(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as (site, sink, one):
        site.conductor.order("clock_jump", "m1", "", {"ms": -7_200_000})
        await happens(lambda: one.core.memory.offset_ms < -7_000_000)
        site.conductor.order("hang_up", "m1", "", {})
        await sink.until(lambda: bool(evts(sink, EventCode.CLOCK_STEP)))
        old, new = map(int, evts(sink, EventCode.CLOCK_STEP)[0].values)
        assert 7_190_000 < new - old < 7_290_000


async def test_lines_that_are_dropped_are_sent_again_once_they_can_be(tmp_path: Path) -> None:
    async with connected(tmp_path) as (site, sink, one):
        site.conductor.order("drop", "m1", "", {})
        lost = one.core.record(SystemClock().now_ms())
        await site.conductor.clear("m1")
        one.simulator.cut()
        await later(sink, 1, lambda rec: rec.seq == lost.seq)


async def test_a_busy_module_fails_orders_and_carries_out_later_ones(tmp_path: Path) -> None:
    sink, device = MemorySink(), module()
    (tmp_path / "m1.key").write_bytes(SECRET)
    async with (
        serving(sink, modules={"m1": device}) as (_, port),
        playing(tmp_path, FAST + MODULE.format(port=port)) as (site, _),
    ):
        await sink.until(lambda: bool(recs(sink)))
        site.conductor.order("busy", "m1", "", {})
        now_ms = SystemClock().now_ms()
        with pytest.raises(InMetterError):
            await device.switch(Order("1" * 32, "roof", 1, now_ms + 60_000))
        assert site.modules["m1"].core.output == 0
        await site.conductor.clear("m1")
        assert await device.switch(Order("2" * 32, "roof", 1, now_ms + 60_000)) == 1
