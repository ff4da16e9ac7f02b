"""The scenario file: which meters a simulated site has, what feeds them, and how they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from common.clock import to_ms
from common.errors import ConfigError
from common.registers import Medium
from common.settings import load_toml
from edge_agent.profiles.modbus import load_profile
from edge_agent.simulators.series import HOURLY, draw_offs, hourly
from edge_agent.simulators.world import HOUR_MS, Curve, Meter, Timeline, World

DRAW_OFFS = "draw_offs"
MAX_RATE = 10**9


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """What makes meters turn. Rates are in W for electricity and in l/h for everything else.

    From a measured series: ``base`` + the hour's Wh × ``scale``, this part at most ``limit``,
    played ``pace`` times as fast as it was measured. From draw-offs: ``base`` + taps that are
    opened as often as in a workshop, ``litres_a_day`` on a working day, ``litres_each`` a time;
    without ``days_off`` Saturdays and Sundays are working days.
    """

    key: str
    series: str
    base: int = 0
    scale: float | int = 0
    limit: int = MAX_RATE
    pace: int = 1
    litres_a_day: int = 0
    litres_each: int = 10
    days_off: bool = True


class MeterEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A meter; ``start`` stood on its face at the origin, in Wh or l."""

    key: str
    medium: str
    sources: tuple[str, ...]
    start: int = 0


class C11Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A C11DO1ETH module: ``weight`` in Wh or l a pulse; ``output`` is what hangs on its output.

    Paths are relative to the scenario file. Without ``state_file`` it forgets when it stops.
    """

    device: str
    server: str
    key_file: str
    meter: str
    weight: int
    output: str = ""
    state_file: str = ""


class MBusEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An M-Bus meter behind a converter; entries with the same ``listen`` share its bus."""

    listen: str
    address: int
    identification: str
    meter: str


class ModbusEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A unit on Modbus TCP; entries with the same ``listen`` share one port."""

    listen: str
    unit: int
    profile: str
    meter: str


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated site. From ``until`` on nothing is consumed any more."""

    seed: str
    origin: datetime
    meter: tuple[MeterEntry, ...]
    source: tuple[Source, ...]
    speed: int = 1
    until: datetime | None = None
    c11do1eth: tuple[C11Entry, ...] = ()
    mbus: tuple[MBusEntry, ...] = ()
    modbus: tuple[ModbusEntry, ...] = ()


class Address(NamedTuple):
    """Where something listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Site:
    """A scenario that holds together, and the world that follows from it."""

    path: Path
    scenario: Scenario
    world: World

    def beside(self, name: str) -> Path:
        """A path as the scenario file means it."""
        return self.path.parent / name


def load_site(path: Path) -> Site:
    """The site of a scenario file. Raises ConfigError with file and key."""
    scenario = load_toml(path, Scenario)
    return Site(path, scenario, _Builder(str(path), scenario).world())


def parse_address(text: str) -> Address:
    """``HOST:PORT``; raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Address(host.strip("[]"), int(port))


