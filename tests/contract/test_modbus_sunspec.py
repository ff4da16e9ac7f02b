"""SunSpec meters as pysunspec2 fills their models, and our simulated one as it reads them."""

import asyncio
import struct
from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec

import pytest

from common.clock import ManualClock
from common.errors import FrameError, NoAnswer, NotFound, Refused
from common.reading import Quality
from common.registers import Medium
from edge_agent.drivers.base import Sample
from edge_agent.drivers.modbus import ModbusMeter, SunSpecMeter, modbus_device
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import load_profile
from edge_agent.protocols import sunspec
from edge_agent.simulators.modbus import ModbusServer
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.contract.modbus_foreign import libmodbus
from tests.contract.modbus_peer import frame, peer
from tests.harness.services import without

NOW_MS = 1_767_225_600_000
CLOCK = ManualClock(NOW_MS)
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    1_234_567_890_123,
    (Curve((27_123_456,), HOUR_MS),),
    Timeline(NOW_MS - HOUR_MS),
)
COMMON = (1, [0] * 66)
FACTORS = {"A_SF": -2, "V_SF": -1, "Hz_SF": -2, "W_SF": 1, "PF_SF": -1, "TotWh_SF": 2}
POINTS = {
    "A": 12.34,
    "AphA": 4.11,
    "PhVphA": 230.2,
    "Hz": 49.99,
    "W": -2850,
    "WphB": -960,
    "PF": 98.5,
    "TotWhImp": 123456700,
}
EXPECTED = {
    "current": "12.34",
    "current_l1": "4.11",
    "voltage_l1": "230.2",
    "voltage_l12": "398.8",
    "frequency": "49.99",
    "power": "-2850",
    "power_l2": "-960",
    "power_factor": "0.985",
    "energy_import": "123456700",
}


def model(number: int) -> tuple[int, list[int]]:
    """A meter model's words as pysunspec2 makes them; points that are not said are not there."""
    if find_spec("sunspec2") is None:
        without("pysunspec2")
    from sunspec2.device import Model

    made = Model(number)
    floats = number > 210
    if not floats:
        for name, factor in FACTORS.items():
            made.points[name].value = factor
    for name, value in POINTS.items():
        # The float models have a power factor, the others one in per cent.
        made.points[name].cvalue = value / 100 if floats and name == "PF" else value
    between_lines = "PPVphAB" if "PPVphAB" in made.points else "PhVphAB"
    made.points[between_lines].cvalue = 398.8
    data = made.get_mb()
    words = struct.unpack(f">{len(data) // 2}H", data)
    return number, list(words[sunspec.HEADER :])


def device(line: ModbusLine) -> ModbusMeter:
    return modbus_device("m", line, 1, load_profile("sunspec_meter"), clock=CLOCK)


def values(sample: Sample) -> dict[str, Decimal | None]:
    return {m.key: m.value for m in sample.measured}


@pytest.mark.parametrize("number", [201, 202, 203, 204, 211, 212, 213, 214])
async def test_what_pysunspec2_fills_is_read_from_a_foreign_server(number: int) -> None:
    base = sunspec.BASES[number % len(sunspec.BASES)]
    words = sunspec.chain(base, [COMMON, (103, [0] * 50), model(number)])
    async with libmodbus("tcp", 3, base, list(words.values())) as port:
        line = ModbusLine(f"tcp://127.0.0.1:{port}", 5)
        meter = device(line)
        assert isinstance(meter, SunSpecMeter)
        sample = await meter.read()
        walked = line.requests
        await meter.read()
        line.close()
    assert line.requests == walked + 1, "once found, a poll is one request"
    assert len(words) - 4 == 68 + 52 + sunspec.HEADER + sunspec.LENGTHS[number]
    for key, reading in ((m.key, m) for m in sample.measured):
        if key in EXPECTED:
            assert reading.value == Decimal(EXPECTED[key]), key
        else:
            assert reading.quality is Quality.NOT_AVAILABLE, key


