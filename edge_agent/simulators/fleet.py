"""Makes fleets: for each gateway a scenario and an edge configuration that fit each other.

The same seed makes the same files. The modules' keys follow from the seed as well, so they are
no secrets: they are for simulation only.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from common.errors import ConfigError

MAX_GATEWAYS, MAX_DEVICES = 10_000, 1000
PER_BUS, PER_PORT = 60, 60
"""Devices on an M-Bus converter, and on a Modbus port."""

PORTS_EACH = 50
"""Ports that are set apart for each gateway."""

KINDS = ("c11do1eth", "mbus", "modbus", "c11do1eth", "modbus", "mbus", "c11do1eth", "modbus")
"""The kinds of devices, round and round."""

PULSED = (("cold_water", "taps", 10), ("gas", "burner", 100), ("hot_water", "taps", 1))
"""Medium, source and litres a pulse of the modules."""

PROFILES = ("abb_b23", "eastron_sdm630", "schneider_iem3000", "carlo_gavazzi_em340")

SCENARIO = """\
# Made by: inmetter-edge simulate --generate. Run with: inmetter-edge simulate FILE
seed = "{seed}/{gateway}"
origin = 2025-01-06T00:00:00Z # a Monday, as the first day of the series

[[source]]
key = "taps"
series = "draw_offs"
base = 20
litres_a_day = {litres}
days_off = false

[[source]]
key = "burner"
series = "standard_heating"
scale = {heat}

[[source]]
key = "home"
series = "standard_household"
base = 100
scale = 0.4

[[source]]
key = "work"
series = "standard_business"
base = 300
scale = {load}
"""

EDGE = """\
# Made by: inmetter-edge simulate --generate. Run with: inmetter-edge run FILE
[gateway]
id = "{gateway}"
name = "Gateway {number}"
site = "site-{number:03}"
site_name = "Simulated site {number}"
timezone = "Europe/Bucharest"

[mqtt]
host = "{broker_host}"
port = {broker_port}

