"""A site of Modbus meters that are polled fast enough to make a load."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.site import GATEWAY, SiteFiles

PROFILES = ("abb_b23",) * 7 + ("eastron_sdm120",)
"""Seven meters of 14 registers and one of 7."""

POLLS_A_SECOND = 10
READINGS_A_SECOND = (7 * 14 + 7) * POLLS_A_SECOND

SCENARIO = """\
seed = "bench"
origin = {origin}

[[source]]
key = "machines"
series = "uk_electricity"
base = 2000

[[meter]]
key = "electricity"
medium = "electricity"
sources = ["machines"]

"""

UNIT = """\
[[modbus]]
key = "meter-{unit}"
listen = "127.0.0.1:{port}"
unit = {unit}
profile = "{profile}"
meter = "electricity"

"""

EDGE = """\
[gateway]
id = "{gateway}"
name = "Hall 1"
site = "hall"
site_name = "Bench hall"
timezone = "Europe/Bucharest"

[mqtt]
port = {broker}
keepalive_s = 10

"""

DEVICE = """\
[[line]]
id = "line-{unit}"
url = "tcp://127.0.0.1:{port}"

[[device]]
driver = "modbus"
key = "meter-{unit}"
name = "Meter {unit}"
line = "line-{unit}"
unit = {unit}
profile = "{profile}"
interval_s = {interval_s}

"""


FIVE = """\
name = "Five registers"
register = [
  { key = "energy_import", kind = "energy_import", address = 0, type = "u32", scale = "10" },
  { key = "power", kind = "power", address = 2, type = "s32", scale = "0.1" },
  { key = "voltage_l1", kind = "voltage", address = 4, type = "u16", scale = "0.1" },
  { key = "current_l1", kind = "current", address = 5, type = "u16", scale = "0.01" },
  { key = "frequency", kind = "frequency", address = 6, type = "u16", scale = "0.01" },
]
"""
"""A profile of one's own: a poll's entry has five readings."""


def write_meters(
    directory: Path, broker: int, profiles: Sequence[str] = PROFILES, gateway: str = GATEWAY
) -> SiteFiles:
    """Scenario and edge configuration in ``directory``, instead of the usual site."""
    site = SiteFiles(directory, broker, gateway=gateway)
    site.directory.mkdir()
    scenario = SCENARIO.format(origin=datetime.now(UTC).isoformat())
    edge = EDGE.format(broker=broker, gateway=gateway)
    port, interval_s = free_port(), 1 / POLLS_A_SECOND
    for unit, profile in enumerate(profiles, 1):
        place = {"port": port, "unit": unit, "profile": profile}
        scenario += UNIT.format(**place)
        edge += DEVICE.format(**place, interval_s=interval_s)
    site.scenario.write_text(scenario)
    site.edge.write_text(edge)
    return site


def write_five(directory: Path) -> str:
    """The file of FIVE in ``directory``; returns its name for a profile."""
    path = directory / "five.toml"
    path.write_text(FIVE)
    return str(path)