@pytest.mark.parametrize("name", ["sunspec_meter", "sunspec_meter_float"])
async def test_pysunspec2_reads_the_simulated_meter(name: str) -> None:
    if find_spec("sunspec2") is None:
        without("pysunspec2")
    from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

    unit = SimulatedModbusMeter(load_profile(name), METER, CLOCK)
    server = ModbusServer("127.0.0.1", 0, {7: unit})
    port = await server.start()
    client = SunSpecModbusClientDeviceTCP(7, ipport=port, timeout=5)
    try:
        await asyncio.to_thread(client.scan)
    finally:
        client.close()
        await server.close()
    (meter,) = client.models[204 if name == "sunspec_meter" else 214]
    assert meter.points["TotWhImp"].cvalue == pytest.approx(1_234_595_013, rel=1e-6)
    assert meter.points["W"].cvalue == pytest.approx(27_123, abs=1)
    assert meter.points["WphA"].cvalue == pytest.approx(9_041, abs=1)
    assert meter.points["Hz"].cvalue == 50
    assert meter.points["PhVphB"].cvalue == pytest.approx(229.1, abs=0.1)


class Chain:
    """A device whose chain of models can be changed while it answers."""

    def __init__(self, *models: tuple[int, Sequence[int]]) -> None:
        self.words: dict[int, int] = {}
        self.put(*models)

    def put(self, *models: tuple[int, Sequence[int]]) -> None:
        self.words = sunspec.chain(40000, models)

    def reply(self, request: bytes) -> bytes:
        address, count = struct.unpack(">HH", request[8:12])
        if any(address + i not in self.words for i in range(count)):
            return frame(request, bytes((0x83, 2)))
        own = [self.words[address + i] for i in range(count)]
        return frame(request, struct.pack(f">BB{count}H", 3, 2 * count, *own))


def meter_words(**points: int) -> tuple[int, list[int]]:
    """Model 203 with registers by their offsets from its number (``at_46``)."""
    words = [0] * 105
    for name, word in points.items():
        words[int(name.removeprefix("at_")) - sunspec.HEADER] = word
    return 203, words


async def test_a_scale_factor_that_changes_between_polls_is_taken_at_once() -> None:
    chain = Chain(COMMON, meter_words(at_47=500, at_54=0))
    async with peer(chain.reply) as (_, url):
        line = ModbusLine(url, 5)
        meter = device(line)
        assert values(await meter.read())["energy_import"] == 500
        chain.put(COMMON, meter_words(at_47=51, at_54=1))
        assert values(await meter.read())["energy_import"] == 510
        line.close()


async def test_a_model_that_moves_gives_no_wrong_value_and_is_found_again() -> None:
    chain = Chain(COMMON, meter_words(at_47=500))
    async with peer(chain.reply) as (_, url):
        line = ModbusLine(url, 5)
        meter = device(line)
        assert values(await meter.read())["energy_import"] == 500
        chain.put(COMMON, (103, [7] * 50), meter_words(at_47=501))
        with pytest.raises(FrameError, match="model 203 is not at register 40070 now"):
            await meter.read()
        assert values(await meter.read())["energy_import"] == 501
        chain.put(meter_words(at_47=502))
        with pytest.raises((FrameError, Refused)):
            await meter.read()
        assert values(await meter.read())["energy_import"] == 502
        line.close()


async def test_a_device_without_a_meter_model_says_so() -> None:
    chain = Chain(COMMON, (103, [0] * 50))
    async with peer(chain.reply) as (_, url):
        line = ModbusLine(url, 5)
        with pytest.raises(NotFound, match=r"there are \[1, 103\]"):
            await device(line).read()
        chain.words = {}
        with pytest.raises(NotFound, match="no marker"):
            await device(line).read()
        line.close()


async def test_a_device_that_is_silent_is_not_taken_for_another() -> None:
    async with peer(lambda _: b"") as (_, url):
        line = ModbusLine(url, 0.05)
        with pytest.raises(NoAnswer):
            await device(line).read()
        line.close()
    assert line.requests == 1
