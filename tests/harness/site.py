"""A simulated site and its gateway: the files that describe them, for real programs to run on.

Five devices: three C11DO1ETH modules (cold water with an output that moves roof panels, hot water,
gas), an M-Bus and a Modbus electricity meter. The world turns ``speed`` times as fast as the clock,
and stands still ``turns_s`` seconds after it was described.
"""

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.harness.ports import free_port

GATEWAY = "hall-1"
ROOF = ("cold-water", "roof")

SCENARIO = """\
seed = "system tests"
origin = {origin}
until = {until}
speed = {speed}

[[source]]
key = "taps"
series = "draw_offs"
base = 200
litres_a_day = 20000
days_off = false

[[source]]
key = "burner"
series = "uk_gas"
base = 500
scale = 0.5

[[source]]
key = "machines"
series = "uk_electricity"
base = 2000
scale = 10

{meters}
[[mbus]]
listen = "127.0.0.1:{mbus}"
address = 5
identification = "12345678"
meter = "electricity-hall"

[[modbus]]
listen = "127.0.0.1:{modbus}"
unit = 1
profile = "abb_b23"
meter = "electricity-main"
"""

METER = """\
[[meter]]
key = "{key}"
medium = "{medium}"
start = {start}
sources = ["{source}"]
"""

MODULE = """\
[[c11do1eth]]
device = "{key}"
server = "127.0.0.1:{server}"
key_file = "module.key"
meter = "{key}"
weight = {weight}
state_file = "{key}.state"
output = "{output}"
"""

EDGE = """\
[gateway]
id = "{gateway}"
name = "Hall 1"
site = "hall"
site_name = "Test hall"
timezone = "Europe/Bucharest"

[mqtt]
port = {broker}
keepalive_s = {keepalive}

[c11do1eth]
port = {server}

[[line]]
id = "bus"
url = "tcp://127.0.0.1:{mbus}"

[[line]]
id = "lan"
url = "tcp://127.0.0.1:{modbus}"

[[device]]
driver = "mbus"
key = "electricity-hall"
name = "Electricity, hall"
line = "bus"
address = 5
profile = "mbus_electricity_3phase"
interval_s = 1

[[device]]
driver = "modbus"
key = "electricity-main"
name = "Electricity, main"
line = "lan"
unit = 1
profile = "abb_b23"
interval_s = {interval}

"""

EDGE_MODULE = """\
[[device]]
driver = "c11do1eth"
key = "{key}"
name = "{name}"
medium = "{medium}"
key_file = "module.key"
pulse_weight = "{weight} l"
start_index = "{start} l"
push_period_s = 1
log_period_s = 1
"""

EDGE_OUTPUT = """\
[device.output]
key = "roof"
name = "Roof panels"
"""


@dataclass(frozen=True, slots=True)
class Module:
    """A meter with a pulse transmitter; ``start`` litres stood on its face."""

    key: str
    medium: str
    source: str
    start: int
    weight: int


MODULES = (
    Module("cold-water", "cold_water", "taps", 1_234_000, 10),
    Module("hot-water", "hot_water", "taps", 56_700, 1),
    Module("gas", "gas", "burner", 9_876_540, 10),
)
METERS = (("electricity-hall", 1_000_000), ("electricity-main", 70_500_000))


@dataclass(slots=True)
class SiteFiles:
    """Writes what ``inmetter-edge`` and the simulators are started with into ``directory``.

    ``broker`` is the port that the gateway is told. ``interval_s`` is the Modbus meter's.
    """

    directory: Path
    broker: int
    speed: int = 600
    turns_s: float = 12
    gateway: str = GATEWAY
    keepalive_s: int = 5
    interval_s: float = 1
    server: int = field(default_factory=free_port)
    mbus: int = field(default_factory=free_port)
    modbus: int = field(default_factory=free_port)

    def write(self) -> "SiteFiles":
        """The files, as of now."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "module.key").write_text("a-secret-of-the-tests\n")
        self.scenario.write_text(self._scenario(datetime.now(UTC)))
        self.edge.write_text(self._edge())
        return self

    @property
    def scenario(self) -> Path:
        return self.directory / "scenario.toml"

    @property
    def edge(self) -> Path:
        return self.directory / "edge.toml"

    @property
    def journal(self) -> Path:
        """The gateway's data file."""
        return self.directory / "data" / "edge.db"

    @property
    def truth_file(self) -> Path:
        return self.directory / "truth.json"

    def simulator_command(self) -> list[str]:
        program = [sys.executable, "-m", "edge_agent", "simulate"]
        return [*program, str(self.scenario), "--truth", str(self.truth_file)]

    def edge_command(self) -> list[str]:
        return [sys.executable, "-m", "edge_agent", "run", str(self.edge)]

    def truth(self) -> dict[str, Any]:
        """What the world has given up to now."""
        found: dict[str, Any] = json.loads(self.truth_file.read_text())
        return found

    def _scenario(self, now: datetime) -> str:
        electricity = [
            METER.format(key=key, medium="electricity", start=start, source="machines")
            for key, start in METERS
        ]
        modules = [
            METER.format(key=one.key, medium=one.medium, start=one.start, source=one.source)
            + MODULE.format(
                key=one.key,
                server=self.server,
                weight=one.weight,
                output=ROOF[1] if one.key == ROOF[0] else "",
            )
            for one in MODULES
        ]
        return SCENARIO.format(
            origin=now.isoformat(),
            until=(now + timedelta(seconds=self.turns_s)).isoformat(),
            speed=self.speed,
            meters="\n".join(electricity + modules),
            mbus=self.mbus,
            modbus=self.modbus,
        )

    def _edge(self) -> str:
        head = EDGE.format(
            gateway=self.gateway,
            broker=self.broker,
            keepalive=self.keepalive_s,
            server=self.server,
            mbus=self.mbus,
            modbus=self.modbus,
            interval=self.interval_s,
        )
        modules = [
            EDGE_MODULE.format(
                key=one.key,
                name=one.key.replace("-", " ").capitalize(),
                medium=one.medium,
                weight=one.weight,
                start=one.start,
            )
            + (EDGE_OUTPUT if one.key == ROOF[0] else "")
            for one in MODULES
        ]
        return head + "\n".join(modules)
