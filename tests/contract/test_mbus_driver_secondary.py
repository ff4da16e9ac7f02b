"""M-Bus meters by secondary address: selection, its frame count, and who it is that answers."""

import asyncio

import pytest

from common.clock import ManualClock
from common.errors import NoAnswer
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.profiles.mbus import load_profile
from edge_agent.protocols.mbus.selection import parse_secondary
from edge_agent.simulators.mbus import MbusConverter
from tests.contract.test_mbus_driver import SHORT_S, TIMEOUT_S, answer, clock, converter
from tests.contract.test_mbus_line import peer

__all__ = ["clock", "converter"]


def by_secondary(
    line: Line, secondary: str, clock: ManualClock, timeout_s: float = TIMEOUT_S
) -> MbusMeter:
    where = parse_secondary(secondary)
    profile = load_profile("mbus_electricity")
    return MbusMeter("meter", line, where, profile, clock=clock, timeout_s=timeout_s, retries=1)


@pytest.mark.parametrize("secondary", ["10203040", "10203040-INM-01-02"])
async def test_a_meter_is_read_by_its_secondary_address(
    converter: MbusConverter, clock: ManualClock, secondary: str
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}")
    one = by_secondary(line, secondary, clock)
    for _ in range(3):
        assert (await one.read()).measured[1].value == 5123
    assert one.header is not None
    assert one.header.identification == "10203040"
    assert line.connection == 1
    await line.close()


async def test_meters_by_secondary_address_do_not_get_in_each_others_selection(
    converter: MbusConverter, clock: ManualClock
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}")
    single, three = (by_secondary(line, one, clock) for one in ("10203040", "00000008"))
    samples = await asyncio.gather(*(one.read() for one in (single, three) * 4))
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        assert [one.value for one in first.measured] == [1000, 5123]
        assert [one.value for one in second.measured] == [None, 1]
    await line.close()


@pytest.mark.parametrize("wrong", ["10203041", "10203040-INM-02-02", "10203040-ABC-01-02"])
async def test_a_meter_with_another_secondary_address_does_not_answer(
    converter: MbusConverter, clock: ManualClock, wrong: str
) -> None:
    line = Line(f"tcp://127.0.0.1:{await converter.start()}", quiet_s=0.01)
    with pytest.raises(NoAnswer):
        await by_secondary(line, wrong, clock, SHORT_S).read()
    await line.close()


async def test_a_selection_is_reset_then_made_and_the_bit_toggles_from_one(
    clock: ManualClock,
) -> None:
    """SND_NKE to 253 on a new connection, bearing silence; then CI 52, 7B, 5B and again."""
    heard: list[str] = []
    answers = [answer(1, address=9, more_follows=True), answer(2, address=9)] * 2

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readexactly(5)
            if request[0] == 0x68:
                request += await reader.readexactly(request[1] + 1)
                writer.write(b"\xe5")
            elif request[1] != 0x40:
                writer.write(answers.pop(0))
            heard.append(request.hex())

    async with peer(serve) as url:
        line = Line(url)
        one = by_secondary(line, "10203040-INM-01-02", clock)
        for _ in range(2):
            assert (await one.read()).measured[1].value == 1
        await line.close()
    selection = "680b0b6873fd5240302010cd250102"
    assert [request[: len(selection)] for request in heard] == [
        "1040fd3d16",
        *[selection, "107bfd7816", "105bfd5816"] * 2,
    ]


async def test_the_values_of_another_meter_are_not_taken_for_those_of_the_selected_one(
    clock: ManualClock,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readexactly(5)
            if request[0] == 0x68:
                await reader.readexactly(request[1] + 1)
                writer.write(b"\xe5")
            elif request[1] != 0x40:
                writer.write(answer(1))

    async with peer(serve) as url:
        line = Line(url, quiet_s=0.01)
        with pytest.raises(NoAnswer):
            await by_secondary(line, "99999999", clock, SHORT_S).read()
        await line.close()
