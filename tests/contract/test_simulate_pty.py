"""Simulated meters on serial lines: the real drivers read them through a pty."""

from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import Retryable
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.drivers.modbus import ModbusMeter
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.mbus import load_profile as load_mbus_profile
from edge_agent.profiles.modbus import load_profile
from tests.contract.playing import HEAD, MBUS, MODBUS, playing, talking

CLOCK = SystemClock()


async def test_an_mbus_meter_is_read_over_a_serial_line(tmp_path: Path) -> None:
    link = tmp_path / "tty-mbus"
    text = HEAD + MBUS.format(address=1).replace("127.0.0.1:0", f"pty:{link}")
    async with playing(tmp_path, text) as (_, said):
        assert said[0] == f"mbus mbus-1 listens on {link} address 1, line mbus1"
        line = Line(f"serial://{link}?baud=2400&parity=E&stop=1")
        profile = load_mbus_profile("mbus_electricity_3phase")
        meter = MbusMeter("m", line, 1, profile, clock=CLOCK, timeout_s=5)
        for _ in range(2):
            values = {one.key: one.value for one in (await meter.read()).measured}
            assert values["power"] == 3600
        await line.close()
    assert not link.is_symlink()


@pytest.mark.parametrize("place", ["pty", "rtu+tcp"])
async def test_a_modbus_unit_is_read_in_rtu_frames(tmp_path: Path, place: str) -> None:
    link = tmp_path / "tty-modbus"
    listen = f"pty:{link}" if place == "pty" else "rtu+tcp:127.0.0.1:0"
    text = HEAD + "".join(MODBUS.format(listen=listen, unit=n) for n in (1, 2))
    async with playing(tmp_path, text) as (_, said):
        where = said[0].split()[4]
        url = f"serial://{where}?baud=9600" if place == "pty" else where.replace(":", "://", 1)
        line = ModbusLine(url, 5)
        for unit in (1, 2):
            meter = ModbusMeter(f"m{unit}", line, unit, load_profile("abb_b23"), clock=CLOCK)
            values = {one.key: one.value for one in (await meter.read()).measured}
            assert values["power"] == 3600
        line.close()


async def test_a_serial_line_has_faults_too(tmp_path: Path) -> None:
    link = tmp_path / "tty-modbus"
    text = HEAD + MODBUS.format(listen=f"pty:{link}", unit=1)
    async with playing(tmp_path, text) as (site, _):
        site.conductor.order("corrupt", "modbus1", "", {})
        line = ModbusLine(f"serial://{link}?baud=9600", 0.3)
        meter = ModbusMeter("m", line, 1, load_profile("abb_b23"), clock=CLOCK)
        with pytest.raises(Retryable):
            await meter.read()
        await site.conductor.clear("modbus1")
        values = {one.key: one.value for one in (await meter.read()).measured}
        assert values["power"] == 3600
        line.close()


async def test_what_is_no_link_is_not_replaced(tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_text("a file of somebody")
    text = HEAD + MBUS.format(address=1).replace("127.0.0.1:0", f"pty:{other}")
    with pytest.raises(FileExistsError):
        async with playing(tmp_path, text):
            pass
    assert other.read_text() == "a file of somebody"


async def test_hundreds_of_devices_need_two_tables(tmp_path: Path) -> None:
    tables = MODBUS.format(listen="127.0.0.1:0", unit=1)
    tables = tables.replace('key = "modbus-1"', 'key = "m"\ncount = 200')
    tables += MBUS.format(address=1).replace('key = "mbus-1"', 'key = "b"\ncount = 250')
    text = HEAD.replace("start = 5_000_000", "start = 5_000_000\ncount = 200") + tables
    text = text.replace('meter = "power"\nkey = "b"', 'meter = "power-1"\nkey = "b"')
    async with playing(tmp_path, text) as (site, said):
        assert len(site.devices) == 450
        assert len({device.meter.key for device in site.devices.values()}) == 200
        async with talking(said, "b-250") as bus, talking(said, "m-200") as lan:
            assert (await bus.read_mbus(250))[5] == 250
            assert (await lan.read_modbus(200))[6] == 200
