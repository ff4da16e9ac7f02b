"""What a scenario file says: which meters a simulated site has, what feeds them, how they are read,
and what goes wrong with them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field

from common.clock import to_ms
from common.errors import ConfigError
from edge_agent.simulators.faults import Fault, parse_duration
from edge_agent.simulators.world import World

MAX_RATE = 10**9
MAX_COUNT = 10_000


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """What makes meters turn. Rates are in W for electricity and in l/h for everything else.

    ``series = "steady"``: ``base``, always. From a measured series or a standard profile: ``base``
    + the hour's Wh × ``scale``, this part at most ``limit``, played ``pace`` times as fast as it
    was measured. From draw-offs: ``base`` + taps that are opened as often as in a workshop,
    ``litres_a_day`` on a working day, ``litres_each`` a time; without ``days_off`` Saturdays and
    Sundays are working days. It flows from ``from`` until ``until``, by default always; ``back``
    makes it flow the other way.
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
    from_: str = field(default="", name="from")
    until: str = ""
    back: bool = False


class Span(Struct, frozen=True, forbid_unknown_fields=True):
    """From ``from`` until ``until``."""

    from_: str = field(name="from")
    until: str


class MeterEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A meter; ``start`` stood on its face at the origin, in Wh or l.

    With ``count`` there are so many, ``KEY-1`` and on; each starts elsewhere, and lives its day a
    little earlier than the first, as the seed says. In a ``standstill`` nothing flows.
    """

    key: str
    medium: str
    sources: tuple[str, ...]
    start: int = 0
    count: int = 0
    standstill: tuple[Span, ...] = ()


class C11Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A C11DO1ETH module: ``weight`` in Wh or l a pulse; ``output`` is what hangs on its output.

    Paths are relative to the scenario file. Without ``state_file`` it forgets when it stops. With
    ``count`` there are so many, ``DEVICE-1`` and on; ``{n}`` in a path is the number.
    """

    device: str
    server: str
    key_file: str
    meter: str
    weight: int
    output: str = ""
    state_file: str = ""
    modulus: int = 0
    count: int = 0

    @property
    def name(self) -> str:
        return self.device


class MBusEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An M-Bus meter behind a converter; entries with the same ``listen`` share its bus.

    It says what it measures in so many ``telegrams``. With ``count`` there are so many meters:
    address and identification go up by one each.
    """

    listen: str
    address: int
    identification: str
    meter: str
    manufacturer: str = "INM"  # no maker has registered this
    version: int = 1
    telegrams: int = 1
    key: str = ""
    modulus: int = 0
    count: int = 0

    @property
    def name(self) -> str:
        return self.key or self.meter


class ModbusEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A Modbus unit; entries with the same ``listen`` share one port or serial line.

    With ``count`` there are so many: the unit goes up by one each.
    """

    listen: str
    unit: int
    profile: str
    meter: str
    key: str = ""
    modulus: int = 0
    count: int = 0

    @property
    def name(self) -> str:
        return self.key or self.meter


class FaultEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fault on the time line: what befalls ``on`` (a device, a line, ``all``), when, how long."""

    kind: str
    on: str
    at: str
    for_: str = field(default="", name="for")
    ms: int | None = None
    bytes: int | None = None
    bits: int | None = None
    start: int | None = None

    @property
    def parameters(self) -> dict[str, int]:
        given = {"ms": self.ms, "bytes": self.bytes, "bits": self.bits, "start": self.start}
        return {name: value for name, value in given.items() if value is not None}


Entry = C11Entry | MBusEntry | ModbusEntry


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
    fault: tuple[FaultEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A scenario that holds together, and what follows from it.

    ``lines`` are the names of what devices share, by their kind and ``listen``.
    """

    path: Path
    scenario: Scenario
    world: World
    c11do1eth: tuple[C11Entry, ...]
    mbus: tuple[MBusEntry, ...]
    modbus: tuple[ModbusEntry, ...]
    lines: dict[tuple[str, str], str]
    faults: tuple[Fault, ...]

    def beside(self, name: str) -> Path:
        """A path as the scenario file means it."""
        return self.path.parent / name


class Mistakes:
    """Makes the errors of one scenario file, and reads its times."""

    def __init__(self, path: Path, scenario: Scenario) -> None:
        self._path = path
        self._scenario = scenario

    def error(self, key: str, reason: str) -> ConfigError:
        return ConfigError(f"{self._path}: {key}: {reason}")

    @property
    def origin_ms(self) -> int:
        return self.ms("origin", self._scenario.origin)

    def ms(self, key: str, at: datetime) -> int:
        """Epoch milliseconds; raises ConfigError for a time without its zone."""
        if at.tzinfo is None:
            raise self.error(key, "expected a time with its zone, such as 2026-01-05T00:00:00Z")
        return to_ms(at.astimezone(UTC))

    def instant(self, key: str, text: str) -> int:
        """Epoch milliseconds of ``"90s"`` after the origin, or of ``"2026-01-05T10:00:00Z"``."""
        try:
            return self.origin_ms + parse_duration(text)
        except ValueError:
            pass
        try:
            return self.ms(key, datetime.fromisoformat(text))
        except ValueError:
            raise self.error(
                key, f"{text!r}: expected 90s, 5min or 2h after the origin, or a time with its zone"
            ) from None

    def duration(self, key: str, text: str) -> int | None:
        """Milliseconds; None for nothing."""
        try:
            return parse_duration(text) if text else None
        except ValueError as error:
            raise self.error(key, str(error)) from None
