"""What an installer gets wrong ends, with each tool, in a message that names the likely cause."""

import asyncio
import os
import pty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.registers import Medium
from edge_agent.__main__ import main
from edge_agent.profiles.modbus import load_profile
from edge_agent.simulators.mbus import MbusConverter
from edge_agent.simulators.mbus_slave import Slave
from edge_agent.simulators.modbus import ModbusServer
from edge_agent.simulators.modbus_rtu import ModbusRtuServer
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline
from tests.contract.mbus_site import electricity
from tests.harness.ports import free_port

NOW_MS = 1_767_225_600_000
GARBAGE = bytes.fromhex("f880c0fe008078f8")
"""What 2400 baud look like at another rate; the bytes are made up."""

CONFIG = """\
[gateway]
id = "hall-1"
name = "Hall"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"

[[line]]
id = "line"
url = "{url}"
timeout_s = 0.3
retries = 0

[[device]]
key = "meter"
name = "Meter"
line = "line"
{device}
"""
MBUS = 'driver = "mbus"\naddress = {}\nprofile = "mbus_electricity_3phase"'
MODBUS = 'driver = "modbus"\nunit = {}\nprofile = "eastron_sdm630"'

WEB = "a web server answers there: wrong port"
HELD = "another program may hold the converter's only connection, or what listens there is no"
HELD_TCP = "another program may hold its only connection, or it speaks RTU (rtu+tcp://)"

Capture = pytest.CaptureFixture[str]
Reply = Callable[[bytes], bytes | None]


@dataclass(frozen=True)
class Tools:
    """The three commands that an installer has for a line; each gives its code and all it says."""

    folder: Path
    capsys: Capture

    def configured(self, url: str, device: str) -> Path:
        path = self.folder / "edge.toml"
        path.write_text(CONFIG.format(url=url, device=device))
        return path

    async def run(self, *arguments: object) -> tuple[int, str]:
        """On one line, whatever the table's folds."""
        code = await asyncio.to_thread(main, [str(one) for one in arguments])
        shown = self.capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, " ".join((shown.out + shown.err).split())

    async def say(self, url: str, device: str, cause: str, scan: str) -> None:
        """``read`` and ``check --online`` fail with the cause; ``scan`` with its own words."""
        path = self.configured(url, device)
        for command in (["read", path], ["check", path, "--online"]):
            code, said = await self.run(*command)
            assert (code, cause in said) == (1, True), said
        code, said = await self.run(*scan_command(url, device))
        assert (code, scan in said) == (1, True), said


def scan_command(url: str, device: str) -> list[str]:
    kind = "mbus" if "mbus" in device else "modbus"
    return ["scan", kind, url, "--from", "1", "--to", "2", "--timeout", "0.1"]


@pytest.fixture
def tools(tmp_path: Path, capsys: Capture) -> Tools:
    return Tools(tmp_path, capsys)


