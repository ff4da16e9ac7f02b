"""The Modbus driver and the simulated meter, over real TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from common.clock import ManualClock
from common.errors import NoAnswer, NotFound, Refused, Unreachable
from common.reading import Quality
from common.registers import Kind, Medium
from edge_agent.drivers.base import Order, Polled, SwitchesOutputs
from edge_agent.drivers.modbus import ModbusMeter, ModbusSwitch, modbus_device
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import Profile, load_profile, parse_profile, profile_names
from edge_agent.simulators.modbus import ModbusServer, SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.contract.modbus_peer import frame, peer, zeros

NOW_MS = 1_767_225_600_000
METER = Meter(
    "main",
    Medium.ELECTRICITY,
    12_345_678_000,
    (Curve((9_000_000, 30_000_000), HOUR_MS),),
    Timeline(NOW_MS - 10 * HOUR_MS),
)
RELAY = b"""
name = "Meter with a relay"
[[register]]
key = "power"
kind = "power"
address = 0
type = "s32"
[[output]]
key = "roof"
name = "Roof"
coil = 0
states = ["closed", "open"]
"""
PROFILE = parse_profile(RELAY, "relay")


@asynccontextmanager
async def served(
    clock: ManualClock, **units: Profile
) -> AsyncIterator[tuple[ModbusLine, dict[int, SimulatedModbusMeter]]]:
    """A line to a server with the units ``u1``, ``u2`` …"""
    meters = {
        int(name[1:]): SimulatedModbusMeter(profile, METER, clock)
        for name, profile in units.items()
    }
    server = ModbusServer("127.0.0.1", 0, meters)
    line = ModbusLine(f"tcp://127.0.0.1:{await server.start()}", 5)
    try:
        yield line, meters
    finally:
        line.close()
        await server.close()


@pytest.mark.parametrize("name", profile_names())
async def test_the_driver_reads_what_the_world_gives(name: str) -> None:
    profile, clock = load_profile(name), ManualClock(NOW_MS)
    async with served(clock, u1=profile) as (line, _):
        device = modbus_device("m", line, 1, profile, clock=clock, interval_s=10)
        assert isinstance(device, Polled)
        for _ in range(3):
            clock.advance(977)
            sample = await device.read()
            values = {m.key: m.value for m in sample.measured}
            assert sample.at_ms == clock.now_ms()
            assert list(values) == [register.key for register in device.registers]
            power, index = values["power"], values["energy_import"]
            assert power == pytest.approx(METER.present(clock.now_ms()), abs=Decimal("0.6"))
            assert index == pytest.approx(METER.index(clock.now_ms()), abs=1000)
            assert values["frequency"] == 50
            bad = {m.key for m in sample.measured if m.quality is not Quality.GOOD}
            # A SunSpec index of 0 is one that is not kept.
            assert bad <= ({"energy_export"} if profile.sunspec else set())
        discovery = 3 if profile.sunspec else 0
        assert line.requests == discovery + 3 * len(profile.requests)


async def test_a_64_bit_index_is_exact_to_the_watt_hour() -> None:
    profile, clock = load_profile("schneider_iem3000"), ManualClock(NOW_MS)
    async with served(clock, u1=profile) as (line, _):
        sample = await ModbusMeter("m", line, 1, profile, clock=clock).read()
    index = next(m for m in sample.measured if m.key == "energy_import")
    assert index.value == index.raw == int(METER.index(NOW_MS))


async def test_units_behind_one_endpoint_take_turns_on_one_connection() -> None:
    profile, clock = load_profile("eastron_sdm120"), ManualClock(NOW_MS)
    async with served(clock, u1=profile, u2=profile, u3=profile) as (line, _):
        devices = [ModbusMeter(f"m{n}", line, n, profile, clock=clock) for n in (1, 2, 3)]
        samples = await asyncio.gather(*(device.read() for device in devices))
        assert [sample.device for sample in samples] == ["m1", "m2", "m3"]
        assert samples[0].measured == samples[1].measured == samples[2].measured
        assert line.requests == 6


async def test_a_unit_that_is_not_there_does_not_disturb_the_others() -> None:
    profile, clock = load_profile("eastron_sdm120"), ManualClock(NOW_MS)
    async with served(clock, u1=profile) as (line, _):
        with pytest.raises(NoAnswer, match="gateway target device failed to respond"):
            await ModbusMeter("gone", line, 9, profile, clock=clock).read()
        assert (await ModbusMeter("m", line, 1, profile, clock=clock).read()).measured


async def test_an_output_is_set_read_back_and_polled() -> None:
    clock = ManualClock(NOW_MS)
    async with served(clock, u1=PROFILE) as (line, meters):
        device = modbus_device("relay", line, 1, PROFILE, clock=clock)
        assert isinstance(device, SwitchesOutputs)
        roof = device.registers[-1]
        assert (roof.kind, roof.writable, roof.states) == (Kind.OUTPUT, True, ("closed", "open"))
        assert await device.read_output("roof") == 0
        assert await device.switch(Order("c1", "roof", 1, NOW_MS)) == 1
        assert meters[1].outputs == {"roof": 1}
        assert (await device.read()).measured[-1].value == 1
        assert await device.switch(Order("c2", "roof", 0, NOW_MS)) == 0
        with pytest.raises(NotFound, match="no output 'door'"):
            await device.switch(Order("c3", "door", 1, NOW_MS))
        with pytest.raises(Refused, match="0 or 1, not 2"):
            await device.switch(Order("c4", "roof", 2, NOW_MS))


async def test_an_order_past_its_time_is_not_sent() -> None:
    clock = ManualClock(NOW_MS)
    async with served(clock, u1=PROFILE) as (line, meters):
        device = ModbusSwitch("relay", line, 1, PROFILE, clock=clock)
        clock.advance(1)
        with pytest.raises(Unreachable, match="nothing was sent"):
            await device.switch(Order("c", "roof", 1, NOW_MS))
        assert (meters[1].outputs, line.requests) == ({"roof": 0}, 0)


async def test_a_meter_without_outputs_does_not_pretend_to_have_some() -> None:
    profile = load_profile("abb_b23")
    device = modbus_device("m", ModbusLine("tcp://h:1"), 1, profile, clock=ManualClock(0))
    assert not isinstance(device, SwitchesOutputs)


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        ("04 0000 0001", "84 01"),  # the profile has holding registers
        ("03 0000 0000", "83 03"),
        ("03 0000 007e", "83 03"),
        ("03 0001 0002", "83 02"),
        ("03 0000", "83 03"),
        ("10 0000 0001 02 0001", "90 01"),
        ("06 0000 0001", "86 01"),
        ("02 0000 0001", "82 01"),
        ("01 0000 0001", "01 01 00"),
        ("01 0000 0002", "81 02"),
        ("01 0000 0000", "81 03"),
        ("05 0000 ff00", "05 00 00 ff 00"),
        ("05 0000 0001", "85 03"),
        ("05 0001 ff00", "85 02"),
        ("05 0000 ff00 00", "85 03"),
        ("0f 0000 0001 01 01", "0f 0000 0001"),
        ("0f 0000 0002 01 03", "8f 02"),
        ("0f 0000 0001 02 0100", "8f 03"),
        ("0f 0000 0000 00", "8f 03"),
        ("2b 0e 01 02", "2b 0e 01 01 00 00 01 02 09 73696d756c61746564"),
        ("2b 0e 04 00", "ab 03"),
    ],
)
def test_the_simulated_unit_answers_as_the_standard_says(request_pdu: str, answer: str) -> None:
    unit = SimulatedModbusMeter(PROFILE, METER, ManualClock(NOW_MS))
    assert unit.answer(bytes.fromhex(request_pdu)) == bytes.fromhex(answer)


@pytest.mark.parametrize(
    ("name", "request_pdu", "refused"),
    [
        ("eastron_sdm120", "04 0000 0002", False),
        ("eastron_sdm120", "04 0000 0001", True),
        ("eastron_sdm120", "04 0000 0007", True),
        ("siemens_pac2200", "03 0001 0046", False),
        ("siemens_pac2200", "03 0002 0001", True),
        ("siemens_pac2200", "03 0321 0004", False),
        ("siemens_pac2200", "03 0321 0006", True),
        ("siemens_pac2200", "03 0323 0006", True),
        ("schneider_iem3000", "03 0c83 0002", False),
    ],
)
def test_a_simulated_unit_refuses_to_cut_a_value_where_the_real_one_does(
    name: str, request_pdu: str, refused: bool
) -> None:
    unit = SimulatedModbusMeter(load_profile(name), METER, ManualClock(NOW_MS))
    answer = unit.answer(bytes.fromhex(request_pdu))
    assert (answer[0] > 0x80) is refused


async def test_the_server_hangs_up_on_what_is_not_modbus() -> None:
    clock = ManualClock(NOW_MS)
    server = ModbusServer("127.0.0.1", 0, {1: SimulatedModbusMeter(PROFILE, METER, clock)})
    port = await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await server.close()


async def test_a_device_that_refuses_the_gaps_is_asked_for_no_more_than_it_documents() -> None:
    profile = load_profile("eastron_sdm120")
    documented = {
        profile.base + address
        for field in profile.register
        for span in field.spans
        for address in range(span.address, span.end)
    }

    def reply(request: bytes) -> bytes:
        first, count = (int.from_bytes(request[at : at + 2], "big") for at in (8, 10))
        if set(range(first, first + count)) <= documented:
            return zeros(request)
        return frame(request, bytes((request[7] | 0x80, 2)))

    assert len(profile.requests) < len(profile.gapless.requests)
    async with peer(reply) as (strict, url):
        line = ModbusLine(url)
        meter = ModbusMeter("m", line, 1, profile, clock=ManualClock(NOW_MS))
        assert len((await meter.read()).measured) == len(profile.register)
        before = len(strict.requests)
        await meter.read()
        assert len(strict.requests) - before == len(profile.gapless.requests)
        line.close()


async def test_a_device_that_lacks_a_register_is_refused_as_such() -> None:
    async with peer(lambda request: frame(request, bytes((request[7] | 0x80, 2)))) as (_, url):
        line = ModbusLine(url)
        profile = load_profile("eastron_sdm120")
        with pytest.raises(Refused, match="no such register"):
            await ModbusMeter("m", line, 1, profile, clock=ManualClock(NOW_MS)).read()
        line.close()


async def test_one_request_is_under_way_at_a_time_on_a_line() -> None:
    """Four meters are read at once, and the device takes its time for each answer."""
    log: list[str] = []

    def reply(request: bytes) -> bytes:
        log.append("asked")
        asyncio.get_running_loop().call_later(0.01, answer, request)
        return b""

    def answer(request: bytes) -> None:
        log.append("answered")
        device.say(zeros(request))

    async with peer(reply) as (device, url):
        line = ModbusLine(url, 5)
        clock, profile = ManualClock(NOW_MS), load_profile("eastron_sdm120")
        meters = [ModbusMeter(f"m{n}", line, n, profile, clock=clock) for n in range(1, 5)]
        await asyncio.gather(*(meter.read() for meter in meters))
        line.close()
        assert device.connections == 1
    assert len(log) >= 8
    assert log == ["asked", "answered"] * (len(log) // 2)
