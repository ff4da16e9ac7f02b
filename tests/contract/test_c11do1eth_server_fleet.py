"""A fleet that sends its backlog at once does not keep the gateway's other work waiting."""

import asyncio
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from common.clock import ManualClock
from common.messages.uplink import Event
from common.registers import Medium
from edge_agent.device_state import DeviceStates
from edge_agent.drivers.c11do1eth import C11Module
from edge_agent.intake import STORING, Intake
from tests.contract.c11do1eth_site import SECRET, rec
from tests.unit.edge_parts import NOW, opened, turns

MODULES = 10 * STORING


async def test_an_entry_does_not_wait_for_a_whole_fleets_backlog(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    modules = {
        key: C11Module(
            *(key, SECRET),
            medium=Medium.COLD_WATER,
            weight=Fraction(1, 100),
            clock=clock,
            start_index=Decimal(0),
        )
        for key in (f"m{number}" for number in range(MODULES))
    }
    numbers = {key: {"volume": 1, "flow": 2} for key in modules}
    async with opened(tmp_path, clock) as journal:
        intake = Intake(journal, modules, numbers, DeviceStates(modules), clock)
        stored: list[str] = []

        async def store(key: str) -> None:
            floor = await intake.store(key, [rec(seq, name=key) for seq in range(1, 21)])
            assert floor == 20
            stored.append(key)

        backlog = asyncio.gather(*map(store, modules))
        await turns(1)
        await journal.append(Event(NOW, "order", "info", "an order that is in a hurry"))
        assert len(stored) <= 2 * STORING
        await backlog
        assert sorted(stored) == sorted(modules)
