"""Outputs of Modbus units, set and read back over real TCP, by ours and by a foreign server."""

import asyncio
import contextlib

import pytest

from common.clock import ManualClock
from common.errors import Disconnected, FrameError, NoAnswer, Refused, Retryable, Unreachable
from edge_agent.drivers.base import Order
from edge_agent.drivers.modbus import ModbusMeter, ModbusSwitch
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import load_profile, parse_profile
from edge_agent.protocols.modbus import Span
from edge_agent.simulators.modbus import ModbusServer
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from tests.contract.modbus_foreign import libmodbus
from tests.contract.modbus_peer import frame, peer, zeros
from tests.contract.test_modbus_driver import METER, NOW_MS, PROFILE

OUTPUTS = b"""
name = "Roof and fans"
[[output]]
key = "motor"
coil = 16
count = 2
on = 0b01
off = 0b10
[[output]]
key = "fan"
register = 512
mask = 0x0004
[[output]]
key = "pump"
register = 512
mask = 0x0001
[[output]]
key = "limit"
register = 600
type = "f32"
on = 100
off = 40
"""
MANY = parse_profile(OUTPUTS, "outputs")


async def test_every_kind_of_output_is_set_and_read_back() -> None:
    clock = ManualClock(NOW_MS)
    heard: list[tuple[str, int]] = []
    unit = SimulatedModbusMeter(
        MANY, METER, clock, lambda key, state, _: heard.append((key, state))
    )
    server = ModbusServer("127.0.0.1", 0, {1: unit})
    line = ModbusLine(f"tcp://127.0.0.1:{await server.start()}", 5)
    device = ModbusSwitch("many", line, 1, MANY, clock=clock)
    for state in (1, 0, 1):
        for key in ("motor", "fan", "pump", "limit"):
            assert await device.switch(Order("c", key, state, NOW_MS)) == state
            assert await device.read_output(key) == unit.outputs[key] == state
    assert unit.outputs == {"motor": 1, "fan": 1, "pump": 1, "limit": 1}
    assert len(heard) == 12, "setting one output has touched another"
    before = line.requests
    sample = await device.read()
    assert [m.value for m in sample.measured] == [1, 1, 1, 1]
    assert line.requests - before == len(MANY.requests) == 3
    line.close()
    await server.close()