class _Builder:
    def __init__(self, source: str, scenario: Scenario) -> None:
        self._file = source
        self._scenario = scenario

    def world(self) -> World:
        scenario = self._scenario
        sources = {source.key: source for source in scenario.source}
        if len(sources) != len(scenario.source):
            raise self._error("source", "two sources have the same key")
        curves = {
            source.key: self._curve(f"source[{number}]", source)
            for number, source in enumerate(scenario.source, 1)
        }
        timeline = self._timeline()
        meters: dict[str, Meter] = {}
        for number, entry in enumerate(scenario.meter, 1):
            where = f"meter[{number}]"
            if entry.key in meters:
                raise self._error(f"{where}.key", f"{entry.key!r} is there already")
            if entry.medium.upper() not in Medium.__members__:
                raise self._error(f"{where}.medium", f"{entry.medium!r} is not a medium")
            for key in entry.sources:
                if key not in curves:
                    raise self._error(f"{where}.sources", f"there is no source {key!r}")
            if entry.start < 0:
                raise self._error(f"{where}.start", "expected 0 or more")
            meters[entry.key] = Meter(
                entry.key,
                Medium[entry.medium.upper()],
                entry.start * 1000,
                tuple(curves[key] for key in entry.sources),
                timeline,
            )
        self._check_devices(meters)
        return World(meters)

    def _timeline(self) -> Timeline:
        scenario = self._scenario
        if not 1 <= scenario.speed <= 100_000:
            raise self._error("speed", "expected 1 to 100000")
        return Timeline(
            self._ms("origin", scenario.origin),
            scenario.speed,
            None if scenario.until is None else self._ms("until", scenario.until),
        )

    def _ms(self, key: str, at: datetime) -> int:
        if at.tzinfo is None:
            raise self._error(key, "expected a time with its zone, such as 2026-01-05T00:00:00Z")
        return to_ms(at.astimezone(UTC))

    def _curve(self, where: str, source: Source) -> Curve:
        if source.base < 0 or source.scale < 0 or not 0 <= source.limit <= MAX_RATE:
            raise self._error(where, "base, scale and limit are 0 or more")
        if source.pace < 1 or HOUR_MS % source.pace:
            raise self._error(f"{where}.pace", "expected a divisor of 3600000")
        base = source.base * 1000
        if source.series == DRAW_OFFS:
            if source.litres_each < 1 or not 0 <= source.litres_a_day <= 10**6:
                raise self._error(where, "litres_each is 1 or more, litres_a_day 0 to 1000000")
            seed = f"{self._scenario.seed}/{source.key}"
            flow, step_ms = draw_offs(
                seed, source.litres_a_day, source.litres_each, source.days_off
            )
            return Curve(tuple(base + point for point in flow), step_ms)
        if source.series not in HOURLY:
            known = ", ".join((*HOURLY, DRAW_OFFS))
            raise self._error(f"{where}.series", f"{source.series!r} is not one of {known}")
        scale, limit = Fraction(str(source.scale)) * 1000, source.limit * 1000
        points = (base + min(int(value * scale), limit) for value in hourly(source.series))
        return Curve(tuple(points), HOUR_MS // source.pace)

    def _check_devices(self, meters: dict[str, Meter]) -> None:
        scenario = self._scenario
        groups: dict[str, Sequence[C11Entry | MBusEntry | ModbusEntry]] = {
            "c11do1eth": scenario.c11do1eth,
            "mbus": scenario.mbus,
            "modbus": scenario.modbus,
        }
        for group, entries in groups.items():
            for number, entry in enumerate(entries, 1):
                where = f"{group}[{number}]"
                if entry.meter not in meters:
                    raise self._error(f"{where}.meter", f"there is no meter {entry.meter!r}")
                self._check_device(where, entry)
        self._check_unique("c11do1eth", [entry.device for entry in scenario.c11do1eth])
        self._check_unique("mbus", [(entry.listen, entry.address) for entry in scenario.mbus])
        self._check_unique("modbus", [(entry.listen, entry.unit) for entry in scenario.modbus])

    def _check_device(self, where: str, entry: C11Entry | MBusEntry | ModbusEntry) -> None:
        match entry:
            case C11Entry():
                self._check_address(f"{where}.server", entry.server)
                if entry.weight < 1:
                    raise self._error(f"{where}.weight", "expected 1 or more (Wh or l a pulse)")
            case MBusEntry():
                self._check_address(f"{where}.listen", entry.listen)
                if not 0 <= entry.address <= 250:
                    raise self._error(f"{where}.address", "expected 0 to 250")
                if len(entry.identification) != 8 or not entry.identification.isdecimal():
                    raise self._error(f"{where}.identification", "expected 8 digits")
            case ModbusEntry():
                self._check_address(f"{where}.listen", entry.listen)
                if not 1 <= entry.unit <= 247:
                    raise self._error(f"{where}.unit", "expected 1 to 247")
                try:
                    load_profile(entry.profile)
                except ConfigError as error:
                    raise self._error(f"{where}.profile", str(error)) from error

    def _check_address(self, where: str, text: str) -> None:
        try:
            parse_address(text)
        except ValueError as error:
            raise self._error(where, str(error)) from error

    def _check_unique(self, group: str, names: Sequence[object]) -> None:
        if len(set(names)) != len(names):
            raise self._error(group, "two devices have the same name or address")

    def _error(self, key: str, reason: str) -> ConfigError:
        return ConfigError(f"{self._file}: {key}: {reason}")
