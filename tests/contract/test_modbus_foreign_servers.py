"""The Modbus line and driver against servers that nobody here wrote, over TCP and RTU."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import Refused
from edge_agent.drivers.modbus import modbus_device
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import load_profile
from edge_agent.protocols.modbus import Span
from tests.contract.modbus_foreign import SERVERS, recorded, server, terminals, wire
from tests.harness.ports import free_port

CLOCK = ManualClock(1_767_225_600_000)
ZERO_FILLS = "jsmodbus"
"""It answers for registers that nobody gave it, and does not look at unit numbers."""

Connect = Callable[[str, int, int, Sequence[int]], AbstractAsyncContextManager[ModbusLine]]


@pytest.fixture(params=["tcp", "serial", "rtu+tcp"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Connect:
    """Starts a foreign server, and gives a line to it."""

    @asynccontextmanager
    async def over_tcp(
        name: str, function: int, address: int, words: Sequence[int]
    ) -> AsyncIterator[ModbusLine]:
        async with server(name, "tcp", function, address, words) as port:
            yield ModbusLine(f"tcp://127.0.0.1:{port}", 5)

    @asynccontextmanager
    async def over_serial(
        name: str, function: int, address: int, words: Sequence[int]
    ) -> AsyncIterator[ModbusLine]:
        async with (
            terminals(tmp_path) as (ours, theirs),
            server(name, str(theirs), function, address, words),
        ):
            yield ModbusLine(f"serial://{ours}?baud=9600&parity=N", 5)

    @asynccontextmanager
    async def over_converter(
        name: str, function: int, address: int, words: Sequence[int]
    ) -> AsyncIterator[ModbusLine]:
        theirs, port = tmp_path / "theirs", free_port()
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"
        async with (
            wire(f"PTY,link={theirs},raw,echo=0", listen),
            server(name, str(theirs), function, address, words),
        ):
            yield ModbusLine(f"rtu+tcp://127.0.0.1:{port}", 5)

    ways: dict[str, Connect] = {
        "tcp": over_tcp,
        "serial": over_serial,
        "rtu+tcp": over_converter,
    }
    return ways[request.param]


@pytest.mark.parametrize("profile_name", ["schneider_iem3000", "eastron_sdm630"])
@pytest.mark.parametrize("name", SERVERS)
async def test_a_foreign_server_is_read_as_the_profile_says(
    name: str, profile_name: str, connect: Connect
) -> None:
    profile = load_profile(profile_name)
    async with connect(name, profile.function, *recorded(profile)) as line:
        sample = await modbus_device("m", line, 1, profile, clock=CLOCK).read()
        line.close()
    assert profile.recorded is not None
    assert {m.key: m.value for m in sample.measured} == {
        key: None if text == "none" else Decimal(text)
        for key, text in profile.recorded.readings.items()
    }
    assert line.requests == len(profile.requests)


@pytest.mark.parametrize("name", SERVERS)
async def test_what_is_written_to_a_foreign_server_is_read_back(
    name: str, connect: Connect
) -> None:
    async with connect(name, 3, 100, [0] * 8) as line:
        await line.write_register(1, 100, 0xABCD)
        await line.write_registers(1, 102, [1, 0xFFFF])
        assert await line.read_registers(1, 3, Span(100, 4)) == [0xABCD, 0, 1, 0xFFFF]
        await line.write_coil(1, 7, 1)
        await line.write_coils(1, 0, [1, 0, 1])
        assert await line.read_coils(1, 0, 8) == [1, 0, 1, 0, 0, 0, 0, 1]
        await line.write_coil(1, 0, 0)
        assert await line.read_coil(1, 0) == 0
        line.close()


@pytest.mark.parametrize("name", [name for name in SERVERS if name != ZERO_FILLS])
async def test_a_foreign_servers_exception_is_told(name: str, connect: Connect) -> None:
    async with connect(name, 3, 100, [7, 8]) as line:
        for span in (Span(99, 2), Span(101, 2)):
            with pytest.raises(Refused, match=r"exception 02 \(illegal data address\)"):
                await line.read_registers(1, 3, span)
        assert await line.read_registers(1, 3, Span(100, 2)) == [7, 8]
        line.close()


async def test_a_foreign_server_is_identified(connect: Connect) -> None:
    async with connect("modbus-serial", 3, 0, [7]) as line:
        objects, more = await line.identify(1, 1)
        line.close()
    assert (objects[0], objects[1], objects[2]) == (b"modbus-serial", b"peer", b"8")
    assert more == 0
