"""The documentation's device of one's own, read and switched over the wire as configured."""

import re
from decimal import Decimal
from pathlib import Path

from common.clock import ManualClock
from common.registers import Medium
from edge_agent.config import load
from edge_agent.devices import Devices
from edge_agent.drivers.base import Order
from edge_agent.drivers.modbus import ModbusSwitch
from edge_agent.profiles.modbus import load_profile, profile_names
from edge_agent.simulators.modbus import ModbusServer
from edge_agent.simulators.modbus_unit import SimulatedModbusMeter
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline

NOW_MS = 1_767_225_600_000
METER = Meter(
    "pump",
    Medium.ELECTRICITY,
    7_654_321_000,
    (Curve((1_234_500,), HOUR_MS),),
    Timeline(NOW_MS - HOUR_MS),
)
DOCUMENT = (Path(__file__).parents[2] / "docs/devices/modbus.md").read_text("utf-8")
GATEWAY = """
[gateway]
id = "hall-1"
name = "Hall 1"
site = "hall"
site_name = "Hall"
timezone = "Europe/Bucharest"

[[line]]
id = "modbus"
url = "tcp://127.0.0.1:{port}"
timeout_s = 5

"""


def blocks() -> list[str]:
    """The profile, the device's entry, and the variant."""
    chapter = DOCUMENT[DOCUMENT.index("## A device of one's own") :]
    return re.findall(r"```toml\n(.*?)```", chapter, re.DOTALL)


async def test_a_profile_of_ten_lines_reads_and_switches_a_device(tmp_path: Path) -> None:
    profile, entry, _ = blocks()
    assert len(profile.splitlines()) == 10
    (tmp_path / "pump.toml").write_text(profile, "utf-8")
    clock = ManualClock(NOW_MS)
    unit = SimulatedModbusMeter(load_profile("pump.toml", tmp_path), METER, clock)
    server = ModbusServer("127.0.0.1", 0, {5: unit})
    port = await server.start()
    (tmp_path / "edge.toml").write_text(GATEWAY.format(port=port) + entry, "utf-8")
    devices = Devices(load(tmp_path / "edge.toml"), clock)
    pump = devices.all["pump"]
    assert isinstance(pump, ModbusSwitch)
    assert [register.name for register in pump.registers] == [
        *("Power", "Voltage L1", "Energy import", "Frequency", "Pump")
    ]
    assert await pump.switch(Order("c", "pump", 1, NOW_MS)) == 1
    values = {m.key: m.value for m in (await pump.read()).measured}
    assert values == {
        "power": Decimal("1234.5"),
        "voltage_l1": Decimal("229.9"),
        "energy_import": Decimal(7_655_500),
        "frequency": 50,
        "pump": 1,
    }
    await devices.close()
    await server.close()


def test_a_documented_variant_is_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(blocks()[2], "utf-8")
    assert load_profile("mine.toml", tmp_path).registers()


def test_every_profile_is_documented_with_its_requests() -> None:
    rows = dict.fromkeys(profile_names(), "")
    for line in DOCUMENT.splitlines():
        cells = line.split(" | ")
        for name in re.findall(r"`(\w+)`", cells[0]):
            if name in rows and len(cells) == 5:
                rows[name] = cells[2]
    expected = {
        name: f"{len(profile.requests)} / {len(profile.register)}"
        for name, profile in ((name, load_profile(name)) for name in rows)
    }
    assert rows == expected
