"""Commands: written down first, acted on at most once, reported as what was read back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import Disconnected, NoAnswer, Refused, Unreachable
from common.messages.downlink import Command
from common.messages.uplink import CommandReport, Readings
from edge_agent.commands import TIME_WITHIN_S, Commands
from edge_agent.drivers.base import Device
from edge_agent.store.inbox import Inbox
from edge_agent.store.insist import PAUSE_S
from edge_agent.store.journal import Journal
from tests.unit.edge_parts import NOW, Meter, Roof, bodies, fill_disk, opened, turns, until

ID = "019a0c1e5b7e7cc0a4d1f00dfeedbeef"
OTHER = "019a0c1e5b7e7cc0a4d1f00dfeedbef0"


def order(
    value: int = 1,
    *,
    command: str = ID,
    device: str = "roof-module",
    register: str = "roof",
    issued_at: int = NOW,
    expires_at: int = NOW + 60_000,
) -> Command:
    return Command(command, device, register, value, issued_at, expires_at)


class Bench:
    """Commands at work on a journal, and the reports that they have made."""

    def __init__(self, journal: Journal, clock: ManualClock, *devices: Device) -> None:
        self.journal = journal
        self.clock = clock
        by_key = {device.key: device for device in devices}
        numbers = {key: {"roof": 1, "power": 2} for key in by_key}
        self.inbox = Inbox(journal)
        self.commands = Commands(self.inbox, by_key, numbers, clock)

    async def reports(self, count: int) -> list[tuple[str, int | None]]:
        """State and value of the first ``count`` reports, as soon as there are so many."""
        while True:
            found = [one for one in await bodies(self.journal) if isinstance(one, CommandReport)]
            if len(found) >= count:
                return [(one.state, one.value) for one in found]

    async def settle_all(self) -> None:
        assert await self.journal.settle(self.journal.stream, 1, self.journal.next_seq - 1)


@asynccontextmanager
async def at_work(path: Path, *devices: Device, now: int = NOW) -> AsyncIterator[Bench]:
    clock = ManualClock(now)
    async with opened(path, clock) as journal:
        bench = Bench(journal, clock, *devices)
        running = asyncio.ensure_future(bench.commands.run())
        try:
            yield bench
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_an_order_is_accepted_then_carried_out_then_read_back(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        assert await bench.reports(2) == [("accepted", None), ("succeeded", 1)]
        assert roof.switched == [(ID, 1)]
        readings = [one for one in await bodies(bench.journal) if isinstance(one, Readings)]
        assert [(one.r[0].no, one.r[0].value) for one in readings] == [(1, 1)]


async def test_an_order_is_on_disk_before_the_output_moves(tmp_path: Path) -> None:
    roof = Roof()
    seen: list[int] = []
    async with at_work(tmp_path, roof) as bench:
        roof.on_switch = lambda: seen.append(bench.journal.next_seq)
        bench.commands.receive(order(1))
        await bench.reports(2)
        assert seen == [2], "the accepted report was not durable yet"


async def test_a_command_that_comes_twice_switches_once(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        for _ in range(3):
            bench.commands.receive(order(1))
        await bench.reports(2)
        bench.commands.receive(order(1))
        bench.commands.receive(order(0, command=OTHER))
        assert len(await bench.reports(4)) == 4
        assert roof.switched == [(ID, 1), (OTHER, 0)]


async def test_a_known_command_is_answered_again_once_its_report_is_settled(
    tmp_path: Path,
) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        await bench.reports(2)
        await bench.settle_all()
        bench.commands.receive(order(1))
        assert (await bench.reports(3))[2] == ("succeeded", 1)
        assert roof.switched == [(ID, 1)]


async def test_an_expired_command_switches_nothing(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1, expires_at=NOW - 1))
        assert await bench.reports(1) == [("expired", None)]
        assert roof.switched == []


async def test_while_the_gateways_clock_is_behind_nothing_is_switched(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        year = 365 * 86_400_000
        bench.commands.receive(order(1, issued_at=NOW + year, expires_at=NOW + year + 60_000))
        assert await bench.reports(1) == [("rejected", None)]
        assert roof.switched == []


@pytest.mark.parametrize(
    "command",
    [order(device="nothing"), order(register="nothing"), order(register="power")],
    ids=["no such device", "no such register", "not writable"],
)
async def test_what_cannot_be_set_is_rejected(tmp_path: Path, command: Command) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(command)
        assert await bench.reports(1) == [("rejected", None)]


async def test_a_meter_without_outputs_rejects_orders(tmp_path: Path) -> None:
    async with at_work(tmp_path, Meter("meter", ManualClock(NOW), ["1"])) as bench:
        bench.commands.receive(order(device="meter", register="power"))
        assert await bench.reports(1) == [("rejected", None)]


async def test_a_refusal_is_a_failure(tmp_path: Path) -> None:
    roof = Roof()
    roof.troubles = [Refused("sealed")]
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        assert (await bench.reports(2))[1] == ("failed", None)


async def test_an_output_that_does_not_move_is_a_failure(tmp_path: Path) -> None:
    roof = Roof()
    roof.stuck = True
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        assert (await bench.reports(2))[1] == ("failed", 0)


async def test_while_nothing_was_sent_the_order_is_tried_again(tmp_path: Path) -> None:
    roof = Roof()
    roof.troubles = [Unreachable("no session"), Unreachable("no session")]
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        await bench.reports(1)
        while roof.troubles:
            bench.clock.advance(1)
            await turns(2)
        bench.commands.nudge("roof-module")
        assert (await bench.reports(2))[1] == ("succeeded", 1)
        assert roof.switched == [(ID, 1)]


async def test_an_unreachable_device_lets_its_order_expire(tmp_path: Path) -> None:
    roof = Roof()
    roof.troubles = [Unreachable("no session")] * 1000
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        await bench.reports(1)
        while len(await bench.reports(1)) == 1:
            bench.clock.advance(5)
        assert (await bench.reports(2))[1] == ("expired", None)
        assert roof.switched == []


@pytest.mark.parametrize(
    ("moved", "state", "value"), [(True, "succeeded", 1), (False, "failed", 0)]
)
async def test_an_unknown_outcome_is_looked_up_and_not_tried_again(
    tmp_path: Path, moved: bool, state: str, value: int
) -> None:
    roof = Roof()
    roof.stuck = not moved
    roof.after = [NoAnswer("no answer")]
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        assert (await bench.reports(2))[1] == (state, value)
        assert len(roof.switched) == 1


async def test_an_outcome_that_cannot_be_looked_up_is_unconfirmed(tmp_path: Path) -> None:
    roof = Roof()
    roof.after = [Disconnected("hung up")]
    roof.read_troubles = [Unreachable("no session")] * 1000
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        await bench.reports(1)
        while len(await bench.reports(1)) == 1:
            bench.clock.advance(5)
        assert (await bench.reports(2))[1] == ("unconfirmed", None)
        assert len(roof.switched) == 1


@pytest.mark.parametrize(("position", "state"), [(1, "succeeded"), (0, "failed")])
async def test_a_crash_between_accepting_and_acting_is_not_repeated(
    tmp_path: Path, position: int, state: str
) -> None:
    async with opened(tmp_path) as journal:
        report = CommandReport(NOW, ID, "accepted")
        assert await Inbox(journal).take(order(1), report)
    roof = Roof()
    roof.state = position
    async with at_work(tmp_path, roof) as bench:
        assert await bench.reports(2) == [("accepted", None), (state, position)]
        bench.commands.receive(order(1))
        bench.commands.receive(order(1, command=OTHER))
        await bench.reports(4)
        assert roof.switched == [(OTHER, 1)]


async def test_a_crash_is_also_survived_by_orders_for_devices_that_are_gone(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        await Inbox(journal).take(order(1), CommandReport(NOW, ID, "accepted"))
    async with at_work(tmp_path) as bench:
        assert (await bench.reports(2))[1] == ("unconfirmed", None)


async def test_orders_for_one_device_are_carried_out_in_their_order(tmp_path: Path) -> None:
    roof = Roof()
    roof.troubles = [Unreachable("no session")]
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        bench.commands.receive(order(0, command=OTHER))
        await bench.reports(2)
        assert roof.switched == []
        bench.commands.nudge("roof-module")
        await bench.reports(4)
        assert roof.switched == [(ID, 1), (OTHER, 0)]


@pytest.mark.parametrize(
    "older",
    [order(1, issued_at=NOW - 1), order(1, command="0" * 32)],
    ids=["issued before", "issued in the same millisecond"],
)
async def test_an_order_that_was_overtaken_by_a_newer_one_does_not_win(
    tmp_path: Path, older: Command
) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(0, command=OTHER))
        bench.commands.receive(older)
        found = await bench.reports(3)
        assert ("rejected", None) in found
        assert roof.switched == [(OTHER, 0)]
        (refused,) = [
            one
            for one in await bodies(bench.journal)
            if isinstance(one, CommandReport) and one.state == "rejected"
        ]
        assert refused.detail == "a newer order for this output has come before it"


async def test_an_order_is_not_overtaken_by_one_that_was_rejected_or_is_for_another_device(
    tmp_path: Path,
) -> None:
    roof, other = Roof(), Roof("other")
    ahead = 3_600_000
    async with at_work(tmp_path, roof, other) as bench:
        from_the_future = order(0, issued_at=NOW + ahead, expires_at=NOW + ahead + 1)
        bench.commands.receive(from_the_future)
        assert await bench.reports(1) == [("rejected", None)]
        bench.commands.receive(order(1, device="other", command="f" * 32, issued_at=NOW + 5))
        bench.commands.receive(order(1, command=OTHER))
        await bench.reports(5)
        assert roof.switched == [(OTHER, 1)]


async def test_a_result_is_not_lost_while_the_disk_is_full(tmp_path: Path) -> None:
    roof = Roof()
    filling: list[asyncio.Future[None]] = []
    async with at_work(tmp_path, roof) as bench:
        roof.on_switch = lambda: filling.append(fill_disk(bench.journal))
        bench.commands.receive(order(1))
        await until(lambda: bool(filling) and filling[0].done() and bench.clock.sleepers > 0)
        assert await bench.reports(1) == [("accepted", None)]
        await fill_disk(bench.journal, full=False)
        bench.clock.advance(PAUSE_S)
        assert (await bench.reports(2))[1] == ("succeeded", 1)
        assert await bench.inbox.unfinished() == []
        assert len(roof.switched) == 1


async def test_one_device_does_not_hold_up_another(tmp_path: Path) -> None:
    dead, alive = Roof("dead"), Roof("alive")
    dead.troubles = [Unreachable("no session")] * 1000
    async with at_work(tmp_path, dead, alive) as bench:
        bench.commands.receive(order(1, device="dead"))
        bench.commands.receive(order(1, device="alive", command=OTHER))
        assert ("succeeded", 1) in await bench.reports(3)
        assert dead.switched == []


async def test_long_expired_commands_are_forgotten(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        await bench.reports(2)
        await bench.settle_all()
        await bench.inbox.prune(NOW + 40 * 86_400_000)
        bench.clock.advance(40 * 86_400)
        bench.commands.receive(order(1))
        assert (await bench.reports(3))[2] == ("expired", None)
        assert roof.switched == [(ID, 1)]


async def test_a_gateway_that_does_not_know_the_time_refuses_and_says_so(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof, now=0) as bench:
        bench.commands.receive(order(1))
        while not (found := await bodies(bench.journal)):
            bench.clock.advance(0.5)
        [report] = found
        assert isinstance(report, CommandReport)
        assert report.state == "rejected"
        assert report.detail.startswith("the gateway does not know the time")
        assert bench.clock.monotonic() >= TIME_WITHIN_S
        assert roof.switched == []


async def test_an_order_that_comes_a_little_before_the_time_is_carried_out(tmp_path: Path) -> None:
    roof = Roof()
    async with at_work(tmp_path, roof, now=0) as bench:
        bench.commands.receive(order(1))
        await until(lambda: bench.clock.sleepers == 1)
        bench.clock.set_wall(NOW)
        bench.clock.advance(0.25)
        assert await bench.reports(2) == [("accepted", None), ("succeeded", 1)]


async def test_a_clock_that_is_set_back_does_not_make_an_orders_time_longer(
    tmp_path: Path,
) -> None:
    roof = Roof()
    roof.troubles = [Unreachable("no way")] * 1000
    async with at_work(tmp_path, roof) as bench:
        bench.commands.receive(order(1))
        await bench.reports(1)
        await until(lambda: bench.clock.sleepers == 1)
        bench.clock.set_wall(NOW - 3_600_000)
        while bench.clock.monotonic() < 70:
            bench.clock.advance(1)
            await turns(2)
        assert await bench.reports(2) == [("accepted", None), ("expired", None)]