@asynccontextmanager
async def listening(reply: Reply) -> AsyncIterator[int]:
    """A port where whatever comes is answered with ``reply``; None hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (heard := await reader.read(1000)) and (answer := reply(heard)) is not None:
                writer.write(answer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def bus(*slaves: Slave) -> AsyncIterator[str]:
    converter = MbusConverter(slaves, ManualClock(NOW_MS))
    try:
        yield f"tcp://127.0.0.1:{await converter.start()}"
    finally:
        await converter.close()


def modbus_meter(profile: str, beside: Path | None = None) -> SimulatedModbusMeter:
    curve = Curve((4_321_000,), HOUR_MS)
    meter = Meter("m", Medium.ELECTRICITY, 7_654_321_000, (curve,), Timeline(NOW_MS - HOUR_MS))
    return SimulatedModbusMeter(load_profile(profile, beside), meter, ManualClock(NOW_MS))


@asynccontextmanager
async def modbus_tcp(unit: int, meter: SimulatedModbusMeter) -> AsyncIterator[str]:
    server = ModbusServer("127.0.0.1", 0, {unit: meter})
    try:
        yield f"tcp://127.0.0.1:{await server.start()}"
    finally:
        await server.close()


@asynccontextmanager
async def modbus_rtu(unit: int, meter: SimulatedModbusMeter) -> AsyncIterator[str]:
    server = await asyncio.start_server(ModbusRtuServer({unit: meter}).serve, "127.0.0.1", 0)
    async with server:
        yield f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# -- wrong wiring


async def test_a_bus_without_meters_or_power_is_told(tools: Tools) -> None:
    async with bus() as url:
        await tools.say(
            url,
            MBUS.format(5),
            "no meter has the address 5, no power on the bus, its two wires not connected",
            "no power on the bus, or its two wires are not connected to this converter",
        )


async def test_a_serial_line_on_which_nobody_answers_is_told(tools: Tools) -> None:
    ours, theirs = pty.openpty()
    try:
        url = f"serial://{os.ttyname(theirs)}?baud=9600&parity=E"
        await tools.say(
            url,
            MODBUS.format(5),
            "wrong unit number (asked for 5), A and B swapped, no power, or not 9600 baud 8E1",
            "A and B are swapped, the line is open, or the devices have no power",
        )
        url = f"serial://{os.ttyname(theirs)}?baud=300"
        cause = "its two wires not connected, or not 300 baud as in the line's URL"
        await tools.say(url, MBUS.format(5), cause, "no power on the bus")
    finally:
        os.close(ours)
        os.close(theirs)


# -- wrong baud rate


@pytest.mark.parametrize("bad", [GARBAGE, b"\x68\x80", b"\x68\x20\x20\x68\x08"])
async def test_bytes_of_another_baud_rate_on_mbus_are_told(tools: Tools, bad: bytes) -> None:
    async with listening(lambda _: bad) as port:
        url = f"tcp://127.0.0.1:{port}"
        cause = "wrong baud rate or parity (M-Bus is 8E1)"
        await tools.say(url, MBUS.format(5), cause, cause)


async def test_bytes_of_another_baud_rate_on_modbus_are_told(tools: Tools) -> None:
    async with listening(lambda _: GARBAGE) as port:
        url = f"rtu+tcp://127.0.0.1:{port}"
        await tools.say(
            url,
            MODBUS.format(5),
            "8 bytes that are no frame: wrong baud rate or parity",
            "the converter's baud rate or parity is not that of the devices",
        )


# -- wrong address


async def test_a_wrong_primary_address_is_told_and_the_scan_finds_the_right_one(
    tools: Tools,
) -> None:
    async with bus(electricity(1, "10203040"), electricity(2, "10903050")) as url:
        path = tools.configured(url, MBUS.format(5))
        for command in (["read", path], ["check", path, "--online"]):
            code, said = await tools.run(*command)
            assert (code, "no meter has the address 5" in said) == (1, True), said
        code, said = await tools.run(*scan_command(url, MBUS))
    assert code == 0
    assert 'address = 1 profile = "mbus_electricity_3phase"' in said


async def test_a_wrong_secondary_address_is_told(tools: Tools) -> None:
    device = 'driver = "mbus"\nsecondary = "99999999"\nprofile = "mbus_electricity_3phase"'
    async with bus(electricity(1, "10203040")) as url:
        path = tools.configured(url, device)
        for command in (["read", path], ["check", path, "--online"]):
            code, said = await tools.run(*command)
            assert (code, "no meter has the secondary address 99999999" in said) == (1, True), said


async def test_a_wrong_unit_is_told_and_the_scan_finds_the_right_one(tools: Tools) -> None:
    for behind, cause in (
        (modbus_tcp, "unit 5"),
        (modbus_rtu, "wrong unit number (asked for 5)"),
    ):
        async with behind(1, modbus_meter("eastron_sdm630")) as url:
            path = tools.configured(url, MODBUS.format(5))
            for command in (["read", path], ["check", path, "--online"]):
                code, said = await tools.run(*command)
                assert (code, cause in said) == (1, True), said
            code, said = await tools.run(*scan_command(url, MODBUS))
        assert code == 0
        assert 'unit = 1 profile = "eastron_sdm630"' in said


# -- swapped word order


async def test_a_swapped_word_order_is_told_from_what_the_values_are(tools: Tools) -> None:
    (tools.folder / "swapped.toml").write_text('same_as = "eastron_sdm630"\norder = "CDAB"\n')
    async with modbus_tcp(1, modbus_meter("swapped.toml", tools.folder)) as url:
        path = tools.configured(url, MODBUS.format(1))
        cause = "another order of words than the profile eastron_sdm630"
        probe = f"inmetter-edge probe modbus {url} --unit 1 --address A"
        code, said = await tools.run("read", path)
        assert (code, cause in said, probe in said) == (0, True, True), said
        assert "meter: hardly believable: " in said
        code, said = await tools.run("check", path, "--online")
        assert "warning device meter " in said
        assert cause in said
        code, said = await tools.run("probe", "modbus", url, "--unit", "1", "--address", "0")
        assert code == 0
        assert "f32 CDAB" in said
        right = tools.configured(url, MODBUS.format(1).replace("eastron_sdm630", "./swapped.toml"))
        code, said = await tools.run("check", right, "--online")
        assert "good device meter " in said


# -- a converter that is none


@pytest.mark.parametrize(
    ("reply", "mbus", "modbus"),
    [
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", (WEB, WEB), (WEB, WEB)),
        (lambda _: b"<!DOCTYPE HTML>\n<html>", (WEB, WEB), (WEB, WEB)),
        (
            lambda _: b"",
            (
                "no transparent M-Bus converter",
                "what listens there is no transparent M-Bus converter: a plain switch",
            ),
            ("no Modbus device at all", "another port is Modbus (502 is usual)"),
        ),
        (
            lambda _: None,
            (f"hung up: {HELD}", f"hung up: {HELD}"),
            (f"hung up: {HELD_TCP}", f"hung up: {HELD_TCP}"),
        ),
    ],
    ids=["web-server", "old-web-server", "silence", "hangs-up"],
)
async def test_what_is_no_converter_is_told(
    tools: Tools, reply: Reply, mbus: tuple[str, str], modbus: tuple[str, str]
) -> None:
    async with listening(reply) as port:
        url = f"tcp://127.0.0.1:{port}"
        await tools.say(url, MBUS.format(5), *mbus)
        await tools.say(url, MODBUS.format(5), *modbus)


async def test_a_port_where_nobody_listens_is_told(tools: Tools) -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    cause = "nothing listens on"
    await tools.say(url, MBUS.format(5), cause, cause)
    await tools.say(url, MODBUS.format(5), cause, cause)


# -- the other kind of frames


async def test_tcp_and_rtu_mixed_up_are_told(tools: Tools) -> None:
    async with modbus_tcp(1, modbus_meter("eastron_sdm630")) as url:
        await tools.say(
            f"rtu+{url}",
            MODBUS.format(1),
            "the far end speaks Modbus TCP (tcp://)",
            f"unit 1 answers as {url}: use that",
        )
    async with modbus_rtu(1, modbus_meter("eastron_sdm630")) as url:
        await tools.say(
            url.removeprefix("rtu+"),
            MODBUS.format(1),
            "the far end is a plain serial converter (rtu+tcp://)",
            f"unit 1 answers as {url}: use that",
        )
