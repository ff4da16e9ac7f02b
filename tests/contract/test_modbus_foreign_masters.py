"""The simulated meter as masters read it that nobody here wrote, on a serial line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import minimalmodbus
import pytest

from common.clock import ManualClock
from common.registers import Medium
from edge_agent.profiles.modbus import load_profile
from edge_agent.simulators.modbus import SimulatedModbusMeter
from edge_agent.simulators.modbus_rtu import ModbusRtuServer
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.contract.modbus_foreign import jsmodbus_read, mbpoll_rtu, wire

NOW_MS = 1_767_225_600_000
CLOCK = ManualClock(NOW_MS)
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    1_234_567_890_123,
    (Curve((27_123_456,), HOUR_MS),),
    Timeline(NOW_MS - HOUR_MS),
)
ENERGY_WH = 1_234_595_013
"""1,234,567.890123 kWh and an hour of 27.123456 kWh."""

UNIT = 17
IMPORT, TOTAL_POWER = 3203, 3059
"""Registers of the iEM3000 (register maps §2): s64 in Wh, f32 in kW."""


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Path]:
    """A serial port with the simulated meter behind it."""
    meter = SimulatedModbusMeter(load_profile("schneider_iem3000"), METER, CLOCK)
    device = folder / "device"
    server = await asyncio.start_server(ModbusRtuServer({UNIT: meter}).serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with wire(f"PTY,link={device},raw,echo=0", f"TCP:127.0.0.1:{port}"):
            yield device


async def test_mbpoll_reads_the_simulated_meter_on_a_serial_line(tmp_path: Path) -> None:
    async with simulated(tmp_path) as device:
        energy = await mbpoll_rtu(device, UNIT, "-t", "4:hex", "-r", str(IMPORT), "-c", "4")
        power = await mbpoll_rtu(
            device, UNIT, "-t", "4:float", "-B", "-r", str(TOTAL_POWER), "-c", "1"
        )
    assert int("".join(word.removeprefix("0x") for word in energy), 16) == ENERGY_WH
    assert float(power[0]) == pytest.approx(27.123456, rel=1e-5)


async def test_jsmodbus_reads_the_simulated_meter_on_a_serial_line(tmp_path: Path) -> None:
    async with simulated(tmp_path) as device:
        words = await jsmodbus_read(device, UNIT, 3, IMPORT, 4)
        refused = await jsmodbus_read(device, UNIT, 3, 9999, 1)
    assert isinstance(words, list)
    assert int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big") == ENERGY_WH
    assert refused == 2


async def test_minimalmodbus_reads_the_simulated_meter_on_a_serial_line(tmp_path: Path) -> None:
    def read(device: Path) -> tuple[int, float, list[str]]:
        instrument = minimalmodbus.Instrument(str(device), UNIT)
        instrument.serial.timeout = 10
        refusals = []
        try:
            instrument.read_register(9999)
        except minimalmodbus.IllegalRequestError as error:
            refusals.append(str(error))
        energy = instrument.read_registers(IMPORT, 4)
        power = instrument.read_float(TOTAL_POWER)
        instrument.serial.close()
        return int("".join(f"{word:04x}" for word in energy), 16), power, refusals

    async with simulated(tmp_path) as device:
        energy, power, refusals = await asyncio.to_thread(read, device)
    assert energy == ENERGY_WH
    assert power == pytest.approx(27.123456, rel=1e-5)
    assert len(refusals) == 1
