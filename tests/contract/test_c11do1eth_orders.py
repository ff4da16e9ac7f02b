"""Every order over real sockets: what the module answers, what it then does, what is stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from common.clock import SystemClock
from common.messages.uplink import Event, Readings
from common.registers import Medium
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.c11do1eth import C11Module, CommunicationServer, Output, Periods
from edge_agent.drivers.c11do1eth_orders import OrderForbidden, OrderUnsupported, Setup
from edge_agent.intake import Intake
from edge_agent.protocols.c11do1eth import Cmd, Frame
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from edge_agent.store.journal import Journal
from tests.contract.c11do1eth_site import (
    PATIENCE_S,
    SECRET,
    device,
    rec,
    running,
    simulator,
)
from tests.unit.edge_parts import bodies, opened, turns
from tests.unit.test_im1_frames import line

SETUP = Setup(debounce_ms=15, weight=Fraction(1, 100), safe="off", safe_after_s=30, leak_s=3600)


class Ignorant(C11Core):
    """A module whose firmware knows no order, or one that once does not answer."""

    ignorant = True
    deaf_to = 0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.orders: list[str] = []

    def receive(self, frame: Frame, now_ms: int) -> list[Frame]:
        if isinstance(frame, Cmd):
            self.orders.append(frame.verb)
            if len(self.orders) == self.deaf_to:
                return []
            if self.ignorant:
                frame = replace(frame, verb="NEWS", arguments=())
        return super().receive(frame, now_ms)


@dataclass
class Gateway:
    """A server that stores in a journal, and a simulated module that is connected to it."""

    journal: Journal
    module: C11Module
    core: C11Core
    client: C11Simulator
    port: int

    async def events(self) -> list[str]:
        return [body.code for body in await bodies(self.journal) if isinstance(body, Event)]

    async def told(self, *codes: str) -> None:
        """Waits until the journal has these events."""
        async with asyncio.timeout(PATIENCE_S):
            while not set(codes) <= set(await self.events()):
                await turns(5)

    async def session(self) -> None:
        """Waits for a session, on both of its ends."""
        async with asyncio.timeout(PATIENCE_S):
            while not (self.module.connected and self.core.online):
                await turns(5)

    async def stored(self) -> None:
        """Waits until nothing is left in the module's ring."""
        async with asyncio.timeout(PATIENCE_S):
            while self.core.ring:
                await turns(5)


@asynccontextmanager
async def gateway(
    path: Path, setup: Setup | None = None, core: C11Core | None = None, secret: bytes = SECRET
) -> AsyncIterator[Gateway]:
    clock = SystemClock()
    module = C11Module(
        *("m1", secret),
        medium=Medium.COLD_WATER,
        weight=Fraction(1, 100),
        clock=clock,
        periods=Periods(version=7),
        setup=setup,
        output=Output("roof", "Roof"),
    )
    if core is None:
        core = C11Core("m1", SECRET, lambda ms: ms // 60_000, backlog_delay_s=0)
        core.power_up(clock.now_ms())
    async with opened(path, clock) as journal:
        numbers = {"m1": {"volume": 1, "flow": 2, "roof": 3}}
        intake = Intake(journal, {"m1": module}, numbers, DeviceStates(["m1"]), clock)
        server = CommunicationServer("127.0.0.1", 0, {"m1": module}, intake, clock)
        async with running(server.run()), running(intake.run(module)):
            port = await server.listening()
            client = simulator(core, port)
            async with running(client.run()):
                site = Gateway(journal, module, core, client, port)
                await site.session()
                yield site


async def test_a_module_with_another_configuration_is_given_ours_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, SETUP) as site:
        await site.told("settings_applied")
        memory = site.core.memory
        assert (memory.debounce_ms, memory.weight, memory.safe) == (15, (1, 100), "off")
        assert (memory.safe_s, memory.thresholds.leak_s, memory.config) == (30, 3600, 7)
        core = site.core
    async with gateway(tmp_path, SETUP, core) as site:
        site.core.record(SystemClock().now_ms())
        await site.stored()
        assert (await site.events()).count("settings_applied") == 1


async def test_a_module_that_hangs_up_meanwhile_is_given_its_settings_the_next_time(
    tmp_path: Path,
) -> None:
    core = Ignorant("m1", SECRET, lambda _: 0, backlog_delay_s=0)
    core.ignorant, core.deaf_to = False, 3
    core.power_up(SystemClock().now_ms())
    async with gateway(tmp_path, SETUP, core) as site:
        async with asyncio.timeout(PATIENCE_S):
            while len(core.orders) < 3:
                await turns(5)
        site.client.cut()
        await site.told("settings_applied")
        assert core.memory.config == 7
        assert len(core.orders) == 3 + len(SETUP.directives()) + 1


