"""Server and simulated module over real sockets: records exactly once, outputs moved once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.clock import ManualClock, SystemClock
from common.errors import Disconnected, NoAnswer, NotFound, Refused, Unreachable
from edge_agent.drivers.base import Device, Order, SwitchesOutputs
from edge_agent.drivers.c11do1eth import C11Module, CommunicationServer
from edge_agent.protocols.c11do1eth import Cause, Cmd, EventCode, Evt, Reason, Rec, Result, Rsp
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from tests.contract.c11do1eth_site import (
    NOW_MS,
    SECRET,
    MemorySink,
    device,
    module,
    running,
    serving,
    simulator,
)

QUARTER_MS = 900_000


@dataclass
class Site:
    """A server, a module as it is configured, and the module itself."""

    sink: MemorySink
    server: CommunicationServer
    module: C11Module
    core: C11Core
    simulator: C11Simulator
    moves: list[int] = field(default_factory=list)

    async def settled(self) -> None:
        """Everything recorded so far is stored."""
        last = self.core.last
        await self.sink.until(lambda: ("m1", 1, last) in self.sink.stored)
        await self.sink.until(lambda: len({seq for _, _, seq in self.sink.stored}) >= last)


def core_with_backlog(records: int, moves: list[int] | None = None) -> C11Core:
    """A module that counted for ``records`` quarters of an hour up to now without a server."""
    start_ms = SystemClock().now_ms() - (records + 1) * QUARTER_MS
    core = C11Core(
        "m1",
        SECRET,
        lambda now_ms: max(0, now_ms - start_ms) // 60_000,
        on_output=lambda state, _: (moves if moves is not None else []).append(state),
        backlog_delay_s=0,
    )
    core.power_up(start_ms)
    for number in range(1, records + 1):
        core.record(start_ms + number * QUARTER_MS)
    return core


@asynccontextmanager
async def site(records: int = 0) -> AsyncIterator[Site]:
    sink, moves = MemorySink(), list[int]()
    core = core_with_backlog(records, moves)
    configured = module()
    async with serving(sink, modules={"m1": configured}) as (server, port):
        client = simulator(core, port)
        place = Site(sink, server, configured, core, client, moves)
        async with running(client.run()):
            yield place


def order(value: int, command: str = "c" * 32, late_ms: int = -60_000) -> Order:
    return Order(command, "roof", value, SystemClock().now_ms() - late_ms)


async def test_a_backlog_of_three_thousand_records_arrives_once_and_in_order() -> None:
    async with site(3000) as place:
        await place.settled()
        first, *rest = place.sink.arrivals
        assert isinstance(first, Rec)
        assert first.reason is Reason.FORCED
        backlog = [item for item in rest if item.seq < first.seq]
        assert [item.seq for item in backlog] == list(range(1, first.seq))
        assert len(place.sink.arrivals) == len(place.sink.stored)
        records = [item for item in backlog if isinstance(item, Rec)]
        assert {(item.reason, item.cause) for item in records} == {(Reason.BACKLOG, Cause.NO_LINK)}
        assert [item.total for item in records] == [15 * n for n in range(1, 3001)]
        assert place.server.counters.refused_rate == 0


async def test_a_record_leaves_the_ring_only_when_it_is_acknowledged() -> None:
    async with site(5) as place:
        place.sink.gate.clear()
        await place.sink.entered.wait()
        assert len(place.core.ring) == place.core.last
        place.sink.gate.set()
        await place.settled()
        await place.sink.until(lambda: True)
        before = place.core.last
        place.core.record(SystemClock().now_ms())
        place.simulator.cut()
        await place.settled()
        assert ("m1", 1, before + 1) in place.sink.stored


@pytest.mark.parametrize("every", [1, 3])
async def test_after_cuts_what_was_not_acknowledged_comes_again_and_nothing_is_lost(
    every: int,
) -> None:
    async with site(200) as place:
        commits, cuts = 0, 0

        def cut() -> None:
            nonlocal commits, cuts
            commits += 1
            if commits % every == 0 and cuts < 8:
                cuts += 1
                place.simulator.cut()

        place.sink.after_store = cut
        await place.settled()
        assert cuts >= 3
        assert place.simulator.sessions > cuts
        numbers = sorted(seq for _, _, seq in place.sink.stored)
        assert numbers == list(range(1, len(numbers) + 1))
        totals = [item.total for _, item in sorted(place.sink.stored.items())
                  if isinstance(item, Rec)]  # fmt: skip
        assert totals == sorted(totals)


async def test_a_failing_sink_gets_the_same_records_again() -> None:
    async with site(50) as place:
        place.sink.failures = 3
        await place.settled()
        assert place.server.counters.store_failures == 3
        assert len(place.sink.arrivals) == len(place.sink.stored)


async def test_a_server_that_restarts_loses_nothing() -> None:
    sink, core = MemorySink(), core_with_backlog(100)

    def has(last: int) -> bool:
        return all(("m1", 1, seq) in sink.stored for seq in range(1, last + 1))

    for goal in (30, 103):
        async with serving(sink) as (_, port), running(simulator(core, port).run()):
            await sink.until(lambda goal=goal: has(goal))  # type: ignore[misc]


async def test_a_ring_made_in_time_lapse_is_replayed_by_a_later_process(tmp_path: Path) -> None:
    file = tmp_path / "module.json"
    made = core_with_backlog(96)
    made.save(file)
    later = C11Core("m1", SECRET, lambda _: made.ring[-1].seq * 15, backlog_delay_s=0)
    later.load(file)
    sink = MemorySink()
    async with serving(sink) as (_, port), running(simulator(later, port).run()):
        await sink.until(lambda: all(("m1", 1, seq) in sink.stored for seq in range(1, 98)))
    assert [item.at_ms for item in made.ring] == [
        sink.stored["m1", 1, seq].at_ms for seq in range(1, 98)
    ]


async def test_what_the_ring_had_to_drop_is_reported_and_does_not_stop_the_rest() -> None:
    sink = MemorySink()
    core = C11Core("m1", SECRET, lambda _: 7, capacity=50, backlog_delay_s=0)
    core.power_up(NOW_MS)
    for number in range(100):
        core.record(NOW_MS + number)
    oldest = core.ring[0].seq
    async with serving(sink) as (_, port), running(simulator(core, port).run()):
        await sink.until(lambda: any(isinstance(item, Evt) for item in sink.arrivals))
        await sink.until(lambda: ("m1", 1, 101) in sink.stored)
    [event] = [
        item for item in sink.arrivals
        if isinstance(item, Evt) and item.code == EventCode.BACKLOG_OVERFLOW
    ]  # fmt: skip
    kept = min(seq for _, _, seq in sink.stored)
    assert kept >= oldest
    assert event.values == ("1", str(kept - 1))


async def test_switching_moves_the_output_and_gives_what_was_read_back() -> None:
    async with site() as place:
        await place.settled()
        assert await place.module.read_output("roof") == 0
        assert await place.module.switch(order(1)) == 1
        assert await place.module.read_output("roof") == 1
        assert await place.module.switch(order(0, "d" * 32)) == 0
        assert place.moves == [1, 0]
        await place.settled()
        changes = [item.values for item in place.sink.arrivals
                   if isinstance(item, Evt) and item.code == EventCode.OUTPUT_CHANGED]  # fmt: skip
        assert changes == [("1", "c" * 32), ("0", "d" * 32)]


async def test_the_same_command_twice_switches_once() -> None:
    async with site() as place:
        await place.settled()
        assert await place.module.switch(order(1)) == 1
        assert await place.module.switch(order(0, "d" * 32)) == 0
        assert await place.module.switch(order(1)) == 1
        assert place.moves == [1, 0]
        assert place.core.output == 0


async def test_an_expired_command_switches_nothing() -> None:
    async with site() as place:
        await place.settled()
        with pytest.raises(Refused, match="EXPIRED"):
            await place.module.switch(order(1, late_ms=1000))
        assert place.moves == []


async def test_a_stuck_output_is_seen_in_the_read_back() -> None:
    async with site() as place:
        await place.settled()
        place.core.output_stuck = True
        assert await place.module.switch(order(1)) == 0
        assert place.moves == []


async def test_without_a_session_nothing_is_sent() -> None:
    configured = module()
    assert isinstance(configured, SwitchesOutputs)
    known: Device = configured
    assert [register.key for register in known.registers] == ["volume", "flow", "roof"]
    with pytest.raises(Unreachable):
        await configured.switch(order(1))
    with pytest.raises(NotFound):
        await configured.switch(Order("c" * 32, "window", 1, NOW_MS))
    with pytest.raises(Refused):
        await configured.switch(order(2))


async def test_a_module_that_does_not_answer_leaves_the_outcome_unknown() -> None:
    clock = ManualClock(NOW_MS)
    configured = module(clock=clock)
    async with (
        serving(MemorySink(), clock, modules={"m1": configured}) as (_, port),
        device(port) as hand,
    ):
        await hand.open()
        switching = asyncio.ensure_future(
            configured.switch(Order("c" * 32, "roof", 1, NOW_MS + 60_000))
        )
        sent = await hand.next()
        assert sent == Cmd("m1", "c" * 32, NOW_MS + 60_000, "OUT", ("ON",))
        clock.advance(10)
        with pytest.raises(NoAnswer):
            await switching
        again = asyncio.ensure_future(
            configured.switch(Order("c" * 32, "roof", 1, NOW_MS + 60_000))
        )
        assert await hand.next() == sent
        hand.send(Rsp("m1", "c" * 32, Result.OK, 1, NOW_MS))
        assert await again == 1


async def test_a_module_that_hangs_up_during_a_command_leaves_the_outcome_unknown() -> None:
    configured = module()
    async with serving(MemorySink(), modules={"m1": configured}) as (_, port):
        async with device(port) as hand:
            await hand.open()
            switching = asyncio.ensure_future(configured.switch(order(1)))
            assert isinstance(await hand.next(), Cmd)
        with pytest.raises(Disconnected):
            await switching
        assert not configured.connected


async def test_a_busy_sink_does_not_hold_up_a_command() -> None:
    async with site(100) as place:
        place.sink.gate.clear()
        await place.sink.entered.wait()
        assert await place.module.switch(order(1)) == 1
        place.sink.gate.set()
        await place.settled()