[c11do1eth]
port = {server}
connections = 1024
"""

LINE = """
[[line]]
id = "{id}"
url = "tcp://127.0.0.1:{port}"
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What to make. Port numbers go up from ``first_port``."""

    gateways: int
    devices: int
    seed: str = "fleet"
    first_port: int = 20_000
    broker: tuple[str, int] = ("127.0.0.1", 1883)


def generate(folder: Path, fleet: Fleet) -> list[Path]:
    """Write a folder for each gateway; the folders. Raises ConfigError, OSError."""
    _check(folder, fleet)
    made = []
    for number in range(1, fleet.gateways + 1):
        gateway = folder / f"gw-{number:03}"
        gateway.mkdir(parents=True)
        _Gateway(gateway, number, fleet).write()
        made.append(gateway)
    return made


def _check(folder: Path, fleet: Fleet) -> None:
    if not 1 <= fleet.gateways <= MAX_GATEWAYS:
        raise ConfigError(f"--gateways: {fleet.gateways}: expected 1 to {MAX_GATEWAYS}")
    if not 1 <= fleet.devices <= MAX_DEVICES:
        raise ConfigError(f"--devices: {fleet.devices}: expected 1 to {MAX_DEVICES}")
    last = fleet.first_port + fleet.gateways * PORTS_EACH - 1
    if fleet.first_port < 1024 or last > 65535:
        raise ConfigError(
            f"--first-port: {fleet.gateways} gateways need the ports {fleet.first_port} to {last}:"
            " expected 1024 to 65535"
        )
    if not fleet.seed.isprintable() or set(fleet.seed) & set('"\\'):
        raise ConfigError("--seed: expected printable text without quotes and backslashes")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--generate: {folder}: expected a new or an empty folder")


class _Gateway:
    """Writes one gateway's files."""

    def __init__(self, folder: Path, number: int, fleet: Fleet) -> None:
        self._folder = folder
        self._number = number
        self._fleet = fleet
        self._chance = Random(f"{fleet.seed}/{folder.name}")
        ports = iter(range(self._first_port, self._first_port + PORTS_EACH))
        self._server = next(ports)
        self._ports: Iterator[int] = ports
        self._lines: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    @property
    def _first_port(self) -> int:
        return self._fleet.first_port + (self._number - 1) * PORTS_EACH

    def write(self) -> None:
        chance, host_port = self._chance, self._fleet.broker
        scenario = [
            SCENARIO.format(
                seed=self._fleet.seed,
                gateway=self._folder.name,
                litres=chance.randrange(80, 800),
                heat=f"{chance.uniform(0.2, 1.2):.3f}",
                load=f"{chance.uniform(0.5, 20):.3f}",
            )
        ]
        devices = []
        for number in range(self._fleet.devices):
            simulated, configured = self._device(number)
            scenario.append(simulated)
            devices.append(configured)
        edge = EDGE.format(
            gateway=self._folder.name,
            number=self._number,
            broker_host=host_port[0],
            broker_port=host_port[1],
            server=self._server,
        )
        lines = [LINE.format(id=name, port=port) for name, port in self._lines.items()]
        (self._folder / "scenario.toml").write_text("\n".join(scenario), "utf-8")
        (self._folder / "edge.toml").write_text("".join([edge, *lines, *devices]), "utf-8")

    def _device(self, number: int) -> tuple[str, str]:
        """The tables of one device in the scenario, and in the configuration."""
        kind = KINDS[number % len(KINDS)]
        nth = self._counts[kind] = self._counts.get(kind, 0) + 1
        start = self._chance.randrange(10**7)
        if kind == "c11do1eth":
            return self._module(nth, start)
        return self._polled(kind, nth, start)

    def _module(self, nth: int, start: int) -> tuple[str, str]:
        medium, source, weight = PULSED[nth % len(PULSED)]
        key = f"{medium.replace('_', '-')}-{nth}"
        start -= start % weight
        secret = self._folder / f"{key}.key"
        secret.touch(0o600)
        secret.write_text(f"{self._secret(key)}\n", "utf-8")
        simulated = (
            f"{_meter(key, medium, source, start)}\n[[c11do1eth]]\n"
            f'device = "{key}"\nserver = "127.0.0.1:{self._server}"\n'
            f'key_file = "{key}.key"\nstate_file = "{key}.state"\n'
            f'meter = "{key}"\nweight = {weight}\n'
        )
        configured = (
            f'\n[[device]]\ndriver = "c11do1eth"\nkey = "{key}"\nname = "{_title(key)}"\n'
            f'medium = "{medium}"\nkey_file = "{key}.key"\n'
            f'pulse_weight = "{weight} l"\nstart_index = "{start} l"\n'
        )
        return simulated, configured

    def _polled(self, kind: str, nth: int, start: int) -> tuple[str, str]:
        per_line = PER_BUS if kind == "mbus" else PER_PORT
        line = f"{kind}-{(nth - 1) // per_line + 1}"
        address = (nth - 1) % per_line + 1
        port = self._lines[line] = self._lines.get(line) or next(self._ports)
        water = kind == "mbus" and nth % 3 == 0
        medium, source = ("cold_water", "taps") if water else ("electricity", "home")
        if kind == "modbus":
            source, profile = "work", PROFILES[nth % len(PROFILES)]
            where = f'unit = {address}\nprofile = "{profile}"\n'
            own = where
        else:
            profile = "mbus_water" if water else "mbus_electricity_3phase"
            own = f'address = {address}\nidentification = "{self._number:04}{nth:04}"\n'
            where = f'address = {address}\nprofile = "{profile}"\n'
        key = f"{kind}-{medium.replace('_', '-')}-{nth}"
        simulated = (
            f'{_meter(key, medium, source, start)}\n[[{kind}]]\nlisten = "127.0.0.1:{port}"\n'
            f'{own}meter = "{key}"\n'
        )
        configured = (
            f'\n[[device]]\ndriver = "{kind}"\nkey = "{key}"\nname = "{_title(key)}"\n'
            f'line = "{line}"\n{where}interval_s = 60\n'
        )
        return simulated, configured

    def _secret(self, key: str) -> str:
        text = f"{self._fleet.seed}/{self._folder.name}/{key}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]


def _meter(key: str, medium: str, source: str, start: int) -> str:
    return (
        f'[[meter]]\nkey = "{key}"\nmedium = "{medium}"\nstart = {start}\nsources = ["{source}"]\n'
    )


def _title(key: str) -> str:
    return key.replace("-", " ").capitalize()