async def test_what_a_module_does_not_take_is_told_and_not_asked_for_again(tmp_path: Path) -> None:
    core = Ignorant("m1", SECRET, lambda _: 0, backlog_delay_s=0)
    core.power_up(SystemClock().now_ms())
    async with gateway(tmp_path, SETUP, core) as site:
        await site.told("settings_refused")
        orders = len(core.orders)
        site.client.cut()
        core.record(SystemClock().now_ms())
        await site.stored()
        await site.session()
        assert len(core.orders) == orders


async def test_a_preset_changes_the_total_and_no_index(tmp_path: Path) -> None:
    async with gateway(tmp_path) as site:
        await site.stored()
        assert await site.module.preset(5) == 5
        site.core.record(SystemClock().now_ms())
        await site.told("counter_preset")
        await site.stored()
        values = [(one.value, one.raw) for body in await bodies(site.journal)
                  if isinstance(body, Readings) for one in body.r if one.no == 1]  # fmt: skip
        assert values[-1][1] in (5, 6)
        assert values[-1][0] - values[0][0] <= 20  # type: ignore[operator]
        assert "counter_reset" not in await site.events()


async def test_a_sealed_module_says_no(tmp_path: Path) -> None:
    async with gateway(tmp_path) as site:
        site.core.sealed = True
        with pytest.raises(OrderForbidden, match="REFUSED to PRESET 5"):
            await site.module.preset(5)
        with pytest.raises(ValueError, match="not in"):
            await site.module.pulse(0)


async def test_records_are_read_back_over_the_wire(tmp_path: Path) -> None:
    async with gateway(tmp_path) as site:
        await site.stored()
        before = len([one for one in await bodies(site.journal) if isinstance(one, Readings)])
        assert await site.module.read_back(1, site.core.last) == before
        async with asyncio.timeout(PATIENCE_S):
            while len([x for x in await bodies(site.journal) if isinstance(x, Readings)]) == before:
                await turns(5)


async def test_clock_safe_state_periods_and_pulse(tmp_path: Path) -> None:
    async with gateway(tmp_path) as site:
        site.core.memory.offset_ms += 3_600_000
        shown = await site.module.read_time()
        assert shown is not None
        assert shown > SystemClock().now_ms() + 3_000_000
        assert abs((await site.module.sync_time() or 0) - SystemClock().now_ms()) < 5_000
        await site.told("clock_step")
        assert await site.module.safe("on", 45) == 45
        await site.module.set_periods(20, 300, 4)
        memory = site.core.memory
        assert (memory.push_s, memory.log_s, memory.delta) == (20, 300, 4)
        assert await site.module.pulse(1) == 1
        async with asyncio.timeout(PATIENCE_S):
            while site.core.output:
                await turns(5)


async def test_a_module_that_is_restarted_comes_back_with_the_next_boot(tmp_path: Path) -> None:
    async with gateway(tmp_path) as site:
        await site.stored()
        boot = site.core.memory.boot
        await site.module.reboot()
        async with asyncio.timeout(PATIENCE_S):
            while site.core.memory.boot == boot or not site.module.connected:
                await turns(5)
        await site.told("power_up")
        assert site.core.memory.boot == boot + 1


async def test_a_module_has_its_new_key_from_the_next_session_on(tmp_path: Path) -> None:
    new = b"fedcba9876543210fedcba9876543210"
    async with gateway(tmp_path) as site:
        await site.module.change_key(new)
        assert site.core.secret == site.module.secret == new
        core = site.core
    async with gateway(tmp_path, None, core, secret=new) as site:
        assert site.module.connected


async def test_a_line_without_a_meaning_holds_up_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as site:
        await site.stored()
        last = site.core.last
        site.client.powered = False
        site.client.cut()
        async with device(site.port) as hand:
            await hand.open(last=last + 3, oldest=last + 1)
            spoilt = rec(last + 2).to_line()[1:-7].decode().replace(",T,-", ",Q,-")
            hand.send(rec(last + 1))
            hand.raw(line(spoilt) + b"\r\n")
            hand.send(rec(last + 3))
            while (await hand.ack()).seq < last + 3:
                pass
        [event] = [one for one in await bodies(site.journal)
                   if isinstance(one, Event) and one.code == "record_unreadable"]  # fmt: skip
        assert event.data == {"seq": last + 2, "line": spoilt}


async def test_an_order_that_the_firmware_does_not_know_is_told_apart(tmp_path: Path) -> None:
    core = Ignorant("m1", SECRET, lambda _: 0, backlog_delay_s=0)
    core.power_up(SystemClock().now_ms())
    async with gateway(tmp_path, core=core) as site:
        with pytest.raises(OrderUnsupported):
            await site.module.sync_time()
        refused = await site.module.configure(SETUP, 9)
        assert len(refused) == len(SETUP.directives()) + 1
