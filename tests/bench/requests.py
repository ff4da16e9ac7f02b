"""How many requests a poll of each Modbus profile takes, counted on a simulated line."""

import asyncio
from statistics import mean

from common.clock import ManualClock
from common.registers import Medium
from edge_agent.drivers.modbus import modbus_device
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import load_profile, profile_names
from edge_agent.simulators.modbus import ModbusServer
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.bench.figures import Figure, figure

NAME = "modbus.requests_per_poll"
NOW_MS = 1_767_225_600_000
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    12_345_678_000,
    (Curve((9_000_000,), HOUR_MS),),
    Timeline(NOW_MS - HOUR_MS),
)


def requests_per_poll() -> list[Figure]:
    """The mean, and one of each profile; each against the registers that such a poll reads, which
    is what one request for each would take. A SunSpec meter's models are known by then."""
    counts = asyncio.run(_count())
    requests = [requests for requests, _ in counts.values()]
    registers = [registers for _, registers in counts.values()]
    return [
        _figure(NAME, mean(requests), mean(registers)),
        *(_figure(f"{NAME}.{name}", *count) for name, count in counts.items()),
    ]


def _figure(name: str, requests: float, registers: float) -> Figure:
    alone = figure(f"{registers:.4g} registers", [registers], "requests")
    return figure(name, [requests], "requests", peer=alone)


async def _count() -> dict[str, tuple[int, int]]:
    """Requests and readings of the second poll, by profile."""
    clock = ManualClock(NOW_MS)
    names = profile_names()
    units = {
        unit: SimulatedModbusMeter(load_profile(name), METER, clock)
        for unit, name in enumerate(names, 1)
    }
    server = ModbusServer("127.0.0.1", 0, units)
    line = ModbusLine(f"tcp://127.0.0.1:{await server.start()}", 5)
    counts = {}
    for unit, name in enumerate(names, 1):
        device = modbus_device(name, line, unit, load_profile(name), clock=clock)
        await device.read()
        before = line.requests
        readings = len((await device.read()).measured)
        counts[name] = (line.requests - before, readings)
    line.close()
    await server.close()
    # Else the server's task for the connection is cancelled, which Python 3.11 logs.
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    return counts