async def test_an_output_goes_before_the_polls_that_wait() -> None:
    clock = ManualClock(NOW_MS)
    sdm = load_profile("eastron_sdm630")
    functions: list[int] = []

    def reply(request: bytes) -> bytes:
        functions.append(request[7])
        if request[7] == 4:
            return zeros(request)
        return frame(request, request[7:12] if request[7] == 5 else bytes((1, 1, 1)))

    async with peer(reply) as (device, url):
        line = ModbusLine(url, 5)
        meters = [ModbusMeter(f"m{n}", line, n, sdm, clock=clock) for n in range(1, 4)]
        switch = ModbusSwitch("relay", line, 9, PROFILE, clock=clock)
        polls = [asyncio.ensure_future(meter.read()) for meter in meters]
        await device.asked.wait()
        assert await switch.switch(Order("c", "roof", 1, NOW_MS)) == 1
        await asyncio.gather(*polls)
        line.close()
    assert functions == [4, 5, 1, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("lost", ["before", "write", "read back"])
async def test_what_was_not_written_is_told_from_what_is_unknown(lost: str) -> None:
    """A masked output is read first: without that nothing is written."""
    seen: list[int] = []

    def reply(request: bytes) -> bytes | None:
        function = request[7]
        seen.append(function)
        if function == 6:
            return None if lost == "write" else frame(request, request[7:])
        gone = lost == ("before" if len(seen) == 1 else "read back")
        return None if gone else frame(request, bytes((3, 2, 0, 0)))

    async with peer(reply) as (_, url):
        line, clock = ModbusLine(url, 1), ManualClock(NOW_MS)
        device = ModbusSwitch("many", line, 1, MANY, clock=clock)
        with pytest.raises(Retryable) as caught:
            await device.switch(Order("c", "fan", 1, NOW_MS))
        assert isinstance(caught.value, Unreachable) is (lost == "before")
        assert (6 in seen) is (lost != "before")
        line.close()


async def test_an_output_that_reads_back_as_neither_is_not_confirmed() -> None:
    def reply(request: bytes) -> bytes:
        return frame(request, bytes((1, 1, 3)) if request[7] == 1 else request[7:12])

    async with peer(reply) as (_, url):
        line, clock = ModbusLine(url, 1), ManualClock(NOW_MS)
        device = ModbusSwitch("many", line, 1, MANY, clock=clock)
        with pytest.raises(FrameError, match="motor is neither on nor off: 0001 0001"):
            await device.switch(Order("c", "motor", 1, NOW_MS))
        line.close()


async def test_an_output_that_did_not_follow_reads_back_as_it_is() -> None:
    def reply(request: bytes) -> bytes:
        return frame(request, bytes((1, 1, 2)) if request[7] == 1 else request[7:12])

    async with peer(reply) as (_, url):
        line, clock = ModbusLine(url, 1), ManualClock(NOW_MS)
        device = ModbusSwitch("many", line, 1, MANY, clock=clock)
        assert await device.switch(Order("c", "motor", 1, NOW_MS)) == 0
        line.close()


async def test_a_device_that_refuses_a_write_says_no() -> None:
    async with peer(lambda request: frame(request, bytes((request[7] | 0x80, 3)))) as (_, url):
        line, clock = ModbusLine(url, 1), ManualClock(NOW_MS)
        device = ModbusSwitch("many", line, 1, MANY, clock=clock)
        with pytest.raises(Refused, match="illegal data value"):
            await device.switch(Order("c", "limit", 1, NOW_MS))
        line.close()


@pytest.mark.parametrize("lost", ["write", "read back", "read back refused"])
async def test_an_output_whose_answer_is_lost_is_unknown_not_failed(lost: str) -> None:
    """Whatever happens after the order has left is Retryable, but not Unreachable."""

    def reply(request: bytes) -> bytes | None:
        if request[7] == 5:
            return None if lost == "write" else frame(request, request[7:])
        return frame(request, bytes((0x81, 2))) if lost == "read back refused" else None

    async with peer(reply) as (_, url):
        line, clock = ModbusLine(url, 1), ManualClock(NOW_MS)
        device = ModbusSwitch("relay", line, 1, PROFILE, clock=clock)
        with pytest.raises(Retryable) as caught:
            await device.switch(Order("c", "roof", 1, NOW_MS))
        assert not isinstance(caught.value, Unreachable)
        assert lost == "read back refused" or isinstance(caught.value, Disconnected)
        line.close()


@pytest.mark.parametrize(("code", "sent"), [(4, True), (5, True), (6, False), (0x0B, True)])
async def test_an_exception_says_whether_something_may_have_been_done(
    code: int, *, sent: bool
) -> None:
    """V1.1b3 §7: 04 has failed on the way, 05 has begun, 06 did nothing, 0B cannot know."""

    def reply(request: bytes) -> bytes:
        assert request[7] == 5, "read back before it was known to be done"
        return frame(request, bytes((0x85, code)))

    async with peer(reply) as (_, url):
        line, clock = ModbusLine(url, 1), ManualClock(NOW_MS)
        device = ModbusSwitch("relay", line, 1, PROFILE, clock=clock)
        with pytest.raises(Retryable) as caught:
            await device.switch(Order("c", "roof", 1, NOW_MS))
        assert isinstance(caught.value, Unreachable) is not sent
        line.close()


async def test_an_order_whose_time_ends_while_the_line_is_made_ready_is_not_sent() -> None:
    clock, heard = ManualClock(NOW_MS), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock.advance(1)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while request := await reader.readexactly(8):
                heard.append(request[1])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    line = ModbusLine(url, 0.3)
    device = ModbusSwitch("relay", line, 1, PROFILE, clock=clock)
    with pytest.raises(NoAnswer):
        await device.read_output("roof")
    with pytest.raises(Unreachable, match="time is over"):
        await device.switch(Order("c", "roof", 1, clock.now_ms() + 500))
    assert heard == [1]
    line.close()
    server.close()
    await server.wait_closed()


FOREIGN = b"""
name = "Relays of a foreign device"
[[output]]
key = "motor"
coil = 2
count = 3
on = 0b101
off = 0b010
[[output]]
key = "code"
register = 11
on = 0xAA
off = 0x55
[[output]]
key = "bit"
register = 12
mask = 0x0010
[[output]]
key = "limit"
register = 13
type = "f32"
order = "CDAB"
on = 100
off = 40
[[output]]
key = "one_by_16"
register = 15
write = 16
"""


async def test_libmodbus_takes_every_kind_of_output() -> None:
    profile = parse_profile(FOREIGN, "foreign")
    words = [0, 0, 0xFF0F, 0, 0, 0]
    async with libmodbus("tcp", 3, 10, words) as port:
        line, clock = ModbusLine(f"tcp://127.0.0.1:{port}", 5), ManualClock(NOW_MS)
        device = ModbusSwitch("foreign", line, 1, profile, clock=clock)
        for state in (1, 0, 1):
            for output in profile.output:
                assert await device.switch(Order("c", output.key, state, NOW_MS)) == state
                assert await device.read_output(output.key) == state
        left = await line.read_registers(1, 3, Span(10, 6))
        assert left == [0, 0xAA, 0xFF1F, 0x0000, 0x42C8, 1]
        assert await line.read_coils(1, 0, 8) == [0, 0, 1, 0, 1, 0, 0, 0]
        line.close()
