"""The Modbus driver against libmodbus, and the simulated meter as mbpoll reads it."""

from decimal import Decimal
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import Refused
from common.registers import Medium
from edge_agent.drivers.base import Order
from edge_agent.drivers.modbus import ModbusMeter, ModbusSwitch, modbus_device
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import load_profile, parse_profile, profile_names
from edge_agent.simulators.modbus import ModbusServer, SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.contract.modbus_foreign import libmodbus, mbpoll, recorded, wire
from tests.harness.ports import free_port

NOW_MS = 1_767_225_600_000
CLOCK = ManualClock(NOW_MS)
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    1_234_567_890_123,
    (Curve((27_123_456,), HOUR_MS),),
    Timeline(NOW_MS - HOUR_MS),
)
COILS = b"""
name = "Eight relays"
maker = "M"
source = "S"
medium = "other"
register = []
[[output]]
key = "roof"
name = "Roof"
coil = 3
states = ["closed", "open"]
"""


@pytest.mark.parametrize("name", profile_names())
async def test_libmodbus_is_read_as_the_profile_says(name: str) -> None:
    profile = load_profile(name)
    address, words = recorded(profile)
    async with libmodbus("tcp", profile.function, address, words) as port:
        line = ModbusLine(f"tcp://127.0.0.1:{port}", 5)
        sample = await modbus_device("m", line, 1, profile, clock=CLOCK).read()
        line.close()
    assert profile.recorded is not None
    assert {m.key: m.value for m in sample.measured} == {
        key: None if text == "none" else Decimal(text)
        for key, text in profile.recorded.readings.items()
    }
    discovery = 3 if profile.sunspec else 0
    assert line.requests == discovery + len(profile.requests)


async def test_libmodbus_refuses_what_it_has_not() -> None:
    profile = load_profile("eastron_sdm120")
    async with libmodbus("tcp", 4, 0, [0] * 10) as port:
        line = ModbusLine(f"tcp://127.0.0.1:{port}", 5)
        with pytest.raises(Refused, match=r"02 \(illegal data address\)"):
            await ModbusMeter("m", line, 1, profile, clock=CLOCK).read()
        line.close()


async def test_a_coil_of_libmodbus_is_set_and_read_back() -> None:
    async with libmodbus("tcp", 3, 0, [0]) as port:
        line = ModbusLine(f"tcp://127.0.0.1:{port}", 5)
        relays = modbus_device("relays", line, 1, parse_profile(COILS, "coils"), clock=CLOCK)
        assert isinstance(relays, ModbusSwitch)
        for state in (1, 1, 0):
            assert await relays.switch(Order("c", "roof", state, NOW_MS)) == state
            assert await relays.read_output("roof") == state
        line.close()


async def test_serial_rtu_is_read_through_a_pair_of_terminals(tmp_path: Path) -> None:
    profile = load_profile("schneider_iem3000")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ends = [f"PTY,link={end},raw,echo=0" for end in (ours, theirs)]
    async with (
        wire(*ends),
        libmodbus(str(theirs), profile.function, *recorded(profile)),
    ):
        line = ModbusLine(f"serial://{ours}?baud=9600&parity=N", 5)
        sample = await ModbusMeter("m", line, 1, profile, clock=CLOCK).read()
        line.close()
    measured = {m.key: m.value for m in sample.measured}
    assert measured["energy_import"] == 123456789012
    assert measured["power"] == 7260


async def test_rtu_over_tcp_is_read_through_a_serial_server(tmp_path: Path) -> None:
    profile = load_profile("eastron_sdm630")
    theirs, port = tmp_path / "theirs", free_port()
    async with (
        wire(f"PTY,link={theirs},raw,echo=0", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"),
        libmodbus(str(theirs), profile.function, *recorded(profile)),
    ):
        line = ModbusLine(f"rtu+tcp://127.0.0.1:{port}", 5)
        sample = await ModbusMeter("m", line, 1, profile, clock=CLOCK).read()
        line.close()
    assert {m.key: m.value for m in sample.measured}["energy_import"] == 12345678


@pytest.mark.parametrize("name", ["eastron_sdm630", "schneider_iem3000"])
async def test_mbpoll_reads_the_simulated_floats(name: str) -> None:
    profile = load_profile(name)
    power = next(field for field in profile.register if field.key == "power")
    kind = "3:float" if profile.function == 4 else "4:float"
    server = ModbusServer("127.0.0.1", 0, {1: SimulatedModbusMeter(profile, METER, CLOCK)})
    port = await server.start()
    try:
        values = await mbpoll(port, 1, "-t", kind, "-B", "-r", str(power.address), "-c", "1")
    finally:
        await server.close()
    assert float(values[0]) * float(power.scale) == pytest.approx(27_123.456, rel=1e-5)


async def test_mbpoll_reads_the_simulated_64_bit_energy() -> None:
    profile = load_profile("schneider_iem3000")
    server = ModbusServer("127.0.0.1", 0, {1: SimulatedModbusMeter(profile, METER, CLOCK)})
    port = await server.start()
    try:
        values = await mbpoll(port, 1, "-t", "4:hex", "-r", "3203", "-c", "4")
    finally:
        await server.close()
    assert int("".join(value.removeprefix("0x") for value in values), 16) == 1_234_595_013


async def test_mbpoll_reads_the_simulated_low_word_first_integer() -> None:
    profile = load_profile("carlo_gavazzi_em340")
    server = ModbusServer("127.0.0.1", 0, {1: SimulatedModbusMeter(profile, METER, CLOCK)})
    port = await server.start()
    try:
        values = await mbpoll(port, 1, "-t", "3:int", "-r", str(0x28), "-c", "1")
    finally:
        await server.close()
    assert values == ["271234"]
